"""Training rays of `nerf`: pixels in a shuffled epoch, with replacement, or of one image at a time.

Rays are made when they are needed, and an epoch's order is computed instead of stored: the images alone are
held.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError, warn
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.rays import RayMaker
from sightline.methods.nerf.tracing import NerfRays

# Decoded images that are held at once; captures beyond it are read anew for every batch.
RESIDENT_BYTES = 1 << 32
_ROUNDS = 6


@dataclass(frozen=True)
class NerfBatch:
    """Rays with what the photos show along them."""

    rays: NerfRays
    colours: Float[Tensor, "rays channels"]
    """in [0, 1]; a fourth number is opacity, colours are straight"""
    random_colours: Float[Tensor, "rays 3"] | None
    """in [0, 1], to put transparent parts on, where the background is random"""


class Pixels:
    """The training pixels of a capture, numbered through: view after view, row by row, without masked ones.

    Args:
        views: the training views.
    """

    def __init__(self, capture: Capture, views: list[int]):
        self.capture, self.views = capture, views
        self.sizes = torch.from_numpy(capture.images.sizes[np.asarray(views)])
        counts = self.sizes.prod(-1)
        self.starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self.usable = self._unmasked() if capture.masks is not None else None
        if not len(self):
            raise InputError("The masks leave no pixel to train on", where=capture.path)
        channels = capture.images.channels
        self._resident: Tensor | None = None
        if int(self.starts[-1]) * channels <= RESIDENT_BYTES:
            flat = torch.empty(int(self.starts[-1]), channels, dtype=torch.uint8)
            for first in range(0, len(views), 8):
                for k, image in enumerate(capture.images.load(views[first : first + 8]), start=first):
                    flat[self.starts[k] : self.starts[k + 1]] = torch.tensor(image).view(-1, channels)
            self._resident = flat
        else:
            warn("The images do not fit into memory and are read anew for every step; --downscale helps")

    def __len__(self) -> int:
        return int(self.starts[-1]) if self.usable is None else len(self.usable)

    def of_view(self, position: int) -> range:
        """Numbers of the pixels of one view, by its position among the views."""
        limits = self.starts[position : position + 2]
        if self.usable is not None:
            limits = torch.searchsorted(self.usable, limits)
        first, end = limits.tolist()
        return range(first, end)

    def locate(self, numbers: Int[Tensor, "n"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n 2"]]:
        """Give the view's position, and column and row, of numbered pixels."""
        flat = numbers if self.usable is None else self.usable[numbers]
        position = torch.searchsorted(self.starts, flat, right=True) - 1
        within, width = flat - self.starts[position], self.sizes[position, 0]
        return position, torch.stack([within % width, within // width], -1)

    def colours(self, numbers: Int[Tensor, "n"]) -> Float[Tensor, "n channels"]:
        """Give the colours of numbered pixels, in [0, 1]."""
        if self._resident is not None:
            flat = numbers if self.usable is None else self.usable[numbers]
            return self._resident[flat].float() / 255
        position, pixel = self.locate(numbers)
        found = torch.empty(len(numbers), self.capture.images.channels, dtype=torch.uint8)
        for k in position.unique().tolist():
            rows = (position == k).nonzero()[:, 0]
            image = self.capture.images[self.views[k]]
            found[rows] = torch.from_numpy(image[pixel[rows, 1].numpy(), pixel[rows, 0].numpy()])
        return found.float() / 255

    def _unmasked(self) -> Tensor:
        assert self.capture.masks is not None
        parts = []
        for k, view in enumerate(self.views):
            mask = self.capture.masks[view].reshape(-1)
            parts.append(torch.from_numpy(np.flatnonzero(mask == 0)) + self.starts[k])
        return torch.cat(parts)


class BatchMaker:
    """An endless iterator of `NerfBatch`, which keeps its place in the epoch.

    Args:
        one_image: whether each batch comes from one image.
        random_background: whether batches carry random colours.
        generator: where all randomness comes from; batches are on its device.
    """

    def __init__(
        self,
        pixels: Pixels,
        maker: RayMaker,
        config: NerfConfig,
        generator: torch.Generator,
        *,
        one_image: bool = False,
        random_background: bool = False,
    ):
        self.pixels, self.maker, self.config, self.generator = pixels, maker, config, generator
        self.one_image, self.random_background = one_image, random_background
        self._keys: list[int] | None = None
        self._used = 0
        self._given = 0

    def __iter__(self) -> "BatchMaker":
        return self

    def __next__(self) -> NerfBatch:
        """Give the next rays."""
        numbers = self._of_one_image() if self.one_image else self._of_all(self.config.rays)
        self._given += 1
        position, pixel = self.pixels.locate(numbers)
        rays = self.maker(position, pixel).rays
        device = self.generator.device
        behind = None
        if self.random_background:
            behind = torch.rand(len(numbers), 3, generator=self.generator, device=device)
        return NerfBatch(rays.to(torch.float32).to(device), self.pixels.colours(numbers).to(device), behind)

    def state_dict(self) -> dict[str, Any]:
        """The order of the epoch, the place in it, and how many batches were given."""
        return {"keys": self._keys, "used": self._used, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._keys = None if state["keys"] is None else [int(key) for key in state["keys"]]
        self._used, self._given = int(state["used"]), int(state["given"])

    def _of_all(self, count: int) -> Tensor:
        total = len(self.pixels)
        if self.config.batching == "replacement":
            return self._integers(total, count)
        parts: list[Tensor] = []
        while count > 0:
            if self._keys is None or self._used >= total:
                self._keys = self._integers(1 << 31, _ROUNDS).tolist()
                self._used = 0
            taken = min(count, total - self._used)
            parts.append(shuffled(torch.arange(self._used, self._used + taken), total, self._keys))
            self._used += taken
            count -= taken
        return torch.cat(parts)

    def _of_one_image(self) -> Tensor:
        position = int(self._integers(len(self.pixels.views), 1))
        own = self.pixels.of_view(position)
        numbers = torch.arange(own.start, own.stop)
        if self._given < self.config.precrop_steps:
            numbers = self._of_middle(numbers, position)
        if not len(numbers):
            # Masks hide all of this image, or its middle.
            return self._integers(len(self.pixels), max(1, self.config.rays))
        if not self.config.rays or self.config.rays >= len(numbers):
            return numbers
        device = self.generator.device
        order = torch.randperm(len(numbers), generator=self.generator, device=device)
        return numbers[order[: self.config.rays].cpu()]

    def _of_middle(self, numbers: Tensor, position: int) -> Tensor:
        _, pixel = self.pixels.locate(numbers)
        half = self.pixels.sizes[position] // 2
        reach = (half * self.config.precrop_fraction).long().clamp_min(1)
        return numbers[((pixel >= half - reach) & (pixel < half + reach)).all(-1)]

    def _integers(self, limit: int, count: int) -> Tensor:
        device = self.generator.device
        return torch.randint(limit, (count,), generator=self.generator, device=device).cpu()


def shuffled(places: Int[Tensor, "n"], total: int, keys: list[int]) -> Int[Tensor, "n"]:
    """Give the numbers at some places of a random order of 0 to total - 1, without making the whole order.

    A Feistel network permutes the next larger power of four; what falls outside is put through it again until
    it falls inside (cycle walking: Black and Rogaway 2002), which keeps it a permutation.

    Args:
        keys: random numbers in [0, 2^31) that settle the order.
    """
    bits = max(1, ((total - 1).bit_length() + 1) // 2)
    numbers = _permute(places, bits, keys)
    outside = (numbers >= total).nonzero()[:, 0]
    while len(outside):
        numbers[outside] = _permute(numbers[outside], bits, keys)
        outside = outside[numbers[outside] >= total]
    return numbers


def _permute(numbers: Tensor, bits: int, keys: list[int]) -> Tensor:
    mask = (1 << bits) - 1
    left, right = numbers >> bits, numbers & mask
    for key in keys:
        mixed = (right * 0x9E3779B1 + key) & 0x7FFFFFFF
        mixed = ((mixed ^ (mixed >> 15)) * 0x85EBCA6B) & 0x7FFFFFFF
        left, right = right, left ^ ((mixed ^ (mixed >> 13)) & mask)
    return (left << bits) | right
