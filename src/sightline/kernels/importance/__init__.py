"""Piecewise-constant importance sampling along rays (NeRF, section 5.2), for packed bins with gaps."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.importance import reference
from sightline.kernels.packed import Intervals, Samples

__all__ = ["resample"]


def resample(bins: Intervals, weights: Tensor, counts: Tensor, jitter: Tensor) -> Samples:
    """Draw one sample from each of `counts[r]` equal shares of ray r's weight.

    A sample stands for the length of the bins, without the gaps between them, over which its share spreads.

    Args:
        bins: packed bins; a ray without bins must ask for no samples.
        weights: (n,) positive weight of each bin; they need not be normalised.
        counts: (rays,) int64 number of samples.
        jitter: (counts.sum(),) place within each share, in [0, 1]; 0.5 for the middle.

    Returns:
        Samples in order of distance. Not differentiable.
    """
    if not use_compiled(weights):
        return reference.resample(bins, weights, counts, jitter)
    from sightline.kernels.importance import cpu

    return cpu.resample(bins, weights, counts, jitter)
