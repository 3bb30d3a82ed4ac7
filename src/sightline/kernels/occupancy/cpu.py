"""Updates of an opacity grid in Numba."""

import math

import numpy as np
from torch import Tensor

from sightline.kernels.compiling import kernel
from sightline.kernels.occupancy.reference import BLOCK


@kernel("void(float32[:,:,::1], float32[:,:,::1], float32[:,::1], float32[::1], float32, boolean, float32)")
def _observe(opacity, coarse, cube, sigmas, step, contracted, rate):
    side = opacity.shape[0]
    cells, top = np.float32(side), np.int64(side - 1)
    one, two, four, limit = np.float32(1), np.float32(2), np.float32(4), np.float32(1.999)
    for n in range(len(sigmas)):
        x, y, z = cube[n, 0], cube[n, 1], cube[n, 2]
        length = step
        if contracted:
            norm = max(abs(x * four - two), max(abs(y * four - two), abs(z * four - two)))
            if norm > one:
                radius = one / (two - min(norm, limit))
                length = step * radius * radius
        found = one - math.exp(-sigmas[n] * length)
        i = min(max(np.int64(x * cells), 0), top)
        j = min(max(np.int64(y * cells), 0), top)
        k = min(max(np.int64(z * cells), 0), top)
        value = opacity[k, j, i] + rate * (found - opacity[k, j, i])
        opacity[k, j, i] = value
        a, b, c = k // BLOCK, j // BLOCK, i // BLOCK
        coarse[a, b, c] = max(coarse[a, b, c], value)


def observe(
    opacity: Tensor, coarse: Tensor, cube: Tensor, sigmas: Tensor, step: float, contracted: bool, rate: float
) -> None:
    """Follow observations in place; one thread, since the points of a step are few and cells are shared."""
    arrays = (opacity, coarse, cube.contiguous(), sigmas.detach().contiguous())
    _observe.compiled()(*(t.numpy() for t in arrays), np.float32(step), contracted, np.float32(rate))
