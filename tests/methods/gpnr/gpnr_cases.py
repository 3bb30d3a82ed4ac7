"""Small scenes to learn from, made of textured planes, and the small method that does."""

from functools import partial
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture, Collection, CollectionObject, ImageStore
from sightline.geometry import Cameras
from sightline.methods.gpnr.config import INFO, GpnrConfig

WIDTH, HEIGHT, FOCAL = 20, 16, 18.0
NEAR, FAR = 1.0, 4.0
# The plane in front covers what is left of this.
_EDGE = 0.0


def small_config(**changes: Any) -> GpnrConfig:
    """A configuration that learns in seconds."""
    settings = {
        "sources": 3,
        "samples": 16,
        "colour": "predicted",
        "patch_features": (6,),
        "patch_size": 3,
        "ray_frequencies": 2,
        "point_frequencies": 3,
        "width": 24,
        "hidden_width": 32,
        "heads": 2,
        "epipolar_layers": 1,
        "view_layers": 1,
        "rays": 96,
        "neighbours": 5,
        "learning_rate": 3e-3,
        "warm_up": 20,
        "ray_chunk": 100,
        "layer_precision": "float32",
    }
    return INFO.build_config("small", **(settings | changes))


def plane_capture(number: int, views: int = 9, held_out: int = 4) -> Capture:
    """Two textured planes, one before the other, seen by cameras side by side that look along -z."""
    draw = np.random.default_rng(number)
    waves = draw.uniform(-3, 3, (2, 3, 4, 2))
    phases = draw.uniform(0, 2 * np.pi, (2, 3, 4))

    def texture(plane: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        angles = waves[plane, ..., 0] * x[..., None, None] + waves[plane, ..., 1] * y[..., None, None]
        return 0.5 + 0.12 * np.sin(angles + phases[plane]).sum(-1)

    places = np.stack([*draw.uniform(-0.35, 0.35, (2, views)), draw.uniform(-0.1, 0.1, views)], 1)
    poses = torch.eye(3, 4, dtype=torch.float64).repeat(views, 1, 1)
    poses[:, :, 3] = torch.from_numpy(places)
    cameras = Cameras.create(poses, FOCAL, width=WIDTH, height=HEIGHT)
    pictures = []
    for view in range(views):
        rays = cameras.image_rays(view)
        towards = rays.directions.numpy() / -rays.directions.numpy()[:, 2:]
        colours = []
        for plane, depth in ((0, 1.5), (1, 3.0)):
            at = places[view] + towards * (depth + places[view, 2])
            colours.append((texture(plane, at[:, 0], at[:, 1]), at[:, 0]))
        (front, x), (behind, _) = colours
        image = np.where((x < _EDGE)[:, None], front, behind)
        pictures.append((image.clip(0, 1).reshape(HEIGHT, WIDTH, 3) * 255).round().astype(np.uint8))
    test = (held_out,) if held_out < views else ()
    return Capture(
        name=f"planes{number}",
        cameras=cameras,
        images=ImageStore.from_arrays(pictures),
        image_names=tuple(f"{view:03d}.png" for view in range(views)),
        splits={"train": tuple(v for v in range(views) if v not in test), "val": (), "test": test},
        near=np.full(views, NEAR),
        far=np.full(views, FAR),
    )


def plane_collection(scenes: int = 3, **changes: Any) -> Collection:
    """Scenes; the last one is held out."""
    entries = [
        CollectionObject(f"planes{number}", "scene", partial(plane_capture, number, **changes))
        for number in range(scenes)
    ]
    ids = tuple(entry.id for entry in entries)
    return Collection(name="planes", objects=entries, splits={"train": ids[:-1], "val": (), "test": ids[-1:]})
