"""Small objects in memory and networks small enough for tests."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from sightline.captures import Capture, Collection, CollectionObject, ImageStore
from sightline.geometry import Cameras
from sightline.geometry.turning_volume import turntable_poses
from sightline.methods.enr.config import EnrConfig

SIDE = 16


def small_config(**changes) -> EnrConfig:
    values = {
        "image_size": SIDE,
        "channels_2d": (8, 12, 12),
        "strides_2d": (1, 2, 1),
        "channels_3d": (8, 12, 12, 8),
        "strides_3d": (1, 2, 1, -2),
        "channels_inverse_projection": (16, 32),
        "channels_projection": (16, 12),
        "batch_size": 4,
        "network_precision": "float32",
        "distance": 2.0,
    }
    changed = values | changes
    if changed["image_size"] != SIDE:
        size = changed["image_size"] // 2
        changed["channels_inverse_projection"] = (16, 2 * size)
    return EnrConfig(**changed)


def made_capture(number: int, views: int, shifts: bool = True, side: int = SIDE) -> Capture:
    """An object of one colour: its brightness at the edge tells the view; every third view is held out."""
    draw = np.random.default_rng(number)
    colour = draw.integers(0, 256, 3)
    images = []
    for view in range(views):
        image = np.full((side, side, 3), 255, np.uint8)
        image[side // 4 : -(side // 4), side // 4 : -(side // 4)] = colour
        image[:2] = 10 * view
        images.append(image)
    angles = torch.from_numpy(draw.uniform(-1, 1, (2, views)))
    shift = torch.from_numpy(draw.uniform(-0.3, 0.3, (views, 3))) * float(shifts)
    return Capture(
        name=f"object{number}",
        cameras=Cameras.create(turntable_poses(*angles, shift, 2.0), 1.1 * side, width=side, height=side),
        images=ImageStore.from_arrays(images),
        image_names=tuple(f"{view:05d}.png" for view in range(views)),
        splits={
            "train": tuple(view for view in range(views) if view % 3),
            "val": (),
            "test": tuple(range(0, views, 3)),
        },
        background="white",
    )


def made_collection(objects: int, views: int | Sequence[int], shifts: bool = True) -> Collection:
    counts = [views] * objects if isinstance(views, int) else list(views)
    entries = [
        CollectionObject(f"object{k}", "block", partial(made_capture, k, count, shifts))
        for k, count in enumerate(counts)
    ]
    ids = tuple(entry.id for entry in entries)
    return Collection(name="blocks", objects=entries, splits={"train": ids, "val": (), "test": ids})
