"""The layout of Scene Representation Networks: CLASS_SPLIT/OBJECT/{rgb, pose, intrinsics.txt}."""

from functools import partial

import numpy as np

from sightline.synthesis.camera_laws import srn_spiral, upper_hemisphere
from sightline.synthesis.layouts.series import Item, Series
from sightline.synthesis.production import Content, Entry, Picture, Plan

FOCAL = 131.25 / 128
"""focal length in widths of the picture"""
TEST_VIEWS = 251
_CHAIR_DISTANCE, _DISTANCE = 2.0, 1.3


def plan(series: Series) -> Plan:
    """Plan a set: random views of the upper hemisphere to train on, the spiral to validate and test on."""

    def content(split: str, item: Item) -> Content:
        count, distance = series.count(split), camera_distance(item.category)
        if split == "train":
            poses = upper_hemisphere(series.generator(item), count, distance)
        else:
            poses = srn_spiral(count, distance)
        shots = series.shots(item, poses, FOCAL)
        files = {f"pose/{index:06d}.txt": _pose(pose) for index, pose in enumerate(poses)}
        files["intrinsics.txt"] = _intrinsics(series.size)
        return Content(
            tuple(Picture(f"rgb/{index:06d}.png", view) for index, view in enumerate(shots)), files
        )

    entries = [
        Entry(
            f"{item.category}_{split}/{item.id}",
            item.recipe,
            series.count(split),
            partial(content, split, item),
        )
        for split, item in series.items()
    ]
    return Plan(entries, "white-rgb", series.size**2)


def camera_distance(category: str) -> float:
    """Distance of the cameras: 2 for chairs and 1.3 for the rest, as readers take near and far to be."""
    return _CHAIR_DISTANCE if "chair" in category else _DISTANCE


def _pose(pose: np.ndarray) -> bytes:
    """Camera to world with axes x right, y down, z forward: 16 numbers in one line."""
    matrix = np.eye(4)
    matrix[:3] = pose * [1, -1, -1, 1]
    return (" ".join(repr(float(value)) for value in matrix.ravel()) + "\n").encode()


def _intrinsics(size: int) -> bytes:
    middle = size / 2
    return f"{FOCAL * size:f} {middle:f} {middle:f} 0.\n0. 0. 0.\n1.\n{size} {size}\n".encode()
