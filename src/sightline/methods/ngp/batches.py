"""Training rays of `ngp`: random pixels of random images, made in large pools and handed out step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

# Rays that are made together: making them costs some fixed time, mostly for lenses.
POOL = 1 << 16
# Decoded images that are held at once. Captures beyond it are gone through a part at a time.
RESIDENT_BYTES = 1 << 31
# Part of the resident images that each new pool replaces.
_ROTATION = 0.125


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
        capture: the scene, whose images are read when they are needed.
        views: the training views.
        cameras: their cameras in the model frame.
        generator: where all randomness comes from; batches are on its device.
        count: says how many rays the next batch shall have.
    """

    def __init__(
        self,
        capture: Capture,
        views: list[int],
        cameras: Cameras,
        generator: torch.Generator,
        count: Callable[[], int],
    ):
        self.capture, self.views, self.cameras = capture, views, cameras
        self.generator, self.count = generator, count
        self.sizes = torch.stack([cameras.width, cameras.height], -1).cpu()
        self._resident = self._choose_resident()
        self._images: dict[int, Tensor] = {}
        self._usable: dict[int, Tensor] = {}
        self._pool: tuple[Tensor, ...] | None = None
        self._used = 0
        self._made_from: dict[str, Any] | None = None

    def __iter__(self) -> "RayPool":
        return self

    def __next__(self) -> RayBatch:
        """Give the next rays."""
        count = self.count()
        parts: list[tuple[Tensor, ...]] = []
        while count > 0:
            if self._pool is None or self._used >= len(self._pool[0]):
                self._fill()
            assert self._pool is not None
            taken = min(count, len(self._pool[0]) - self._used)
            parts.append(tuple(column[self._used : self._used + taken] for column in self._pool))
            self._used += taken
            count -= taken
        if len(parts) == 1:
            return RayBatch(*parts[0])
        return RayBatch(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """What the pool is made from again, and how much of it is used."""
        return {"made_from": self._made_from, "used": self._used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the pool again that `state_dict` described."""
        if state["made_from"] is not None:
            self._resident = state["made_from"]["resident"].clone()
            self.generator.set_state(state["made_from"]["generator"])
            self._fill(rotate=False)
            self._used = int(state["used"])

    def _choose_resident(self) -> Tensor:
        """Positions of the images that fit into memory: all of them, mostly."""
        channels = self.capture.images.channels + (self.capture.masks is not None)
        mean_bytes = float(self.sizes.prod(-1).double().mean()) * channels
        fits = max(1, int(RESIDENT_BYTES / max(mean_bytes, 1.0)))
        if fits >= len(self.views):
            return torch.arange(len(self.views))
        order = torch.randperm(len(self.views), generator=self.generator, device=self.generator.device)
        return order[:fits].cpu()

    def _fill(self, rotate: bool = True) -> None:
        """Draw pixels evenly over the pixels of the resident images."""
        if rotate and self._pool is not None:
            self._rotate()
        generator, device = self.generator, self.generator.device
        self._made_from = {"generator": generator.get_state(), "resident": self._resident.clone()}
        self._load()
        resident = self._resident.to(device)
        pixels = self.sizes.to(device)[resident].double().prod(-1)
        drawn = torch.multinomial(pixels, POOL, replacement=True, generator=generator)
        place = torch.rand(POOL, 2, generator=generator, device=device)
        backgrounds = torch.rand(POOL, 3, generator=generator, device=device)
        view = resident[drawn]
        pixel = (place * self.sizes.to(device)[view]).long()
        colours, keep = self._look_up(view.cpu(), pixel.cpu())
        rays = self.cameras.rays(view.cpu(), pixel.cpu().double() + 0.5)
        columns = (rays.origins, rays.directions, colours.float() / 255, backgrounds.cpu())
        if keep is not None:
            if not keep.any():
                raise InputError("The masks leave no pixel to train on", where=self.capture.path)
            columns = tuple(column[keep] for column in columns)
        self._pool = tuple(column.to(device) for column in columns)
        self._used = 0

    def _look_up(self, view: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor | None]:
        """Colours (n, channels) uint8 of pixels, and which of them are not masked out."""
        colours = torch.empty(len(view), self.capture.images.channels, dtype=torch.uint8)
        keep = torch.ones(len(view), dtype=torch.bool) if self._usable else None
        order = torch.argsort(view, stable=True)
        ends = torch.bincount(view, minlength=len(self.views)).cumsum(0).tolist()
        for position in self._resident.tolist():
            rows = order[ends[position - 1] if position else 0 : ends[position]]
            x, y = pixel[rows].unbind(-1)
            colours[rows] = self._images[position][y, x]
            if keep is not None:
                keep[rows] = self._usable[position][y, x]
        return colours, keep

    def _rotate(self) -> None:
        """Replace a part of the resident images by others, where not all of them fit."""
        missing = torch.ones(len(self.views), dtype=torch.bool)
        missing[self._resident] = False
        others = missing.nonzero()[:, 0]
        if not len(others):
            return
        device = self.generator.device
        replaced = min(max(1, int(_ROTATION * len(self._resident))), len(others))
        chosen = torch.randperm(len(others), generator=self.generator, device=device)[:replaced].cpu()
        self._resident = torch.cat([self._resident[replaced:], others[chosen]])

    def _load(self) -> None:
        """Decode the resident images that are not held yet, and forget the others."""
        wanted = self._resident.tolist()
        self._images = {k: self._images[k] for k in wanted if k in self._images}
        new = [k for k in wanted if k not in self._images]
        indices = [self.views[k] for k in new]
        for k, image in zip(new, self.capture.images.load(indices), strict=True):
            self._images[k] = torch.from_numpy(image if image.flags.writeable else image.copy())
        if self.capture.masks is not None:
            self._usable = {k: self._usable[k] for k in wanted if k in self._usable}
            for k, mask in zip(new, self.capture.masks.load(indices), strict=True):
                self._usable[k] = torch.from_numpy(mask.reshape(mask.shape[:2]) == 0)
