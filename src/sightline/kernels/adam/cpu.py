"""Adam on the touched entries of a table, in Numba."""

import math

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel

# Entries that are looked at together: one cache line of gradients.
GROUP = 16


@inline
def _update(p, g, m, v, size, rate, beta1, beta2, eps, correction):
    zero, one = np.float32(0), np.float32(1)
    for k in range(size):
        skip = g[k] == zero
        mean = beta1 * m[k] + (one - beta1) * g[k]
        square = beta2 * v[k] + (one - beta2) * g[k] * g[k]
        moved = p[k] - rate * mean / (math.sqrt(square) * correction + eps)
        m[k] = m[k] if skip else mean
        v[k] = v[k] if skip else square
        p[k] = p[k] if skip else moved
        g[k] = zero


@kernel(
    "void(float32[::1], float32[::1], uint32[::1], float32[::1], float32[::1], float32, float32, float32,"
    " float32, float32, int64, int64)"
)
def _step(parameter, gradient, bits, first, second, rate, beta1, beta2, eps, correction, start, stop):
    for begin in range(start, stop, GROUP):
        end = begin + GROUP
        if end > stop:
            p, g, m, v = parameter[begin:stop], gradient[begin:stop], first[begin:stop], second[begin:stop]
            _update(p, g, m, v, stop - begin, rate, beta1, beta2, eps, correction)
            break
        # Bit patterns, so that the test is a plain reduction, and NaN counts as touched: a broken step must
        # not go unseen.
        touched = np.uint32(0)
        for k in range(GROUP):
            touched |= bits[begin + k]
        if touched != np.uint32(0):
            p, g, m, v = parameter[begin:end], gradient[begin:end], first[begin:end], second[begin:end]
            _update(p, g, m, v, GROUP, rate, beta1, beta2, eps, correction)


def step(
    parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, *, rate: float, betas: tuple[float,
        float],
    eps: float, corrections: tuple[float, float],
) -> None:  # fmt: skip
    """Update in place; see `sightline.kernels.adam.step`."""
    arrays = [t.detach().view(-1).numpy() for t in (parameter, gradient, first, second)]
    numbers = (rate / corrections[0], *betas, eps, 1 / math.sqrt(corrections[1]))
    scalars = [np.float32(v) for v in numbers]
    columns = (arrays[0], arrays[1], arrays[1].view(np.uint32), *arrays[2:])
    parallel.over_ranges(_step.compiled(), len(arrays[0]), *columns, *scalars, multiple=GROUP, least=65536)
