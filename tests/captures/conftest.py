"""Small captures written by hand, for tests of readers and writers."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import Capture, ImageStore, Points
from sightline.geometry import Cameras, LensModel
from sightline.geometry.poses import look_at


def ring_of_poses(count: int) -> np.ndarray:
    """Cameras (n, 3, 4) on a rising spiral, all looking at (0, 0, 0.5)."""
    angles = np.linspace(0, 5, count)
    eyes = np.stack([3 * np.cos(angles), 3 * np.sin(angles), 1 + 0.1 * angles], axis=1)
    target = torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return np.stack([look_at(torch.from_numpy(eye), target, up).numpy()[:3] for eye in eyes])


def picture(width: int, height: int, channels: int, seed: int) -> np.ndarray:
    """A smooth picture with a gradient that tells left from right and top from bottom."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    layers = [x, y, np.full_like(x, 40 * seed % 256), np.where(x > 60, 255, 0)]
    return np.stack(layers[:channels], axis=-1).astype(np.uint8)


@pytest.fixture
def transforms_scene(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with a transforms.json of `count` frames and their images, after `edit(data)`."""

    def make(
        count: int = 5,
        size: tuple[int, int] = (16, 12),
        edit: Callable[[dict[str, Any]], None] = lambda data: None,
        suffix: str = ".png",
        channels: int = 3,
        name: str = "scene",
    ) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        poses = ring_of_poses(count)
        frames = []
        for index in range(count):
            file = f"images/{index:03d}{suffix}"
            Image.fromarray(picture(*size, channels, index)).save(folder / file)
            pose = [*poses[index].tolist(), [0, 0, 0, 1]]
            frames.append({"file_path": file, "transform_matrix": pose, "sharpness": 10.0 + index})
        data: dict[str, Any] = {"fl_x": 20.0, "w": size[0], "h": size[1], "frames": frames}
        edit(data)
        (folder / "transforms.json").write_text(json.dumps(data), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def capture_in_memory() -> Callable[..., Capture]:
    """Make a capture without files: three splits, near and far, points, a number per view."""

    def make(
        count: int = 6,
        size: tuple[int, int] = (16, 12),
        lens: LensModel = LensModel.PINHOLE,
        distortion: tuple[float, ...] = (0.0,) * 8,
        channels: int = 3,
        **changes: Any,
    ) -> Capture:
        off_centre = changes.pop("off_centre", 0.0)
        cameras = Cameras.create(
            torch.from_numpy(ring_of_poses(count)),
            20.0,
            cx=size[0] / 2 + off_centre,
            cy=size[1] / 2,
            width=size[0],
            height=size[1],
            lens=lens,
            distortion=torch.tensor([distortion] * count, dtype=torch.float64),
        )
        generator = np.random.default_rng(5)
        values: dict[str, Any] = {
            "name": "made",
            "cameras": cameras,
            "images": ImageStore.from_arrays([picture(*size, channels, index) for index in range(count)]),
            "image_names": tuple(f"images/{index:03d}.png" for index in range(count)),
            "splits": {"train": tuple(range(2, count)), "val": (1,), "test": (0,)},
            "near": np.linspace(1, 2, count),
            "far": np.linspace(5, 6, count),
            "per_view": {"sharpness": np.arange(count, dtype=np.float64)},
            "points": Points(
                generator.uniform(-0.4, 0.4, (30, 3)), generator.integers(0, 256, (30, 3)).astype(np.uint8)
            ),
        }
        return Capture(**(values | changes))

    return make


@pytest.fixture
def warnings_seen(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Give the warnings for the user so far."""
    caplog.set_level(logging.WARNING, logger="sightline")
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
