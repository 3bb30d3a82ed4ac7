"""Small captures in memory."""

import numpy as np
import torch

from sightline.captures import Capture, ImageStore
from sightline.geometry import Cameras

WIDTH, HEIGHT = 24, 20


def make_capture(images, names=None, *, masks=None, background=None, splits=None, path="scene"):
    """A capture of uint8 pictures (h, w, 3|4)."""
    poses = torch.eye(4).repeat(len(images), 1, 1)[:, :3]
    poses[:, 0, 3] = torch.arange(len(images))
    indices = tuple(range(len(images)))
    return Capture(
        name="scene",
        cameras=Cameras.create(
            poses,
            fx=20.0,
            width=[image.shape[1] for image in images],
            height=[image.shape[0] for image in images],
        ),
        images=ImageStore.from_arrays(images),
        image_names=tuple(names or (f"test/r_{i}.png" for i in indices)),
        splits=splits or {"train": (), "val": (), "test": indices},
        masks=None if masks is None else ImageStore.from_arrays(masks),
        background=background or ("alpha" if images[0].shape[2] == 4 else "photo"),
        path=path,
    )


def random_pictures(count, channels=3, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8) for _ in range(count)]
