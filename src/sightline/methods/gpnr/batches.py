"""Training batches of `gpnr`: rays of one picture, and views near to it that it is to be seen from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.epipolar import SourceCameras, TargetRays
from sightline.methods.gpnr.views import SceneViews, rays_through


@dataclass(frozen=True, eq=False)
class GpnrBatch:
    """Rays, the source views that show what they see, and what they see."""

    rays: TargetRays
    cameras: SourceCameras
    pictures: tuple[Num[Tensor, "_ _ 3"], ...]
    """of the sources, in [0, 1] or uint8"""
    colours: Float[Tensor, "rays 3"]
    """in [0, 1]"""

    def to(self, device: torch.device | str) -> "GpnrBatch":
        """Move to a device."""
        rays, cameras = self.rays.to(device), self.cameras.to(device)
        pictures = tuple(picture.to(device) for picture in self.pictures)
        return GpnrBatch(rays, cameras, pictures, self.colours.to(device))


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """A scene, and which of its views are learnt from."""

    views: SceneViews
    members: tuple[int, ...]


@dataclass(frozen=True)
class Draw:
    """What a step is made of."""

    view: int
    pixels: np.ndarray
    """(rays,) counted row by row"""
    sources: tuple[int, ...]


def draw_step(
    scene: TrainingScene, rays: int, sources: int, neighbours: int, random: np.random.RandomState
) -> Draw:
    """Draw a picture, pixels of it with replacement, and sources among the nearest others.

    The order of the draws is that of the published program. Pixels that a mask leaves out are not drawn.

    Args:
        sources: how many; fewer where the scene has no more.
        neighbours: among how many of the nearest views they are drawn.
    """
    views = scene.views
    target = scene.members[random.randint(len(scene.members))]
    width, height = views.size(target)
    counting = views.counting_pixels(target)
    pixels = random.randint(0, width * height if counting is None else len(counting), size=(rays,))
    pixels = pixels if counting is None else counting[pixels]
    near = views.nearest(views.c2w[target], [view for view in scene.members if view != target])[:neighbours]
    chosen = random.choice(near, min(sources, len(near)), replace=False)
    return Draw(target, pixels, tuple(int(view) for view in chosen))


class RayMaker:
    """An endless iterator of `GpnrBatch`, which keeps the scene that it is at.

    Args:
        rays: of a batch of this process.
        generator: where all randomness comes from; batches are on its device.
    """

    def __init__(
        self, scenes: Sequence[TrainingScene], config: GpnrConfig, rays: int, generator: torch.Generator
    ):
        self.scenes, self.config, self.rays, self.generator = scenes, config, rays, generator
        self._scene, self._left = 0, 0

    def __iter__(self) -> "RayMaker":
        return self

    def __next__(self) -> GpnrBatch:
        """Give the next rays."""
        device = self.generator.device
        # One number from the device's generator: all else is drawn on the CPU, where pictures are.
        seed = int(torch.randint(1 << 32, (1,), generator=self.generator, device=device))
        random = np.random.RandomState(seed)
        if not self._left:
            self._scene, self._left = random.randint(len(self.scenes)), self.config.scene_steps
        self._left -= 1
        config, scene = self.config, self.scenes[self._scene]
        drawn = draw_step(scene, self.rays, config.sources, config.neighbours, random)
        return make_batch(scene.views, drawn, config).to(device)

    def state_dict(self) -> dict[str, Any]:
        """Which scene, and for how many steps more."""
        return {"scene": self._scene, "left": self._left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._scene, self._left = int(state["scene"]), int(state["left"])


def make_batch(views: SceneViews, drawn: Draw, config: GpnrConfig) -> GpnrBatch:
    """Load what was drawn."""
    width, _ = views.size(drawn.view)
    columns, rows = torch.from_numpy(drawn.pixels % width), torch.from_numpy(drawn.pixels // width)
    target, *pictures = (views.picture(view) for view in (drawn.view, *drawn.sources))
    rays = rays_through(
        torch.stack([columns, rows], -1),
        views.c2w[drawn.view],
        views.intrinsics[drawn.view],
        (views.near, views.far),
        config.pixel_centre,
    )
    colours = target[rows, columns]
    colours = colours / 255 if colours.dtype == torch.uint8 else colours
    return GpnrBatch(rays, views.cameras(drawn.sources), tuple(pictures), colours)
