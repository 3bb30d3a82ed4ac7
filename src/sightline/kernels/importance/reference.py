"""Piecewise-constant importance sampling of packed bins in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Intervals, Samples, indices_from_offsets, offsets_from_counts


def resample(bins: Intervals, weights: Tensor, counts: Tensor, jitter: Tensor) -> Samples:
    """Draw samples from a histogram; see `sightline.kernels.importance.resample`."""
    offsets = offsets_from_counts(counts)
    distances = weights.new_empty(int(offsets[-1]))
    lengths = torch.empty_like(distances)
    for ray in range(bins.rays):
        count, a, b = int(counts[ray]), int(bins.offsets[ray]), int(bins.offsets[ray + 1])
        if count == 0:
            continue
        starts, sizes, w = (
            bins.starts[a:b].double(),
            (bins.ends - bins.starts)[a:b].double(),
            weights[a:b].double(),
        )
        cumulative = torch.cat([w.new_zeros(1), w.cumsum(0)])
        occupied = torch.cat([w.new_zeros(1), sizes.cumsum(0)])
        strata = torch.linspace(0, 1, count + 1, dtype=torch.float64, device=w.device) * cumulative[-1]
        first, last = int(offsets[ray]), int(offsets[ray + 1])
        wanted = strata[:-1] + jitter[first:last].double() * (strata[1:] - strata[:-1])
        distances[first:last] = _invert(wanted, cumulative, w, starts, sizes).to(distances.dtype)
        edges = _invert(strata, cumulative, w, occupied[:-1], sizes)
        lengths[first:last] = (edges[1:] - edges[:-1]).to(lengths.dtype)
    return Samples(offsets, distances, lengths, indices_from_offsets(offsets))


def _invert(quantiles: Tensor, cumulative: Tensor, weights: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    """Distance at which the cumulative weight reaches `quantiles`, where bin i begins at starts[i]."""
    index = (torch.searchsorted(cumulative, quantiles, right=False) - 1).clamp(0, len(weights) - 1)
    part = ((quantiles - cumulative[index]) / weights[index].clamp(min=1e-30)).clamp(0, 1)
    return starts[index] + part * sizes[index]
