"""Photos of a corner of a room: three textured planes, seen by cameras whose poses are known."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 480, 360, 420.0
_SIDE, _TEXELS = 4.0, 900


def poses(count: int) -> np.ndarray:
    """Cameras (count, 3, 4), OpenCV axes, camera to world, on an arc that looks into the corner."""
    found = []
    for k in range(count):
        angle = np.radians(25 + 40 * k / max(1, count - 1))
        centre = np.array([4.2 * np.cos(angle), 4.2 * np.sin(angle), 1.6 + 0.5 * np.sin(2.0 * k)])
        ahead = np.array([0.6, 0.6, 0.7]) - centre
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 0, 1])
        right /= np.linalg.norm(right)
        found.append(np.stack([right, np.cross(ahead, right), ahead, centre], 1))
    return np.stack(found)


def textures() -> list[np.ndarray]:
    """Noise of several sizes, by which features are found at all distances."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(3):
        whole = np.zeros((_TEXELS, _TEXELS, 3), np.float32)
        for cells, weight in ((15, 0.3), (60, 0.4), (220, 0.3)):
            noise = generator.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
            whole += weight * cv2.resize(noise, (_TEXELS, _TEXELS), interpolation=cv2.INTER_CUBIC)
        found.append(np.clip((whole - 128) * 2 + 128, 0, 255).astype(np.uint8))
    return found


def photo(
    pose: np.ndarray, walls: list[np.ndarray], focal: float = FOCAL, width: int = WIDTH, height: int = HEIGHT
) -> np.ndarray:
    """Draw the planes z = 0, x = 0 and y = 0 of a corner that opens towards +x, +y and +z."""
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    to_camera = pose[:, :3].T
    scale = _SIDE / _TEXELS
    picture = np.zeros((height, width, 3), np.uint8)
    for wall, (across, up) in zip(walls, ((0, 1), (1, 2), (0, 2)), strict=True):
        axes = np.eye(3)
        plane = np.stack([axes[across] * scale, axes[up] * scale, -pose[:, 3]], 1)
        homography = lens @ to_camera @ plane
        drawn = cv2.warpPerspective(wall, homography, (width, height), flags=cv2.INTER_AREA)
        there = cv2.warpPerspective(np.full(wall.shape[:2], 255, np.uint8), homography, (width, height))
        picture[there > 250] = drawn[there > 250]
    return picture


def write_photos(folder: Path, count: int) -> np.ndarray:
    """Write photos 000.jpg …; gives their poses."""
    folder.mkdir(parents=True, exist_ok=True)
    found, walls = poses(count), textures()
    for k, pose in enumerate(found):
        Image.fromarray(photo(pose, walls)).save(folder / f"{k:03d}.jpg", quality=95)
    return found


def write_fisheye_photos(folder: Path, count: int, focal: float = 200.0, side: int = 480) -> np.ndarray:
    """Write square photos by an equidistant lens, from half as far away; gives their poses."""
    folder.mkdir(parents=True, exist_ok=True)
    found, walls = poses(count), textures()
    found[:, :, 3] = 0.5 * (found[:, :, 3] + np.array([0.6, 0.6, 0.7]))
    # Where a fisheye's pixels lie in a flat picture of 150 degrees.
    y, x = (np.indices((side, side)) + 0.5 - side / 2) / focal
    angle = np.hypot(x, y)
    stretch = np.where(angle < 1.3, np.tan(np.minimum(angle, 1.3)) / np.maximum(angle, 1e-6), 1e6)
    flat = 3 * side
    maps = [(flat / 2 - 0.5 + flat / 7.5 * stretch * axis).astype(np.float32) for axis in (x, y)]
    for k, pose in enumerate(found):
        wide = photo(pose, walls, flat / 7.5, flat, flat)
        Image.fromarray(cv2.remap(wide, *maps, cv2.INTER_LINEAR)).save(folder / f"{k:03d}.png")
    return found
