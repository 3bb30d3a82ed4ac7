"""Intervals of many rays in one list."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Intervals:
    """Intervals along rays, those of one ray next to each other and in order of distance.

    Ray r has the intervals `offsets[r]` to `offsets[r + 1]`; rays may have none.
    """

    offsets: Tensor
    """(rays + 1,) int64"""
    starts: Tensor
    """(n,) distance at which each interval begins"""
    ends: Tensor
    """(n,) distance at which it ends"""

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def rays(self) -> int:
        """Number of rays, those without intervals too."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Tensor:
        """(rays,) intervals of each ray."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def ray_indices(self) -> Tensor:
        """(n,) ray of each interval."""
        return indices_from_offsets(self.offsets, len(self))


def offsets_from_counts(counts: Tensor) -> Tensor:
    """(rays + 1,) offsets of rays with `counts` (rays,) intervals."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


@dataclass(frozen=True)
class Samples:
    """Points along rays at which a field is asked, those of one ray in order of distance."""

    offsets: Tensor
    """(rays + 1,) int64, as in `Intervals`"""
    distances: Tensor
    """(n,) distance along the ray"""
    lengths: Tensor
    """(n,) length of the part of the ray that each sample stands for"""
    ray_indices: Tensor
    """(n,) int64 ray of each sample"""

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def rays(self) -> int:
        """Number of rays, those without samples too."""
        return len(self.offsets) - 1

    def only(self, kept: Tensor) -> "Samples":
        """Take the samples that (n,) bool or (m,) ascending indices say, with the lengths they have."""
        rays = self.ray_indices[kept]
        offsets = offsets_from_counts(torch.bincount(rays, minlength=self.rays))
        return Samples(offsets, self.distances[kept], self.lengths[kept], rays)


def indices_from_offsets(offsets: Tensor, total: int | None = None) -> Tensor:
    """(n,) ray of each element, for (rays + 1,) offsets; with `total`, n, a GPU need not be waited for."""
    rays = torch.arange(len(offsets) - 1, device=offsets.device)
    return torch.repeat_interleave(rays, offsets[1:] - offsets[:-1], output_size=total)
