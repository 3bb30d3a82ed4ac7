"""Cameras, rays and lenses, the algebra of poses, and paths to render along."""

from sightline.geometry.cameras import Cameras
from sightline.geometry.lenses import LensModel
from sightline.geometry.rays import Rays
from sightline.geometry.similarity import Similarity

__all__ = ["Cameras", "LensModel", "Rays", "Similarity"]
