"""Which bins of a ray can be seen, from the densities that the occupancy grid keeps (no network is asked)."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.packed import Intervals
from sightline.kernels.visibility import reference

__all__ = ["bin_weights"]


def bin_weights(
    bins: Intervals, densities: Tensor, largest_alpha: float = 1.0, least_transmittance: float = 0.0
) -> Tensor:
    """Compute the weight T·(1 - exp(-σδ)) of every bin of each ray (NeRF, equation 3).

    The grid keeps a moving maximum per cell, so a cell that a surface only grazes looks opaque for every ray through
    it. `largest_alpha` caps what one bin may hide: with 0.7, what lies behind keeps three tenths of the light.

    Args:
        bins: packed bins.
        densities: (n,) density in each.
        largest_alpha: cap of a bin's opacity.
        least_transmittance: bins that less light reaches get weight 0: they are not visible.

    Returns:
        (n,) weights. Not differentiable.
    """
    if not use_compiled(densities):
        return reference.bin_weights(bins, densities, largest_alpha, least_transmittance)
    from sightline.kernels.visibility import cpu

    return cpu.bin_weights(bins, densities, largest_alpha, least_transmittance)
