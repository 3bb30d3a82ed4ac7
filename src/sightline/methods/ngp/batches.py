"""Training rays of `ngp`: random pixels of random images, made in large pools and handed out step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

# Rays that are made together: making them costs some fixed time, mostly for lenses.
POOL = 1 << 16
# Decoded images that are held at once, and for a moment twice. Captures beyond it are gone through a part at
# a time.
RESIDENT_BYTES = 1 << 30
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
    views: Tensor | None = None
    """(rays,) positions of the photos among the training views, where they are asked for"""


class RayPool:
    """An endless iterator of `RayBatch`, which keeps the part of its pool that is not used yet.

    Args:
        capture: the scene, whose images are read when they are needed.
        views: the training views.
        cameras: their cameras in the model frame.
        generator: where all randomness comes from; batches are on its device.
        count: says how many rays the next batch shall have.
        tell_views: whether batches say which photo each ray is of.
    """

    def __init__(
        self,
        capture: Capture,
        views: list[int],
        cameras: Cameras,
        generator: torch.Generator,
        count: Callable[[], int],
        tell_views: bool = False,
    ):
        self.capture, self.views, self.cameras = capture, views, cameras
        self.generator, self.count = generator, count
        self.tell_views = tell_views
        self.sizes = torch.stack([cameras.width, cameras.height], -1).cpu()
        self._resident = self._choose_resident()
        self._pixels = _Pixels(capture, views, self.sizes)
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
        """Draw pixels evenly over those of the resident images."""
        if rotate and self._pool is not None:
            self._rotate()
        generator, device = self.generator, self.generator.device
        self._made_from = {"generator": generator.get_state(), "resident": self._resident.clone()}
        self._pixels.hold(self._resident.tolist())
        drawn = torch.randint(len(self._pixels), (POOL,), generator=generator, device=device).cpu()
        backgrounds = torch.rand(POOL, 3, generator=generator, device=device)
        view, pixel = self._pixels.places(drawn)
        # Ten times as fast as indexing with brackets.
        colours, keep = self._pixels.colours.index_select(0, drawn), self._pixels.usable
        rays = self.cameras.rays(view, pixel.double() + 0.5)
        columns = (rays.origins, rays.directions, colours.float() / 255, backgrounds.cpu())
        columns = (*columns, view) if self.tell_views else columns
        if keep is not None:
            keep = keep[drawn]
            if not keep.any():
                raise InputError("The masks leave no pixel to train on", where=self.capture.path)
            columns = tuple(column[keep] for column in columns)
        self._pool = tuple(column.to(device) for column in columns)
        self._used = 0

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


class _Pixels:
    """The pixels of the images that are held, one image after the other in one list."""

    def __init__(self, capture: Capture, views: list[int], sizes: Tensor):
        self.capture, self.views, self.sizes = capture, views, sizes
        self.colours = torch.empty(0, capture.images.channels, dtype=torch.uint8)
        self.usable = None if capture.masks is None else torch.empty(0, dtype=torch.bool)
        self._held: list[int] = []
        self._ends = torch.zeros(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.colours)

    def places(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Position among the views (n,) and integer x, y (n, 2) of pixels of the list."""
        sizes = self.sizes[self._held]
        if bool((sizes == sizes[0]).all()):
            # A search takes a fifth of the time of making a pool.
            held = torch.div(pixels, int(sizes[0].prod()), rounding_mode="floor")
        else:
            held = torch.searchsorted(self._ends, pixels, right=True)
        view = torch.tensor(self._held)[held]
        width = self.sizes[view, 0]
        within = pixels - self._ends[held] + width * self.sizes[view, 1]
        y = torch.div(within, width, rounding_mode="floor")
        return view, torch.stack([within - y * width, y], -1)

    def hold(self, wanted: list[int]) -> None:
        """Hold these positions among the views: decode those that are new, forget the others."""
        if wanted == self._held:
            return
        ends = self.sizes[wanted].prod(-1).cumsum(0)
        colours = self.colours.new_empty(int(ends[-1]), self.colours.shape[1])
        usable = None if self.usable is None else self.usable.new_empty(len(colours))
        old = dict(zip(self._held, self._slices(self._ends), strict=True))
        new = dict(zip(wanted, self._slices(ends), strict=True))
        for k in wanted:
            if k in old:
                colours[new[k]] = self.colours[old[k]]
                if usable is not None and self.usable is not None:
                    usable[new[k]] = self.usable[old[k]]
        missing = [k for k in wanted if k not in old]
        indices = [self.views[k] for k in missing]
        for k, image in zip(missing, self.capture.images.load(indices), strict=True):
            colours[new[k]] = torch.from_numpy(image.reshape(-1, image.shape[-1]).copy())
        if usable is not None and self.capture.masks is not None:
            for k, mask in zip(missing, self.capture.masks.load(indices), strict=True):
                usable[new[k]] = torch.from_numpy(mask.reshape(-1) == 0)
        self.colours, self.usable, self._held, self._ends = colours, usable, wanted, ends

    @staticmethod
    def _slices(ends: Tensor) -> list[slice]:
        limits = [0, *ends.tolist()]
        return [slice(a, b) for a, b in pairwise(limits)]
