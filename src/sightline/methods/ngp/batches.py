"""Training rays of `ngp`: random pixels of random images, made in large pools and handed out step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.geometry import Cameras

# Rays that are made together. Making them costs some fixed time, mostly for lenses.
POOL = 1 << 16


@dataclass(frozen=True)
class RayBatch:
    """Rays of the model frame with what the photos show along them."""

    origins: Tensor
    """(rays, 3)"""
    directions: Tensor
    """(rays, 3) unit length"""
    colours: Tensor
    """(rays, 3 or 4) in [0, 1]; the fourth is opacity, colours are straight"""
    backgrounds: Tensor
    """(rays, 3) random colour to put images with alpha on"""


class RayPool:
    """An endless iterator of `RayBatch`, which keeps the part of its pool that is not used yet.

    Args:
        cameras: training cameras in the model frame.
        count: how many rays the next batch shall have.
    """

    def __init__(
        self,
        capture: Capture,
        views: list[int],
        cameras: Cameras,
        generator: torch.Generator,
        count: Callable[[], int],
    ):
        self.cameras, self.generator, self.count = cameras, generator, count
        self.images = [torch.from_numpy(image) for image in capture.images.load(views)]
        self.usable = None
        if capture.masks is not None:
            ignored = capture.masks.load(views)
            self.usable = [torch.from_numpy(mask.reshape(mask.shape[:2]) == 0) for mask in ignored]
        sizes = torch.tensor([[image.shape[1], image.shape[0]] for image in self.images])
        self.sizes = sizes
        self.pixels = (sizes[:, 0] * sizes[:, 1]).double()
        self.pool: tuple[Tensor, ...] | None = None
        self.used = 0
        self.start_state: Tensor | None = None

    def __iter__(self) -> "RayPool":
        return self

    def __next__(self) -> RayBatch:
        count = self.count()
        parts: list[tuple[Tensor, ...]] = []
        while count > 0:
            if self.pool is None or self.used >= len(self.pool[0]):
                self._fill()
            assert self.pool is not None
            taken = min(count, len(self.pool[0]) - self.used)
            parts.append(tuple(column[self.used : self.used + taken] for column in self.pool))
            self.used += taken
            count -= taken
        columns = (
            parts[0] if len(parts) == 1 else tuple(torch.cat(column) for column in zip(*parts, strict=True))
        )
        return RayBatch(*columns)

    def state_dict(self) -> dict[str, Any]:
        """The generator's state before the pool was made, from which it is made again, and how much is used."""
        return {"start_state": self.start_state, "used": self.used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the pool again that `state_dict` described."""
        if state["start_state"] is not None:
            self.generator.set_state(state["start_state"])
            self._fill()
            self.used = int(state["used"])

    def _fill(self) -> None:
        """Draw pixels evenly over all images' pixels."""
        generator = self.generator
        self.start_state = generator.get_state()
        device = generator.device
        view = torch.multinomial(self.pixels, POOL, replacement=True, generator=generator)
        place = torch.rand(POOL, 2, generator=generator, device=device)
        backgrounds = torch.rand(POOL, 3, generator=generator, device=device)
        pixels = (place * self.sizes[view]).long()
        colours = torch.empty(POOL, self.images[0].shape[2], dtype=torch.uint8)
        keep = torch.ones(POOL, dtype=torch.bool)
        order = torch.argsort(view, stable=True)
        bounds = torch.cat(
            [torch.zeros(1, dtype=torch.long), torch.bincount(view, minlength=len(self.images)).cumsum(0)]
        )
        for index, image in enumerate(self.images):
            rows = order[bounds[index] : bounds[index + 1]]
            x, y = pixels[rows].unbind(-1)
            colours[rows] = image[y, x]
            if self.usable is not None:
                keep[rows] = self.usable[index][y, x]
        rays = self.cameras.rays(view, pixels.double() + 0.5)
        columns = (rays.origins, rays.directions, colours.float() / 255, backgrounds)
        self.pool = tuple(column if bool(keep.all()) else column[keep] for column in columns)
        self.used = 0
