"""Bringing a reconstruction, whose frame is arbitrary, upright and to a handy place and size."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_TOWARDS_MEAN = 0.02
"""how much the cameras' mean up axis counts beside that their x axes are level"""


@dataclass(frozen=True)
class Levelling:
    """The map x' = scale * rotation @ x + translation to the frame that is kept, z up."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]


def find_up(rotations: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "3"]:
    """Find the up direction of the world from cameras held level, in whatever direction they look.

    Who takes a photo keeps its x axis level: up is the direction that is least along all x axes. Where these
    differ little, as of cameras that look one way, the mean of the y axes decides.

    Args:
        rotations: camera to world, axes x right, y up, z backward.
    """
    across, up = rotations[:, :, 0], rotations[:, :, 1]
    mean = up.mean(0)
    # Of photos in every orientation nothing says what is up but the levels of x axes.
    mean = np.zeros(3) if np.linalg.norm(mean) < 0.1 else mean / np.linalg.norm(mean)
    spread = across.T @ across / len(across)
    towards = np.eye(3) - np.outer(mean, mean) if mean.any() else np.zeros((3, 3))
    direction = np.linalg.eigh(spread + _TOWARDS_MEAN * towards)[1][:, 0]
    return direction if direction @ up.mean(0) >= 0 else -direction


def level(
    rotations: Float[np.ndarray, "n 3 3"],
    centres: Float[np.ndarray, "n 3"],
    points: Float[np.ndarray, "m 3"],
) -> Levelling:
    """Find the frame that is kept: z up, the middle of the points at 0, cameras about 1 away.

    Args:
        rotations: camera to world, axes x right, y up, z backward.
        centres: of the cameras.
        points: of the scene, any number.
    """
    up = find_up(rotations)
    # The way that the cameras look on average becomes +y, as far as it is level.
    ahead = -rotations[:, :, 2].mean(0)
    ahead = ahead - (ahead @ up) * up
    if np.linalg.norm(ahead) < 1e-3:
        ahead = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    ahead = ahead / np.linalg.norm(ahead)
    rotation = np.stack([np.cross(ahead, up), ahead, up])
    middle = np.median(points, axis=0) if len(points) else centres.mean(0)
    distance = float(np.median(np.linalg.norm(centres - middle, axis=1)))
    scale = 1.0 / distance if distance > 0 else 1.0
    return Levelling(scale, rotation, -scale * (rotation @ middle))
