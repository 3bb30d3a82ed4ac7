"""Updates of an opacity grid in Numba."""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel
from sightline.kernels.occupancy.marks import mark_place
from sightline.kernels.occupancy.reference import BLOCK, MARK_BLOCK


@kernel("void(float32[:,:,::1], float32, float32[:,:,::1], uint64[:,:,::1], int64, int64)")
def _summarise(opacity, threshold, coarse, marks, first, last):
    """Fill the layers first … last - 1 of blocks."""
    side = len(opacity)
    for a in range(first, last):
        coarse[a] = -np.inf
        for k in range(a * BLOCK, min((a + 1) * BLOCK, side)):
            for j in range(side):
                row, tops = opacity[k, j], coarse[a, j // BLOCK]
                for i in range(side):
                    value = row[i]
                    tops[i // BLOCK] = max(tops[i // BLOCK], value)
                    if value > threshold:
                        word, bit = mark_place(i, j, k)
                        marks[word] |= bit


def summarise(opacity: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Maxima of blocks and marks of cells; see `sightline.kernels.occupancy.summarise`."""
    blocks, words = (-(-len(opacity) // size) for size in (BLOCK, MARK_BLOCK))
    coarse, marks = torch.empty(blocks, blocks, blocks), torch.zeros((words,) * 3, dtype=torch.int64)
    arrays = opacity.detach().contiguous().numpy(), np.float32(threshold), coarse.numpy(), _words(marks)
    parallel.over_ranges(_summarise.compiled(), blocks, *arrays, least=2)
    return coarse, marks


def _words(marks: Tensor) -> np.ndarray:
    return marks.numpy().view(np.uint64)


@kernel(
    "void(float32[:,:,::1], float32[:,:,::1], uint64[:,:,::1], float32[:,::1], float32[::1], float32,"
    " boolean, float32, float32, int64, int64)"
)
def _observe(opacity, coarse, marks, cube, sigmas, step, contracted, rate, threshold, first, last):
    """Follow the points in the layers first … last - 1 of blocks, in their order."""
    side = opacity.shape[0]
    cells, top = np.float32(side), np.int64(side - 1)
    one, two, four, limit = np.float32(1), np.float32(2), np.float32(4), np.float32(1.999)
    for n in range(len(sigmas)):
        x, y, z = cube[n, 0], cube[n, 1], cube[n, 2]
        k = min(max(np.int64(z * cells), 0), top)
        a = k // BLOCK
        if a < first or a >= last:
            continue
        length = step
        if contracted:
            norm = max(abs(x * four - two), max(abs(y * four - two), abs(z * four - two)))
            if norm > one:
                radius = one / (two - min(norm, limit))
                length = step * radius * radius
        found = one - math.exp(-sigmas[n] * length)
        i = min(max(np.int64(x * cells), 0), top)
        j = min(max(np.int64(y * cells), 0), top)
        value = opacity[k, j, i] + rate * (found - opacity[k, j, i])
        opacity[k, j, i] = value
        b, c = j // BLOCK, i // BLOCK
        coarse[a, b, c] = max(coarse[a, b, c], value)
        if marks.size:
            word, bit = mark_place(i, j, k)
            marks[word] = marks[word] | bit if value > threshold else marks[word] & ~bit


def observe(
    opacity: Tensor,
    coarse: Tensor,
    cube: Tensor,
    sigmas: Tensor,
    step: float,
    contracted: bool,
    rate: float,
    marks: Tensor | None,
    threshold: float,
) -> None:
    """Follow observations in place; every part owns some layers of cells, and looks at all points."""
    words = np.empty((0, 0, 0), np.uint64) if marks is None else _words(marks)
    points = cube.contiguous().numpy(), sigmas.detach().contiguous().numpy()
    numbers = np.float32(step), contracted, np.float32(rate), np.float32(threshold)
    arrays = opacity.numpy(), coarse.numpy(), words
    parallel.over_ranges(_observe.compiled(), len(coarse), *arrays, *points, *numbers, least=1)
