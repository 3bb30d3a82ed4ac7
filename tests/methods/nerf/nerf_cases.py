"""Small captures drawn by hand, and trainings of the method on them."""

from typing import Any

import numpy as np
import torch

import method_training
from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.methods.nerf.method import Nerf

BALL_RADIUS = 1.0
WALL = -6.0
"""height z of the wall that forward-facing captures look at, from z = 0"""
SMALL: dict[str, Any] = {
    # The same on every processor; what is faster on some has tests of its own.
    "layer_precision": "float32",
    "depth": 3,
    "width": 48,
    "skip_layers": (2,),
    "feature_width": None,
    "position_frequencies": 5,
    "direction_frequencies": 2,
    "coarse_samples": 16,
    "fine_samples": 16,
    "rays": 256,
    "learning_rate": 5e-3,
    "initialisation": "torch",
    "one_image": "never",
    "precrop_steps": 0,
}


def small_config(preset: str = "bmild", **changes: Any) -> NerfConfig:
    return INFO.build_config(preset, **{**SMALL, **changes})


def ball_capture(count: int = 12, size: int = 20, *, scale: float = 1.0, **changes: Any) -> Capture:
    """A coloured ball with alpha, from cameras all around at 4 times its radius, x y z times `scale`."""
    k = np.arange(count) + 0.5
    z, azimuth = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    eyes = 4 * scale * np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], -1)
    poses = look_at(torch.from_numpy(eyes), torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    cameras = Cameras.create(poses, fx=1.4 * size, width=size, height=size)
    return _capture(cameras, _draw_ball, scale, {"background": "alpha", **changes})


def wall_capture(count: int = 9, size: int = 20, *, scale: float = 1.0, **changes: Any) -> Capture:
    """A painted wall with depth bounds, from cameras side by side that all look along -z."""
    side = np.linspace(-0.5, 0.5, 3)
    eyes = scale * np.stack([*np.meshgrid(side, side), np.zeros((3, 3))], -1).reshape(-1, 3)[:count]
    poses = np.concatenate([np.tile(np.eye(3), (count, 1, 1)), eyes[..., None]], -1)
    cameras = Cameras.create(poses, fx=1.2 * size, width=size, height=size)
    bounds = {"near": np.full(count, 4.5 * scale), "far": np.full(count, 7.0 * scale)}
    return _capture(cameras, _draw_wall, scale, {"background": "photo", **bounds, **changes})


def _capture(cameras: Cameras, draw: Any, scale: float, changes: dict[str, Any]) -> Capture:
    count = len(cameras)
    images = []
    for view in range(count):
        rays = cameras.image_rays(view)
        image = draw(rays.origins.double().numpy() / scale, rays.directions.double().numpy())
        size = int(cameras.height[view]), int(cameras.width[view])
        images.append(np.round(255 * image.clip(0, 1)).astype(np.uint8).reshape(*size, -1))
    test = (2, 7) if count > 7 else ()
    return Capture(
        name="drawn",
        cameras=cameras,
        images=ImageStore.from_arrays(images),
        image_names=tuple(f"{view:03}.png" for view in range(count)),
        splits={"train": tuple(v for v in range(count) if v not in test), "val": (), "test": test},
        **changes,
    )


def _draw_ball(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    b = (origins * directions).sum(-1)
    discriminant = b * b - (origins * origins).sum(-1) + BALL_RADIUS**2
    hit = discriminant > 0
    distance = -b - np.sqrt(np.maximum(discriminant, 0))
    normals = origins + distance[:, None] * directions
    colour = 0.5 + 0.4 * np.sin(2 * normals + np.array([0.0, 1.0, 2.0]))
    return np.concatenate([np.where(hit[:, None], colour, 0), hit[:, None]], -1)


def _draw_wall(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    distance = (WALL - origins[:, 2]) / directions[:, 2]
    points = origins + distance[:, None] * directions
    return 0.5 + 0.35 * np.sin(1.5 * points[:, [0, 1, 0]] + np.array([0.0, 1.0, 2.5]))


class Training(method_training.Training):
    method_class = Nerf
