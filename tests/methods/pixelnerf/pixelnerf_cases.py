"""Small collections to learn from, made of coloured balls, and the small method that does."""

from functools import partial
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture, Collection, CollectionObject, ImageStore
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods.pixelnerf.config import INFO, PixelNerfConfig
from sightline.methods.pixelnerf.method import PixelNerf

SIDE = 16
FOCAL = 20.0
DISTANCE = 2.0
RADIUS = 0.5
COLOURS = ((200, 40, 40), (40, 160, 60), (50, 70, 200), (190, 180, 40))


def small_config(**changes: Any) -> PixelNerfConfig:
    """A configuration that learns in seconds."""
    settings = {
        "image_size": SIDE,
        "hidden_width": 32,
        "levels": 2,
        "blocks": 2,
        "combine_layer": 1,
        "code_frequencies": 3,
        "coarse_samples": 16,
        "fine_samples": 8,
        "depth_samples": 4,
        "depth_spread": 0.05,
        "objects": 2,
        "rays": 64,
        "near": 1.25,
        "far": 2.75,
        "learning_rate": 2e-3,
        "box_steps": 0,
        "box_share": 0.0,
        "ray_chunk": 128,
        "layer_precision": "float32",
    }
    return INFO.build_config("small", **(settings | changes))


def ball_capture(
    number: int, views: int = 6, offset: tuple[float, float, float] = (0.0, 0.0, 0.0), side: int = SIDE
) -> Capture:
    """A ball of one colour on white, seen from around; its middle is at `offset`."""
    centre = torch.tensor(offset, dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    poses = []
    for view in range(views):
        angle = 2 * np.pi * view / views + number
        eye = torch.tensor([np.cos(angle), np.sin(angle), 0.4], dtype=torch.float64)
        poses.append(look_at(centre + DISTANCE * eye / eye.norm(), centre, up)[:3])
    cameras = Cameras.create(torch.stack(poses), FOCAL * side / SIDE, width=side, height=side)
    pictures = []
    for view in range(views):
        rays = cameras.image_rays(view)
        along = ((centre - rays.origins) * rays.directions).sum(-1, keepdim=True)
        nearest = (rays.origins + along * rays.directions - centre).norm(dim=-1).view(side, side)
        picture = np.full((side, side, 3), 255, np.uint8)
        picture[(nearest < RADIUS).numpy()] = COLOURS[number % len(COLOURS)]
        pictures.append(picture)
    return Capture(
        name=f"ball{number}",
        cameras=cameras,
        images=ImageStore.from_arrays(pictures),
        image_names=tuple(f"{view:04d}.png" for view in range(views)),
        splits={"train": tuple(range(views)), "val": (), "test": ()},
        background="white",
    )


def balls(count: int = 4, **settings: Any) -> Collection:
    """Several balls, the last of them for testing."""
    objects = [
        CollectionObject(f"ball{number}", "ball", partial(ball_capture, number, **settings))
        for number in range(count)
    ]
    names = tuple(entry.id for entry in objects)
    return Collection(
        name="balls", objects=objects, splits={"train": names[:-1], "val": (), "test": names[-1:]}
    )


def small_method(**changes: Any) -> PixelNerf:
    """A method that knows its frame, with reproducible weights."""
    torch.manual_seed(0)
    method = PixelNerf(small_config(**changes))
    method.restore({})
    return method.eval()
