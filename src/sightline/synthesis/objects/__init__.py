"""Procedural objects: each category's file has a function `build(draw)` that gives the parts of one object.

Objects stand on z = 0 around the z axis and face +y. Their sizes are about metres; whoever shows them brings
them to a size of their own. What a seed gives is frozen: see docs/synthesis.md before changing any draw.
"""
