"""Visibility of bins from the densities of a grid, in Numba."""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel
from sightline.kernels.packed import Intervals


@kernel(
    "void(int64[::1], float32[::1], float32[::1], float32[::1], float32, float32, float32[::1], int64, int64)"
)
def _bin_weights(offsets, starts, ends, densities, largest, least, out, first, last):
    for ray in range(first, last):
        transmittance = np.float32(1)
        for n in range(offsets[ray], offsets[ray + 1]):
            alpha = min(np.float32(1) - math.exp(-densities[n] * (ends[n] - starts[n])), largest)
            out[n] = transmittance * alpha if transmittance >= least else np.float32(0)
            transmittance *= np.float32(1) - alpha


def bin_weights(
    bins: Intervals, densities: Tensor, largest_alpha: float, least_transmittance: float
) -> Tensor:
    """Weights of packed bins; see `sightline.kernels.visibility.bin_weights`."""
    out = torch.empty_like(densities)
    arrays = [t.contiguous().numpy() for t in (bins.offsets, bins.starts, bins.ends, densities)]
    limits = np.float32(largest_alpha), np.float32(least_transmittance)
    parallel.over_ranges(_bin_weights.compiled(), bins.rays, *arrays, *limits, out.numpy(), least=256)
    return out
