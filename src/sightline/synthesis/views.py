"""Camera laws: where the views of a synthetic capture are taken from."""

import math

import numpy as np
import torch

from sightline.geometry import Cameras
from sightline.geometry.poses import look_at

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def hemisphere_directions(
    count: int, *, turn: float = 0.0, elevations: tuple[float, float] = (3.0, 80.0)
) -> np.ndarray:
    """Spread unit directions evenly over a zone of the upper hemisphere, on a Fibonacci spiral.

    Args:
        count: how many.
        turn: azimuth at the start of the spiral, radians; sets with other turns do not meet.
        elevations: lowest and highest elevation of the zone, degrees.

    Returns:
        float64 (count, 3), z up, from the lowest to the highest.
    """
    low, high = np.sin(np.radians(elevations))
    heights = low + (high - low) * (np.arange(count) + 0.5) / count  # equal areas have equal heights
    azimuths = turn + GOLDEN_ANGLE * np.arange(count)
    flat = np.sqrt(1 - heights**2)
    return np.stack([flat * np.cos(azimuths), flat * np.sin(azimuths), heights], axis=1)


def fitting_distance(
    vertices: np.ndarray, target: np.ndarray, directions: np.ndarray, angle: float, margin: float = 0.04
) -> float:
    """Find the least distance from which every direction shows all vertices.

    Args:
        vertices: float64 (n, 3).
        target: float64 (3,), what the cameras look at.
        directions: float64 (m, 3), unit vectors from the target to the cameras.
        angle: field of view of the square pictures, radians.
        margin: the part of the picture's half width that stays free on each side.

    Returns:
        One distance from the target, scene units, that does for all directions.
    """
    offsets = vertices - target
    reach = math.tan(angle / 2) * (1 - margin)
    distance = 0.0
    for pose in _poses(directions, np.zeros(3)):
        right, up, backward = offsets @ pose[:, 0], offsets @ pose[:, 1], offsets @ pose[:, 2]
        aside = np.maximum(np.abs(right), np.abs(up))
        distance = max(distance, float((aside / reach + backward).max()))
    return distance


def cameras_around(
    target: np.ndarray, directions: np.ndarray, distance: float, *, angle: float, size: int
) -> Cameras:
    """Make cameras for square pictures that look at a target, z up.

    Args:
        target: float64 (3,).
        directions: float64 (m, 3), unit vectors from the target to the cameras.
        distance: from the target to the cameras.
        angle: field of view, radians.
        size: width and height in pixels.
    """
    poses = _poses(directions * distance + target, target)
    return Cameras.create(poses, 0.5 * size / math.tan(angle / 2), width=size, height=size)


def _poses(eyes: np.ndarray, target: np.ndarray) -> np.ndarray:
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return look_at(torch.from_numpy(eyes), torch.from_numpy(target), up).numpy()
