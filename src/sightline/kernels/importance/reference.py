"""Piecewise-constant importance sampling of packed bins in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Intervals, Samples, indices_from_offsets, offsets_from_counts


def resample(bins: Intervals, weights: Tensor, counts: Tensor, jitter: Tensor) -> Samples:
    """Draw samples from a histogram; see `sightline.kernels.importance.resample`."""
    offsets = offsets_from_counts(counts)
    rays = indices_from_offsets(offsets, len(jitter))
    share = torch.arange(len(jitter), device=jitter.device) - offsets[rays]
    histogram = _Histograms(bins, weights, rays)
    lower, upper = (histogram.quantile(edge.double() / counts[rays]) for edge in (share, share + 1))
    index, part = histogram.find(lower + jitter.double() * (upper - lower))
    distances = bins.starts.double()[index] + part * histogram.sizes[index]
    index, part = histogram.find(upper)
    edges = histogram.occupied[index] + part * histogram.sizes[index]
    # The lengths of bins run on from ray to ray; the first share of a ray begins where the ray does.
    before = torch.cat([edges.new_zeros(1), edges])[:-1]
    before = torch.where(share == 0, histogram.occupied[bins.offsets[rays]], before)
    return Samples(offsets, distances.to(weights.dtype), (edges - before).to(weights.dtype), rays)


class _Histograms:
    """Sums over the bins of all rays, in double precision since they run on from ray to ray."""

    def __init__(self, bins: Intervals, weights: Tensor, rays: Tensor):
        """Prepare to look for samples of the rays (n,)."""
        self.sizes, self.weights = (bins.ends - bins.starts).double(), weights.double()
        self.occupied, self.cumulative = (
            torch.cat([values.new_zeros(1), values.cumsum(0)]) for values in (self.sizes, self.weights)
        )
        self.first, self.stop = bins.offsets[rays], bins.offsets[rays + 1]

    def quantile(self, fraction: Tensor) -> Tensor:
        """Cumulative weight (n,) at a fraction (n,) of the weight of each sample's ray."""
        begin = self.cumulative[self.first]
        return begin + fraction * (self.cumulative[self.stop] - begin)

    def find(self, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """The bin of the own ray in which the cumulative weight reaches each quantile, and the part of it."""
        # Rounding must not carry the last share over bins without weight, which cannot be seen.
        quantiles = torch.minimum(quantiles, self.cumulative[self.stop])
        index = torch.searchsorted(self.cumulative, quantiles, right=False) - 1
        index = torch.minimum(torch.maximum(index, self.first), self.stop - 1)
        part = (quantiles - self.cumulative[index]) / self.weights[index].clamp(min=1e-30)
        return index, part.clamp(0, 1)
