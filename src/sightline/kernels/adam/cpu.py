"""Adam on the touched entries of a table, in Numba."""

import math

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel

# Entries that are looked at together: one cache line of gradients.
GROUP = 16


@kernel(
    "void(float32[::1], float32[::1], float32[::1], float32[::1], float32, float32, float32, float32, float32,"
    " int64, int64)"
)
def _step(parameter, gradient, first, second, rate, beta1, beta2, eps, correction, start, stop):
    zero, one = np.float32(0), np.float32(1)
    for begin in range(start, stop, GROUP):
        end = min(begin + GROUP, stop)
        largest = zero
        for n in range(begin, end):
            largest = max(largest, abs(gradient[n]))
        # `not (… == 0)` lets NaN through, so that a broken step is seen and not skipped.
        if not (largest == zero):
            for n in range(begin, end):
                g = gradient[n]
                touched = g != zero
                m = beta1 * first[n] + (one - beta1) * g if touched else first[n]
                v = beta2 * second[n] + (one - beta2) * g * g if touched else second[n]
                first[n] = m
                second[n] = v
                move = rate * m / (math.sqrt(v) * correction + eps)
                parameter[n] -= move if touched else zero
                gradient[n] = zero


def step(
    parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, *, rate: float, betas: tuple[float, float],
    eps: float, corrections: tuple[float, float],
) -> None:  # fmt: skip
    """Update in place; see `sightline.kernels.adam.step`."""
    arrays = [t.detach().view(-1).numpy() for t in (parameter, gradient, first, second)]
    numbers = (rate / corrections[0], *betas, eps, 1 / math.sqrt(corrections[1]))
    scalars = [np.float32(v) for v in numbers]
    parallel.over_ranges(_step.compiled(), len(arrays[0]), *arrays, *scalars, multiple=GROUP, least=65536)
