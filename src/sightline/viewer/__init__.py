"""The live viewer: pictures of a scene in the browser, as its user moves.

`looks`, `passes`, `pace`, `scheduler` and `turns` decide what is rendered when, and know neither browsers
nor methods. `painter` makes the pictures of a scene. The rest talks to browsers, by viser.
"""
