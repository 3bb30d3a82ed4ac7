"""Visibility of bins from the opacities of a grid, in Numba."""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.packed import Intervals, Samples


@inline
def weigh_bins(opacities, begin, end, largest, least, floor, out):
    """Weights of the bins begin … end - 1 of one ray; gives their sum without the floor."""
    zero, one = np.float32(0), np.float32(1)
    transmittance, total = one, zero
    hidden = end
    for n in range(begin, end):
        if transmittance < least:
            hidden = n
            break
        alpha = min(opacities[n], largest)
        out[n] = transmittance * alpha
        total += transmittance * alpha
        transmittance *= one - alpha
    out[hidden:end] = zero
    if hidden > begin:
        spread = floor * total / np.float32(hidden - begin)
        for n in range(begin, hidden):
            out[n] += spread
    return total


@kernel("void(int64[::1], float32[::1], float32, float32, float32, float32[::1], float32[::1], int64, int64)")
def _bin_weights(offsets, opacities, largest, least, floor, out, totals, first, last):
    for ray in range(first, last):
        totals[ray] = weigh_bins(opacities, offsets[ray], offsets[ray + 1], largest, least, floor, out)


def bin_weights(
    bins: Intervals, opacities: Tensor, largest: float, least_transmittance: float, floor: float
) -> tuple[Tensor, Tensor]:
    """Weights of packed bins; see `sightline.kernels.visibility.bin_weights`."""
    out, totals = torch.empty_like(opacities), opacities.new_empty(bins.rays)
    arrays = [t.contiguous().numpy() for t in (bins.offsets, opacities)]
    limits = [np.float32(v) for v in (largest, least_transmittance, floor)]
    parallel.over_ranges(
        _bin_weights.compiled(), bins.rays, *arrays, *limits, out.numpy(), totals.numpy(), least=256
    )
    return out, totals


@kernel("void(int64[::1], float32[::1], float32[::1], float32, boolean[::1], int64, int64)")
def _visible(offsets, lengths, sigmas, least, out, first, last):
    one = np.float32(1)
    for ray in range(first, last):
        transmittance = one
        for n in range(offsets[ray], offsets[ray + 1]):
            through = math.exp(-sigmas[n] * lengths[n])
            out[n] = transmittance * (one - through) > least
            transmittance *= through


def visible(samples: Samples, sigmas: Tensor, least_weight: float) -> Tensor:
    """Which samples are worth a look; see `sightline.kernels.visibility.drop_invisible`."""
    out = torch.empty(len(samples), dtype=torch.bool)
    arrays = [t.detach().contiguous().numpy() for t in (samples.offsets, samples.lengths, sigmas)]
    parallel.over_ranges(
        _visible.compiled(), samples.rays, *arrays, np.float32(least_weight), out.numpy(), least=256
    )
    return out
