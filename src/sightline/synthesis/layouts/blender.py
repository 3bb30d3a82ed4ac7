"""The layout of the NeRF-synthetic scenes: transforms_{train,test}.json beside pictures with alpha."""

import json
import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from sightline.synthesis.camera_laws import orbit_poses
from sightline.synthesis.layouts.series import Item, Series
from sightline.synthesis.production import Content, Entry, Picture, Plan

DISTANCE = 4.0
ANGLE_X = 0.6911112
"""field of view of the published scenes, radians"""
FOCAL = 0.5 / math.tan(0.5 * ANGLE_X)
DIAGONAL = 2.6
"""of the box of an object: it fits the pictures, and lies between the usual near 2 and far 6"""
_LOWEST, _HIGHEST = math.radians(3), math.radians(80)
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def plan(series: Series) -> Plan:
    """Plan one capture for each object, with views to train on and others to test on."""

    def content(item: Item) -> Content:
        counts = {"train": series.views, "test": series.test_views}
        poses = {split: hemisphere(count, turn=k) for k, (split, count) in enumerate(counts.items())}
        everything = np.concatenate(list(poses.values()))
        shots = series.shots(item, everything, FOCAL)
        names = [f"{split}/{index:03d}" for split, count in counts.items() for index in range(count)]
        pictures = tuple(Picture(f"{name}.png", view) for name, view in zip(names, shots, strict=True))
        return Content(pictures, transforms_files(poses))

    entries = [
        Entry(item.id, item.recipe, series.views + series.test_views, partial(content, item))
        for _, item in series.items()
    ]
    return Plan(entries, "rgba", series.size**2)


def hemisphere(
    count: int,
    *,
    turn: float = 0.0,
    distance: float = DISTANCE,
    sector: tuple[float, float] | None = None,
    target: np.ndarray | None = None,
    highest: float = _HIGHEST,
) -> np.ndarray:
    """Cameras (count, 3, 4) evenly over a zone of the upper hemisphere, on a Fibonacci spiral.

    Args:
        count: how many.
        turn: azimuth at its start, radians; spirals with other turns do not meet.
        distance: from the target.
        sector: lowest and highest azimuth, radians; all around where not given.
        target: (3,); the origin where not given.
        highest: elevation, radians.
    """
    low, high = math.sin(_LOWEST), math.sin(highest)
    elevations = np.arcsin(low + (high - low) * (np.arange(count) + 0.5) / count)
    azimuths = turn + _GOLDEN_ANGLE * np.arange(count)
    if sector is not None:
        azimuths = sector[0] + (sector[1] - sector[0]) * (azimuths / (2 * math.pi) % 1)
    return orbit_poses(azimuths, elevations, distance, target)


def transforms_files(poses: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """Write a transforms file for each split; pictures are SPLIT/000.png and so on."""
    files = {}
    for split, matrices in poses.items():
        frames = [
            {
                "file_path": f"./{split}/{index:03d}",
                "transform_matrix": [*pose.tolist(), [0.0, 0.0, 0.0, 1.0]],
            }
            for index, pose in enumerate(matrices)
        ]
        value = {"camera_angle_x": ANGLE_X, "frames": frames}
        files[f"transforms_{split}.json"] = (json.dumps(value, indent=1) + "\n").encode()
    return files
