"""A method of a few parameters, and data of a few pixels, for tests of what is around methods.

`wave` learns one colour per direction octant and a shared offset from random pixels: every step costs well
under a millisecond, and its batches come from a shuffled pool, so that resuming exactly is not trivial.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sightline.captures import Capture
from sightline.geometry import Cameras
from sightline.methods import registry
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.registry import MethodInfo
from sightline.runs.record import DataSource, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import to_plain


@dataclass(frozen=True, kw_only=True)
class WaveConfig:
    """One colour per octant of directions."""

    rays: int = 64
    """rays per step"""
    learning_rate: float = 0.05
    """of all parameters"""
    hidden: int = 8
    """rows of the colour table"""
    fail_at: int | None = None
    """step whose loss is made NaN"""
    stop_at: int | None = None
    """step after which somebody asks to stop"""


INFO = MethodInfo(
    name="wave",
    summary="a method for tests",
    paper="none",
    learns="one scene",
    config=f"{__name__}:WaveConfig",
    method=f"{__name__}:Wave",
    presets={"fast": {"learning_rate": 0.2}},
    default_steps=20,
)


class Wave(Method):
    name: ClassVar[str] = "wave"
    config: WaveConfig

    def __init__(self, config: WaveConfig):
        super().__init__(config)
        self.colours = torch.nn.Parameter(torch.rand(config.hidden, 3))
        self.register_buffer("seen", torch.zeros(config.hidden))
        self.register_buffer("noise", torch.zeros(3))
        self.scale = 1.0

    def prepare(self, data: Any) -> Capture:
        assert isinstance(data, Capture)
        self.scale = float(data.cameras.centres.norm(dim=-1).mean())
        return data

    def batches(self, prepared: Capture, generator: torch.Generator, rank: int = 0, world: int = 1) -> "Pool":
        return Pool(prepared, generator, self.config.rays)

    def rows(self, directions: Tensor) -> Tensor:
        octant = (directions > 0).long() @ torch.tensor([1, 2, 4])
        return octant % self.config.hidden

    def forward(self, batch: tuple[Tensor, Tensor], progress: Progress) -> dict[str, Tensor]:
        directions, truth = batch
        rows = self.rows(directions)
        loss = (self.colours[rows] - truth).square().mean()
        if progress.step == self.config.fail_at:
            loss = loss * torch.nan
        self.seen += torch.bincount(rows, minlength=self.config.hidden)
        count = torch.tensor(float(len(truth)))
        return {"loss": loss, "psnr": -10 * loss.detach().log10(), "rays": count, "samples": 2 * count}

    def after_step(self, progress: Progress) -> bool:
        if progress.step == self.config.stop_at:
            signal.raise_signal(signal.SIGINT)
        if progress.step % 4 == 0:
            self.noise += torch.rand(3)
            return True
        return False

    def optimisers(self) -> list[Optimisation]:
        optimiser = torch.optim.Adam(self.parameters(), lr=self.config.learning_rate)
        return [Optimisation(optimiser, lambda progress: 1 - 0.9 * progress.fraction)]

    def encode(self, views: Capture | None = None) -> Scene:
        return Scene()

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Tensor | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        rays = camera.image_rays(0)
        height, width = int(camera.height[0]), int(camera.width[0])
        background = torch.ones(3) if background is None else background
        opacity = (rays.directions[:, 0] < 0.2).float()
        rgb = self.colours[self.rows(rays.directions)].clamp(0, 1)
        rgb = rgb * opacity[:, None] + background * (1 - opacity[:, None])
        depth = torch.where(opacity > 0, 2.0, torch.nan)
        return Rendering(
            rgb.view(height, width, 3), depth.view(height, width), opacity.view(height, width), None
        )

    def state(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def restore(self, state: dict[str, Any]) -> None:
        self.scale = state["scale"]

    def training_state(self) -> dict[str, Any]:
        return {"generation": torch.tensor(7)}

    def load_training_state(self, state: dict[str, Any]) -> None:
        assert int(state["generation"]) == 7


class Pool:
    """Rays in a shuffled order, shuffled anew when all are used."""

    def __init__(self, capture: Capture, generator: torch.Generator, count: int):
        self.generator, self.count = generator, count
        directions, colours = [], []
        for index in capture.splits["train"]:
            directions.append(capture.cameras.image_rays(index).directions)
            colours.append(torch.tensor(capture.images[index][..., :3].reshape(-1, 3)).float() / 255)
        self.directions, self.colours = torch.cat(directions), torch.cat(colours)
        self.order = torch.randperm(len(self.colours), generator=generator)
        self.used = 0

    def __iter__(self) -> "Pool":
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self.used + self.count > len(self.order):
            self.order = torch.randperm(len(self.colours), generator=self.generator)
            self.used = 0
        rows = self.order[self.used : self.used + self.count]
        self.used += self.count
        return self.directions[rows], self.colours[rows]

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order, "used": self.used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order, self.used = state["order"].clone(), state["used"]


def write_data(folder: Path, views: int = 9, size: int = 8) -> Path:
    """Write a Blender capture: cameras around the origin, pictures of smooth colours."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for split, count in (("train", views), ("val", 2), ("test", 2)):
        frames = []
        (folder / split).mkdir()
        for k in range(count):
            angle = 2 * np.pi * k / count + {"train": 0.0, "val": 0.1, "test": 0.2}[split]
            c, s = float(np.cos(angle)), float(np.sin(angle))
            matrix = [[c, 0, s, 3 * s], [0, 1, 0, 0.5], [-s, 0, c, 3 * c], [0, 0, 0, 1]]
            frames.append({"file_path": f"./{split}/r_{k}", "transform_matrix": matrix})
            pixels = np.zeros((size, size, 3), np.uint8)
            pixels[...] = (np.array([120 + 80 * c, 100, 120 + 80 * s]) + generator.normal(0, 2, 3)).clip(
                0, 255
            )
            Image.fromarray(pixels).save(folder / split / f"r_{k}.png")
        document = {"camera_angle_x": 0.8, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture
def wave(monkeypatch: pytest.MonkeyPatch) -> MethodInfo:
    """Register the method."""
    monkeypatch.setitem(registry._BUILT_IN, "wave", f"{__name__}:INFO")
    return INFO


@pytest.fixture
def installed_wave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the method as another package would, for processes that are started."""
    information = tmp_path / "installed" / "wave-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: wave\nVersion: 1\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(
        f"[{registry.ENTRY_POINTS}]\nwave = {__name__}:INFO\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(information.parent))
    paths = [str(information.parent), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return information.parent


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small capture on disk."""
    return write_data(tmp_path / "data")


@pytest.fixture
def make_run(wave: MethodInfo, data: Path, tmp_path: Path) -> Callable[..., Run]:
    """Make run folders of the method on the small capture; keywords are fields of its configuration."""

    def make(name: str = "run", seed: int = 0, **config: Any) -> Run:
        folder = tmp_path / name
        record = RunRecord(
            "wave", to_plain(WaveConfig(**config)), DataSource.describe(data, folder), seed=seed
        )
        return Run.create(folder, record)

    return make
