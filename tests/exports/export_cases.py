"""Fields that are known exactly, as a method with a run folder: no training, no network."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.exports.source import Source
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods.base import CAPABILITIES, Method, Rendering, Scene
from sightline.runs.record import DataSource, RunRecord
from sightline.runs.run import Run

CENTRE = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
RADIUS = 0.5


def normal_colours(points: Tensor) -> Tensor:
    """A colour that says in which direction of the centre a point lies."""
    return 0.5 + 0.4 * torch.nn.functional.normalize(points.double() - CENTRE, dim=-1)


class Ball(Scene):
    """A ball whose density falls from `peak` inside to nothing over `edge` around its radius."""

    capabilities = CAPABILITIES - {"multi-view"}

    def __init__(self, peak: float = 200.0, edge: float = 0.05, half: float = 1.5):
        self.peak, self.edge, self.half = peak, edge, half
        self.directions: list[Tensor] = []

    @property
    def bounds(self) -> Tensor:
        return torch.tensor([[-self.half] * 3, [self.half] * 3])

    def density(self, points: Tensor) -> Tensor:
        depth = RADIUS - (points.double() - CENTRE).norm(dim=-1)
        return (self.peak * (depth / self.edge + 0.5).clamp(0, 1)).float()

    def radiance(self, points: Tensor, directions: Tensor) -> Tensor:
        self.directions.append(directions)
        return normal_colours(points).float()


class BallMethod(Method):
    """Renders a scene by quadrature of its density."""

    name: ClassVar[str] = "ball"

    def prepare(self, data: Any) -> Any:
        return data

    def batches(self, prepared: Any, generator: Any, rank: int = 0, world: int = 1) -> Any:
        raise NotImplementedError

    def forward(self, batch: Any, progress: Any) -> Any:
        raise NotImplementedError

    def optimisers(self) -> Any:
        raise NotImplementedError

    def encode(self, views: Capture | None = None) -> Scene:
        return Ball()

    def restore(self, state: dict[str, Any]) -> None:
        pass

    def render(
        self, scene: Scene, camera: Cameras, *, background: Any = None, chunk: Any = None
    ) -> Rendering:
        rays = camera.image_rays(0)
        t = torch.linspace(2, 6, 800)
        points = rays.origins[:, None] + t[:, None] * rays.directions[:, None]
        through = scene.density(points.reshape(-1, 3)).view(len(rays), -1) * float(t[1] - t[0])
        weights = torch.exp(through - through.cumsum(-1)) * -torch.expm1(-through)
        opacity = weights.sum(-1)
        depth = (weights * t).sum(-1) / opacity.clamp_min(1e-9)
        surface = rays.origins + depth[:, None] * rays.directions
        rgb = opacity[:, None] * normal_colours(surface).float()
        if background is not None:
            rgb = rgb + (1 - opacity[:, None]) * background
        shape = int(camera.height[0]), int(camera.width[0])
        return Rendering(
            rgb=rgb.view(*shape, 3),
            depth=torch.where(opacity > 0.01, depth, torch.nan).view(shape),
            opacity=opacity.view(shape),
        )


def cameras_around(count: int = 20, size: int = 64) -> Cameras:
    """Cameras spread over a sphere around the ball."""
    k = np.arange(count) + 0.5
    z, azimuth = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    offset = 4 * np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], -1)
    eyes = torch.from_numpy(offset) + CENTRE
    poses = look_at(eyes, CENTRE, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    return Cameras.create(poses, fx=2.2 * size, width=size, height=size)


def photos_of(scene: Scene, cameras: Cameras, alpha: bool = True) -> Capture:
    """Pictures of a scene, exactly rendered: straight colours with alpha, or over white."""
    images = []
    for view in range(len(cameras)):
        rendering = BallMethod(None).render(scene, cameras[view], background=torch.zeros(3))
        assert rendering.opacity is not None
        opacity = rendering.opacity[..., None]
        if alpha:
            picture = torch.cat([rendering.rgb / opacity.clamp_min(1e-6), opacity], -1)
        else:
            picture = rendering.rgb + 1 - opacity
        images.append((255 * picture.clamp(0, 1)).round().byte().numpy())
    count = len(images)
    return Capture(
        name="ball",
        cameras=cameras,
        images=ImageStore.from_arrays(images),
        image_names=tuple(f"{k:03}.png" for k in range(count)),
        splits={"train": tuple(range(count)), "val": (), "test": ()},
        background="alpha" if alpha else "white",
    )


def source_of(folder: Path, scene: Scene | None = None, **changes: Any) -> Source:
    """What exporters get, for a scene that no training made."""
    scene = scene or Ball()
    cameras = cameras_around()
    run = Run(folder, RunRecord("ball", {}, DataSource("data")))
    arguments: dict[str, Any] = {
        "run": run,
        "method": BallMethod(None),
        "scene": scene,
        "cameras": cameras,
        "open_photos": lambda: photos_of(scene, cameras),
    }
    return Source(**{**arguments, **changes})
