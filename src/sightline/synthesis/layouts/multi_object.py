"""The layout of scenes of two objects, as pixelNeRF has it: SPLIT/SCENE/transforms.json and *_obj.png."""

import json
import math
from functools import partial

import numpy as np

from sightline.synthesis.camera_laws import pair_spiral, pair_sweep
from sightline.synthesis.layouts.series import Item, Series
from sightline.synthesis.object_recipes import pair_target
from sightline.synthesis.production import Content, Entry, Picture, Plan

DISTANCE = 6.0
FOCAL = 50 / 36
"""focal length in widths of the picture: Blender's default lens of 50 mm before a sensor of 36 mm"""


def plan(series: Series) -> Plan:
    """Plan a set: a sweep of three turns to train on, a spiral to validate and test on."""

    def content(split: str, item: Item) -> Content:
        target = pair_target(item.recipe.build().parts)
        count = series.count(split)
        if split == "train":
            poses = pair_sweep(series.generator(item), count, DISTANCE, target)
        else:
            poses = pair_spiral(count, DISTANCE, target)
        shots = series.shots(item, poses, FOCAL)
        pictures = tuple(Picture(f"view_{index:03d}_obj.png", view) for index, view in enumerate(shots))
        return Content(pictures, {"transforms.json": _transforms(poses)})

    entries = [
        Entry(f"{split}/{item.id}", item.recipe, series.count(split), partial(content, split, item))
        for split, item in series.items()
    ]
    return Plan(entries, "rgba", series.size**2)


def _transforms(poses: np.ndarray) -> bytes:
    """Name each view without the ending that its picture of the objects alone has."""
    frames = [
        {
            "file_path": f"./view_{index:03d}",
            "transform_matrix": [*pose.tolist(), [0.0, 0.0, 0.0, 1.0]],
        }
        for index, pose in enumerate(poses)
    ]
    value = {"camera_angle_x": 2 * math.atan(0.5 / FOCAL), "frames": frames}
    return (json.dumps(value, indent=1) + "\n").encode()
