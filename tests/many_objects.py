"""A small method that generalises, and small collections of objects, for tests of what is around methods.

`warp` shows the source view whose camera is nearest to the target, moved by the homography of the plane
through the world's origin that faces the target, blended with a colour; it learns the blend and the colour.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sightline.captures import Capture, Collection, CollectionObject, ImageStore, formats
from sightline.captures.formats import Format
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods import registry
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.registry import MethodInfo
from sightline.runs.checkpoint import Checkpoint
from sightline.runs.record import DataSource, RunProgress, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import to_plain

SIZE = 24
RADIUS = 2.0


@dataclass(frozen=True, kw_only=True)
class WarpConfig:
    """How much of the warped source is shown."""

    blend: float = 0.5
    """before training"""
    learning_rate: float = 0.05
    """of all parameters"""


INFO = MethodInfo(
    name="warp",
    summary="a method for tests of many objects",
    paper="none",
    learns="many scenes",
    config=f"{__name__}:WarpConfig",
    method=f"{__name__}:Warp",
    default_steps=10,
)


class WarpScene(Scene):
    """Source pictures with their cameras."""

    capabilities = frozenset({"rgb", "depth", "multi-view"})

    def __init__(self, pictures: list[Tensor], cameras: Cameras):
        self.pictures, self.cameras = pictures, cameras


class Warp(Method):
    name: ClassVar[str] = "warp"
    config: WarpConfig
    encoded: ClassVar[list[tuple[str, ...]]] = []
    """names of the source views of every scene that was encoded"""

    def __init__(self, config: WarpConfig):
        super().__init__(config)
        self.blend = torch.nn.Parameter(torch.tensor(config.blend))
        self.colour = torch.nn.Parameter(torch.ones(3) / 2)

    def prepare(self, data: Any) -> list[Capture]:
        if isinstance(data, Capture):
            return [data]
        return [entry.open() for entry in data.split("train")]

    def batches(self, prepared: list[Capture], generator: torch.Generator, rank: int = 0, world: int = 1):
        def draw(most: int) -> int:
            return int(torch.randint(most, (1,), generator=generator))

        while True:
            capture = prepared[draw(len(prepared))]
            yield capture, draw(len(capture)), draw(len(capture))

    def forward(self, batch: tuple[Capture, int, int], progress: Progress) -> dict[str, Tensor]:
        capture, source, target = batch
        picture, _ = self._picture(self.encode(capture.view(source)), capture.cameras[target], torch.ones(3))
        loss = (picture - _picture(capture, target)).square().mean()
        return {"loss": loss, "psnr": -10 * loss.detach().log10()}

    def optimisers(self) -> list[Optimisation]:
        return [
            Optimisation(torch.optim.Adam(self.parameters(), lr=self.config.learning_rate), lambda p: 1.0)
        ]

    def encode(self, views: Capture | None = None) -> WarpScene:
        assert views is not None
        assert len(views) > 0
        self.encoded.append(views.image_names)
        return WarpScene([_picture(views, index) for index in range(len(views))], views.cameras)

    def render(
        self, scene: Scene, camera: Cameras, *, background: Tensor | None = None, chunk: int | None = None
    ) -> Rendering:
        assert isinstance(scene, WarpScene)
        rgb, depth = self._picture(scene, camera, torch.ones(3) if background is None else background)
        return Rendering(rgb.clamp(0, 1), depth=depth)

    def _picture(self, scene: WarpScene, camera: Cameras, background: Tensor) -> tuple[Tensor, Tensor]:
        nearest = int((scene.cameras.centres - camera.centres).norm(dim=-1).argmin())
        source = scene.pictures[nearest]
        rays = camera.image_rays(0)
        normal = camera.c2w[0, :, 2].float()
        t = -(rays.origins @ normal) / (rays.directions @ normal)
        places, ahead = scene.cameras.project(rays.origins + t[:, None] * rays.directions, nearest)
        extent = torch.tensor([source.shape[1], source.shape[0]])
        grid = (2 * places / extent - 1)[None, None]
        plane = (source - background).permute(2, 0, 1)[None]
        moved = torch.nn.functional.grid_sample(plane, grid, align_corners=False)[0, :, 0].T + background
        moved = torch.where((ahead > 0)[:, None], moved, background)
        shape = (int(camera.height[0]), int(camera.width[0]))
        rgb = self.blend * moved + (1 - self.blend) * self.colour
        return rgb.view(*shape, 3), t.view(shape)

    def restore(self, state: dict[str, Any]) -> None:
        pass

    def views_of_photos(self, photos) -> Capture:
        camera = torch.eye(4)[None, :3].clone()
        camera[0, 2, 3] = RADIUS
        height, width = photos[0].shape[:2]
        return Capture(
            name="photo",
            cameras=Cameras.create(camera, fx=float(width), width=width, height=height),
            images=ImageStore.from_arrays([photos[0]]),
            image_names=("photo.png",),
            splits={"train": (0,), "val": (), "test": ()},
            background="alpha" if photos[0].shape[2] == 4 else "photo",
        )


def _picture(capture: Capture, index: int) -> Tensor:
    pixels = torch.from_numpy(np.array(capture.images[index])).float() / 255
    if pixels.shape[-1] == 4:
        pixels = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    return pixels


def ring(count: int, start: float = 0.0, elevation: float = 0.4) -> Tensor:
    """Poses on a level circle around the origin, z up: (count, 3, 4)."""
    angles = start + torch.arange(count) * (2 * torch.pi / count)
    level = RADIUS * torch.cos(torch.tensor(elevation))
    height = (RADIUS * torch.sin(torch.tensor(elevation))).expand(count)
    eyes = torch.stack([level * torch.cos(angles), level * torch.sin(angles), height], -1)
    return look_at(eyes, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))


def cameras_of(poses: Tensor, size: int = SIZE) -> Cameras:
    return Cameras.create(poses, fx=1.1 * size, width=size, height=size)


def draw_ball(cameras: Cameras, seed: int) -> list[np.ndarray]:
    """A striped ball of its own colours and size before white, uint8 (h, w, 3)."""
    random = np.random.default_rng(seed)
    base, stripe = random.uniform(0.1, 0.9, (2, 3))
    radius, waves = random.uniform(0.4, 0.7), random.integers(2, 5)
    pictures = []
    for index in range(len(cameras)):
        rays = cameras.image_rays(index)
        origins, directions = rays.origins.numpy(), rays.directions.numpy()
        b, c = (origins * directions).sum(-1), (origins**2).sum(-1) - radius**2
        root = b**2 - c
        points = origins + (-b - np.sqrt(np.maximum(root, 0)))[:, None] * directions
        share = 0.5 + 0.5 * np.sin(waves * (points @ [3.0, 1.0, 2.0]))[:, None]
        colours = np.where((root > 0)[:, None], base * share + stripe * (1 - share), 1.0)
        shape = (int(cameras.height[index]), int(cameras.width[index]), 3)
        pictures.append(np.rint(255 * colours).astype(np.uint8).reshape(shape))
    return pictures


def ball(id: str, seed: int, poses: Tensor | None = None, names: list[str] | None = None) -> Capture:
    """An object in memory."""
    cameras = cameras_of(ring(8) if poses is None else poses)
    return Capture(
        name=id,
        cameras=cameras,
        images=ImageStore.from_arrays(draw_ball(cameras, seed)),
        image_names=tuple(names or [f"{index:05d}.png" for index in range(len(cameras))]),
        splits={"train": (), "val": (), "test": ()},
        background="white",
        path=Path(id),
    )


def balls(train: int = 5, test: int = 3, views: int = 8) -> Collection:
    """A collection in memory: `a0` … for training, `t0` … for testing, of two categories."""
    ids = [f"a{k}" for k in range(train)] + [f"t{k}" for k in range(test)]
    objects = [
        CollectionObject(
            id, "even" if int(id[1:]) % 2 == 0 else "odd", functools.partial(ball, id, k, ring(views))
        )
        for k, id in enumerate(ids)
    ]
    splits = {"train": tuple(ids[:train]), "val": (), "test": tuple(ids[train:])}
    return Collection(name="balls", objects=objects, splits=splits, path=Path("balls"))


def write_balls(
    folder: Path, train: int = 4, val: int = 2, test: int = 3, views: int = 8, size: int = SIZE
) -> Path:
    """Write a set of objects: SPLIT/ID/00000.png … and a list of poses."""
    cameras = cameras_of(ring(views), size)
    seed = 0
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            object = folder / split / f"{split}_{k}"
            object.mkdir(parents=True)
            for index, picture in enumerate(draw_ball(cameras, seed)):
                Image.fromarray(picture).save(object / f"{index:05d}.png")
            (object / "balls.json").write_text(json.dumps(cameras.to_json()), encoding="utf-8")
            seed += 1
    return folder


def read_ball(folder: Path, options: ReadOptions) -> Capture:
    """Read one object."""
    pictures = sorted(folder.glob("*.png"))
    cameras = Cameras.from_json(json.loads((folder / "balls.json").read_text(encoding="utf-8")))
    if options.downscale != 1:
        cameras = cameras.downscaled(options.downscale)
    sizes = torch.stack([cameras.width, cameras.height], -1).numpy()
    return Capture(
        name=folder.name,
        cameras=cameras,
        images=ImageStore(pictures, sizes, channels=3),
        image_names=tuple(path.name for path in pictures),
        splits={"train": (), "val": (), "test": ()},
        background="white",
        format="balls",
        path=folder,
    )


def read_balls(folder: Path, options: ReadOptions) -> Collection | Capture:
    """Read a set, or one object."""
    if (folder / "balls.json").is_file():
        return read_ball(folder, options)
    objects, splits = [], {}
    for split in ("train", "val", "test"):
        found = sorted((folder / split).iterdir()) if (folder / split).is_dir() else []
        splits[split] = tuple(path.name for path in found)
        objects += [
            CollectionObject(path.name, "ball", functools.partial(read_ball, path, options)) for path in found
        ]
    return Collection(
        name=folder.name,
        objects=objects,
        splits=splits,
        format="balls",
        path=folder,
        options=options_to_json(options),
    )


FORMAT = Format(
    name="balls",
    summary="for tests",
    looked_for="",
    detect=lambda path: (
        path.is_dir() and ((path / "balls.json").is_file() or any(path.glob("*/*/balls.json")))
    ),
    read=read_balls,
)


@pytest.fixture
def warp(monkeypatch: pytest.MonkeyPatch) -> MethodInfo:
    """Register the method and the format."""
    monkeypatch.setitem(registry._BUILT_IN, "warp", f"{__name__}:INFO")
    monkeypatch.setitem(formats._BUILT_IN, "balls", f"{__name__}:FORMAT")
    monkeypatch.setattr(Warp, "encoded", [])
    return INFO


@pytest.fixture
def ball_data(tmp_path: Path) -> Path:
    """A set of objects on disk."""
    return write_balls(tmp_path / "balls")


@pytest.fixture
def make_warp_run(warp: MethodInfo, ball_data: Path, tmp_path: Path) -> Callable[..., Run]:
    """Make run folders of the method on the set; keywords are fields of its configuration."""

    def make(name: str = "run", data: Path | None = None, **config: Any) -> Run:
        folder = tmp_path / name
        record = RunRecord(
            "warp", to_plain(WarpConfig(**config)), DataSource.describe(data or ball_data, folder)
        )
        return Run.create(folder, record)

    return make


def with_weights(run: Run, step: int = 1, blend: float = 0.7) -> Run:
    """Say that a run of the method is trained."""
    method = Warp(WarpConfig(blend=blend))
    checkpoint = Checkpoint("warp", step, {k: v.detach() for k, v in method.state_dict().items()})
    run.write_checkpoint(checkpoint, progress=RunProgress(step=step, fraction=1.0, finished=True))
    return run
