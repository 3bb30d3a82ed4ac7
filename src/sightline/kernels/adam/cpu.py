"""Adam on the touched entries of a table, in Numba."""

import math

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel

# Numbers that are looked at together; blocks of this size are long enough for vectors, and a table of which a
# step touches little is passed over in them.
BLOCK = 256


@kernel(
    "void(float32[::1], float32[::1], uint32[::1], float32[::1], float32[::1], float32, float32, float32,"
    " float32, float32, int64, int64)"
)
def _step(parameter, gradient, bits, first, second, rate, beta1, beta2, eps, correction, start, stop):
    zero, one = np.float32(0), np.float32(1)
    for begin in range(start, stop, BLOCK):
        end = min(begin + BLOCK, stop)
        # Bit patterns, so that the test is a plain reduction, and NaN counts as touched: a broken step must
        # not go unseen.
        touched = np.uint32(0)
        for bit in bits[begin:end]:
            touched |= bit
        if touched == np.uint32(0):
            continue
        p, g, m, v = parameter[begin:end], gradient[begin:end], first[begin:end], second[begin:end]
        for k in range(end - begin):
            slope = g[k]
            skip = slope == zero
            mean = beta1 * m[k] + (one - beta1) * slope
            square = beta2 * v[k] + (one - beta2) * slope * slope
            moved = p[k] - rate * mean / (math.sqrt(square) * correction + eps)
            m[k] = m[k] if skip else mean
            v[k] = v[k] if skip else square
            p[k] = p[k] if skip else moved
            g[k] = zero


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
    parallel.over_ranges(_step.compiled(), len(arrays[0]), *columns, *scalars, multiple=BLOCK, least=65536)
