"""How far apart two cameras are, for the baselines that show the picture of the nearest one."""

import numpy as np

from sightline.captures import Capture


def pose_distances(target: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Compare poses around a subject at the origin.

    The squared distance of the centres, in units of the target's distance from the origin, plus half the
    squared difference of the rotation matrices (Frobenius norm): for cameras on one sphere that look at its
    centre, both terms grow with the angle between them, whatever the unit of length.

    Args:
        target: float64 (3, 4), camera to world.
        poses: float64 (n, 3, 4).

    Returns:
        float64 (n,); 0 for the same pose.
    """
    scale = float(np.square(target[:, 3]).sum()) or 1.0
    moved = np.square(poses[:, :, 3] - target[:, 3]).sum(-1) / scale
    turned = np.square(poses[:, :, :3] - target[:, :3]).sum((-2, -1)) / 2
    return moved + turned


def nearest_pose(target: np.ndarray, poses: np.ndarray) -> int:
    """Give the position of the nearest of `poses` (n, 3, 4) to `target` (3, 4); the first of equals."""
    return int(pose_distances(target, poses).argmin())


def poses_of(capture: Capture) -> np.ndarray:
    """The camera-to-world matrices of a capture: float64 (n, 3, 4)."""
    return capture.cameras.c2w.numpy()
