"""Cameras, rays and lenses, the algebra of poses, and paths to render along (`trajectories`)."""

from sightline.geometry.cameras import Cameras
from sightline.geometry.lenses import LensModel
from sightline.geometry.poses import (
    average_pose,
    axes_meet,
    fit_similarity,
    focus_point,
    interpolate_poses,
    look_at,
    normalise,
    quaternion_to_rotation,
    recentre,
    rotation_to_quaternion,
    slerp,
    transform_poses,
    up_direction,
)
from sightline.geometry.rays import Rays
from sightline.geometry.similarity import Similarity

__all__ = [
    "Cameras",
    "LensModel",
    "Rays",
    "Similarity",
    "average_pose",
    "axes_meet",
    "fit_similarity",
    "focus_point",
    "interpolate_poses",
    "look_at",
    "normalise",
    "quaternion_to_rotation",
    "recentre",
    "rotation_to_quaternion",
    "slerp",
    "transform_poses",
    "up_direction",
]
