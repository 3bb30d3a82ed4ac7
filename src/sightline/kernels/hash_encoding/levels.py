"""Sizes of the tables of a multiresolution hash encoding."""

import functools
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HashLevels:
    """Resolutions and table layout (Müller et al. 2022, section 3), shared by every backend.

    Level l is a grid of `resolutions[l]` cells per axis on the unit cube, growing geometrically from
    `coarsest` to `finest`. A level whose (cells + 1)³ vertices fit into `2**log2_entries` has an entry per
    vertex (dense, x fastest); a larger one is hashed. The levels' entries follow each other in one table of
    shape (entries, features).
    """

    levels: int
    features: int
    log2_entries: int
    coarsest: int
    finest: int

    @functools.cached_property
    def resolutions(self) -> np.ndarray:
        """Cells per axis of each level, int64."""
        growth = math.log(self.finest / self.coarsest) / max(1, self.levels - 1)
        # The small constant keeps exp(log(x)) from falling below the integer it stands for.
        return np.array(
            [int(self.coarsest * math.exp(growth * k) + 1e-6) for k in range(self.levels)], np.int64
        )

    @functools.cached_property
    def dense(self) -> np.ndarray:
        """Whether each level has an entry per vertex."""
        return (self.resolutions + 1) ** 3 <= 2**self.log2_entries

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Entries of each level, int64."""
        return np.where(self.dense, (self.resolutions + 1) ** 3, 2**self.log2_entries).astype(np.int64)

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """First entry of each level, int64."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @property
    def entries(self) -> int:
        """Entries of all levels together."""
        return int(self.sizes.sum())

    @property
    def width(self) -> int:
        """Features of an encoded position."""
        return self.levels * self.features
