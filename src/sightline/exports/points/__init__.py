"""Coloured point clouds from fused depths."""
