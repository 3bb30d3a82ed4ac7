"""Training batches of `enr`: pairs of views of one object, in the published order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError, warn
from sightline.geometry.turning_volume import relative_motion
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.pictures import fit_pictures

RESIDENT_BYTES = 1 << 33
"""bytes of pictures that are held at most; beyond it they are decoded anew for each batch"""
_AT_ONCE = 64


@dataclass(frozen=True)
class TrainingObject:
    """An object to learn from."""

    capture: Capture
    views: tuple[int, ...]
    """an even number of its views, in the order of their names"""
    turns: Float[Tensor, "views 3 3"]
    shifts: Float[Tensor, "views 3"]
    """in half widths of the volume"""


@dataclass(frozen=True)
class PairBatch:
    """Pictures 2k and 2k + 1 show one object."""

    pictures: Float[Tensor, "batch 3 side side"]
    """in [0, 1]"""
    motions: Float[Tensor, "batch 3 4"]
    """from each picture's volume to that of its partner, where it is looked up"""

    def to(self, device: torch.device | str) -> "PairBatch":
        """Move to a device."""
        return PairBatch(self.pictures.to(device), self.motions.to(device))


def pair_order(counts: Sequence[int], generator: torch.Generator) -> Int[Tensor, "total"]:
    """Draw the order of an epoch: each view once, 2k and 2k + 1 of one object, objects in changing order.

    With as many views of each object these are the published draws: for each pass an order of objects,
    then for each object an order of its views.

    Args:
        counts: even number of views of each object.

    Returns:
        Numbers of views, counted through all objects.
    """
    device = generator.device

    def shuffled(count: int) -> np.ndarray:
        return torch.randperm(count, generator=generator, device=device).cpu().numpy()

    objects = [shuffled(len(counts)) for _ in range(max(counts) // 2)]
    views = [shuffled(count) for count in counts]
    starts = np.concatenate([[0], np.cumsum(counts)])
    order = [
        starts[chosen] + views[chosen][2 * k : 2 * k + 2]
        for k, walk in enumerate(objects)
        for chosen in walk
        if 2 * k < counts[chosen]
    ]
    return torch.from_numpy(np.concatenate(order))


class PictureBank:
    """The training pictures as they go into the network: decoded once and held, where they fit into memory.

    Args:
        objects: what to learn from.
        resident_bytes: how much may be held.
    """

    def __init__(
        self, objects: Sequence[TrainingObject], config: EnrConfig, resident_bytes: int = RESIDENT_BYTES
    ):
        self._objects, self._config = objects, config
        self.counts = [len(entry.views) for entry in objects]
        self._starts = np.concatenate([[0], np.cumsum(self.counts)])
        self.turns = torch.cat([entry.turns for entry in objects])
        self.shifts = torch.cat([entry.shifts for entry in objects])
        self._held: Tensor | None = None
        side = config.image_size
        if int(self._starts[-1]) * 3 * side * side <= resident_bytes:
            self._held = torch.empty(int(self._starts[-1]), 3, side, side, dtype=torch.uint8)
            for position, entry in enumerate(objects):
                for first in range(0, len(entry.views), _AT_ONCE):
                    part = entry.views[first : first + _AT_ONCE]
                    start = int(self._starts[position]) + first
                    self._held[start : start + len(part)] = fit_pictures(
                        entry.capture.images.load(part), config
                    )
        else:
            warn(
                f"The {int(self._starts[-1])} training pictures do not fit into memory and are decoded anew "
                "for each step"
            )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def pictures(self, numbers: Int[Tensor, "n"]) -> UInt8[Tensor, "n 3 side side"]:
        """Give pictures by their numbers."""
        if self._held is not None:
            return self._held.index_select(0, numbers)
        found = []
        for number in numbers.tolist():
            position = int(np.searchsorted(self._starts, number, side="right")) - 1
            entry = self._objects[position]
            found.append(entry.capture.images[entry.views[number - int(self._starts[position])]])
        return fit_pictures(found, self._config)


def mean_colour(objects: Sequence[TrainingObject], config: EnrConfig) -> Float[Tensor, "3"]:
    """Mean colour of some training pictures as they go into the network, in [0, 1]."""
    step = -(-len(objects) // _AT_ONCE)
    pictures = [entry.capture.images[entry.views[len(entry.views) // 2]] for entry in objects[::step]]
    return fit_pictures(pictures, config).float().mean((0, 2, 3)) / 255


class PairMaker:
    """An endless iterator of `PairBatch`, which keeps its place in the epoch.

    The last views of an epoch that fill no batch are left out, as in the published program; an epoch that is
    shorter than a batch is joined with the next ones.

    Args:
        size: pictures of a batch of this process; even.
        generator: where all randomness comes from; batches are on its device.
        vary: makes other pairs of those that were drawn.
    """

    def __init__(
        self,
        bank: PictureBank,
        size: int,
        generator: torch.Generator,
        vary: Callable[[PairBatch, torch.Generator], PairBatch] | None = None,
    ):
        self.bank, self.size, self.generator, self.vary = bank, size, generator, vary
        self._order = torch.empty(0, dtype=torch.int64)
        self._used = 0

    def __iter__(self) -> "PairMaker":
        return self

    def __next__(self) -> PairBatch:
        """Give the next pairs."""
        numbers = self.next_numbers()
        partners = numbers.view(-1, 2).flip(1).reshape(-1)
        motions = relative_motion(
            self.bank.turns[partners],
            self.bank.shifts[partners],
            self.bank.turns[numbers],
            self.bank.shifts[numbers],
        )
        device = self.generator.device
        pictures = self.bank.pictures(numbers).to(device).float() / 255
        batch = PairBatch(pictures, motions.float().to(device))
        return batch if self.vary is None else self.vary(batch, self.generator)

    def next_numbers(self) -> Int[Tensor, "batch"]:
        """Give the numbers of the next views."""
        if self._used + self.size > len(self._order):
            parts = [pair_order(self.bank.counts, self.generator)]
            while sum(map(len, parts)) < self.size:
                parts.append(pair_order(self.bank.counts, self.generator))
            self._order, self._used = torch.cat(parts), 0
        numbers = self._order[self._used : self._used + self.size]
        self._used += self.size
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """The order of the epoch and the place in it."""
        return {"order": self._order.int(), "used": self._used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._order, self._used = state["order"].long(), int(state["used"])


def share_of_batch(size: int, world: int) -> int:
    """Divide a batch among processes so that pairs stay together; InputError where that cannot be."""
    if size % (2 * world):
        raise InputError(
            f"Batches of {size} cannot be divided among {world} processes without parting pairs",
            where="--batch-size",
            fix=f"Give a multiple of {2 * world}",
        )
    return size // world
