"""Sampling along rays, grids that skip empty space, compositing; nothing here knows the method."""
