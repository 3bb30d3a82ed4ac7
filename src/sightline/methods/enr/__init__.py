"""Equivariant neural rendering: one picture becomes a volume that is turned and shifted like the camera."""
