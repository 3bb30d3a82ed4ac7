"""Piecewise-constant importance sampling of packed bins in Numba."""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.packed import Intervals, Samples, offsets_from_counts


@inline
def resample_ray(starts, ends, weights, first, last, jitter, begin, count, distances, lengths):
    """Draw `count` samples, written from `begin` on, from the bins first … last - 1 of one ray."""
    zero, one, tiny = np.float32(0), np.float32(1), np.float32(1e-30)
    n, n_last = first, last - 1
    # Rounding of the shares must not carry the last sample into bins that cannot be seen.
    while n_last > n and weights[n_last] <= zero:
        n_last -= 1
    total = zero
    for k in range(n, n_last + 1):
        total += weights[k]
    share = total / np.float32(count)
    # before: weight of the bins in front of bin n; occupied: their length.
    before, occupied, edge = zero, zero, zero
    for k in range(count):
        wanted = (np.float32(k) + jitter[begin + k]) * share
        while n < n_last and before + weights[n] < wanted:
            before += weights[n]
            occupied += ends[n] - starts[n]
            n += 1
        size = ends[n] - starts[n]
        part = min(max((wanted - before) / max(weights[n], tiny), zero), one)
        distances[begin + k] = starts[n] + part * size
        limit = np.float32(k + 1) * share
        while n < n_last and before + weights[n] < limit:
            before += weights[n]
            occupied += ends[n] - starts[n]
            n += 1
        size = ends[n] - starts[n]
        part = min(max((limit - before) / max(weights[n], tiny), zero), one)
        upper = occupied + part * size
        lengths[begin + k] = max(upper - edge, zero)
        edge = upper


@kernel(
    "void(int64[::1], float32[::1], float32[::1], float32[::1], int64[::1], float32[::1], float32[::1],"
    " float32[::1], int64[::1], int64, int64)"
)
def _resample(bin_offsets, starts, ends, weights, offsets, jitter, distances, lengths, indices, first, last):
    for ray in range(first, last):
        begin, end = offsets[ray], offsets[ray + 1]
        if end > begin:
            a, b = bin_offsets[ray], bin_offsets[ray + 1]
            resample_ray(starts, ends, weights, a, b, jitter, begin, end - begin, distances, lengths)
            indices[begin:end] = ray


def resample(bins: Intervals, weights: Tensor, counts: Tensor, jitter: Tensor) -> Samples:
    """Draw samples from a histogram; see `sightline.kernels.importance.resample`."""
    offsets = offsets_from_counts(counts)
    distances = torch.empty(int(offsets[-1]))
    lengths = torch.empty_like(distances)
    arrays = [
        t.contiguous().numpy() for t in (bins.offsets, bins.starts, bins.ends, weights, offsets, jitter)
    ]
    indices = torch.empty(len(distances), dtype=torch.int64)
    outs = distances.numpy(), lengths.numpy(), indices.numpy()
    parallel.over_ranges(_resample.compiled(), bins.rays, *arrays, *outs, least=256)
    return Samples(offsets, distances, lengths, indices)
