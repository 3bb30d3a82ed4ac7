"""Small captures drawn by hand (ray and sphere intersections), and trainings of the method on them."""

from dataclasses import replace

import numpy as np
import torch

import method_training
from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.method import Ngp

BALL_CENTRE = np.array([0.3, -0.2, 0.15])
BALL_RADIUS = 0.8
_FAR_RADIUS = 30.0
_SAMPLES = 2  # per pixel and axis

SMALL = NgpConfig(
    levels=4,
    log2_entries=12,
    coarsest=8,
    finest=64,
    hidden=32,
    grid=32,
    bins_per_box=64,
    batch_samples=4096,
    refresh_cells=4096,
)


def cameras_around(
    count: int, size: int = 48, *, cap: float = 1.0, target: np.ndarray | None = None, distance: float = 4.0
) -> Cameras:
    """Cameras spread over a sphere, or the part `cap` of it around +z, all looking at one point."""
    k = np.arange(count) + 0.5
    z, azimuth = 1 - 2 * cap * k / count, np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    eyes = torch.from_numpy(distance * np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], -1))
    aim = torch.zeros(3) if target is None else torch.from_numpy(target)
    eyes = eyes + aim
    poses = look_at(eyes, aim, torch.tensor([0.0, 1.0, 0.0]))
    return Cameras.create(poses, fx=1.4 * size, width=size, height=size)


def ball_capture(
    count: int = 24, size: int = 48, surroundings: bool = False, held_out: int = 4, waves: float = 3.0
) -> Capture:
    """A textured ball: alone, with alpha, or before a painted sphere far behind it, without.

    Args:
        waves: of its colours, radians over its radius.
    """
    # Each part of the surroundings has to be in many views: they look from one side.
    cameras = cameras_around(count, size, cap=0.15 if surroundings else 1.0)
    images = [_draw(cameras, view, surroundings, waves) for view in range(count)]
    test = tuple(range(3, count, max(1, count // held_out)))
    train = tuple(view for view in range(count) if view not in test)
    return Capture(
        name="ball",
        cameras=cameras,
        images=ImageStore.from_arrays(images),
        image_names=tuple(f"{view:03}.png" for view in range(count)),
        splits={"train": train, "val": (), "test": test},
        background="photo" if surroundings else "alpha",
    )


def _draw(cameras: Cameras, view: int, surroundings: bool, waves: float) -> np.ndarray:
    height, width = int(cameras.height[view]), int(cameras.width[view])
    y, x = np.mgrid[: height * _SAMPLES, : width * _SAMPLES] + 0.5
    pixels = torch.from_numpy(np.stack([x.ravel(), y.ravel()], -1) / _SAMPLES)
    rays = cameras.rays(view, pixels)
    origins, directions = rays.origins.double().numpy(), rays.directions.double().numpy()
    hit, normals = _sphere(origins, directions, BALL_CENTRE, BALL_RADIUS, near=True)
    colour = 0.5 + 0.4 * np.sin(waves * normals + np.array([0.0, 1.0, 2.0]))
    if surroundings:
        _, sky = _sphere(origins, directions, np.zeros(3), _FAR_RADIUS, near=False)
        colour = np.where(hit[:, None], colour, 0.5 + 0.3 * np.sin(2 * sky[:, [1, 2, 0]]))
        hit = np.ones_like(hit)
    rgba = np.concatenate([colour * hit[:, None], hit[:, None]], -1)
    rgba = rgba.reshape(height, _SAMPLES, width, _SAMPLES, 4).mean((1, 3))
    rgba[..., :3] /= np.maximum(rgba[..., 3:], 1e-6)
    image = np.round(255 * rgba.clip(0, 1)).astype(np.uint8)
    return image[..., :3].copy() if surroundings else image


def _sphere(
    origins: np.ndarray, directions: np.ndarray, centre: np.ndarray, radius: float, near: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which rays meet a sphere, and the unit normal where they do."""
    offset = origins - centre
    b = (offset * directions).sum(-1)
    discriminant = b * b - (offset * offset).sum(-1) + radius * radius
    root = np.sqrt(np.maximum(discriminant, 0))
    distance = -b - root if near else -b + root
    normals = (offset + distance[:, None] * directions) / radius
    return (discriminant > 0) & (distance > 0), normals


class Training(method_training.Training):
    method_class = Ngp


def without_alpha(capture: Capture) -> Capture:
    images = [capture.images[view][..., :3].copy() for view in range(len(capture))]
    return replace(capture, images=ImageStore.from_arrays(images), background="black")
