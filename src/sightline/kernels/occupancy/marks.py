"""The bit that marks a cell, for kernels that read or write marks."""

import numpy as np

from sightline.kernels.compiling import inline
from sightline.kernels.occupancy.reference import MARK_BLOCK, MARK_SHIFT

_LOW, _SHIFT = np.int32(MARK_BLOCK - 1), np.int32(MARK_SHIFT)


@inline
def mark_place(i, j, k):
    """Index of the word of `marks` that holds the mark of the cell i, j, k (x, y, z), and its bit there."""
    place = ((k & _LOW) << 2 * _SHIFT) | ((j & _LOW) << _SHIFT) | (i & _LOW)
    return (k >> _SHIFT, j >> _SHIFT, i >> _SHIFT), np.uint64(1) << np.uint64(place)
