"""What of a ray can be seen: bins, by the opacities that a grid keeps; samples, by their densities."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.packed import Intervals, Samples
from sightline.kernels.visibility import reference

__all__ = ["bin_weights", "drop_invisible"]


def bin_weights(
    bins: Intervals,
    opacities: Tensor,
    largest: float = 0.99,
    least_transmittance: float = 0.0,
    floor: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Compute the weight T·α of every bin of each ray (NeRF, equation 3).

    Args:
        bins: packed bins.
        opacities: (n,) opacity α of each.
        largest: cap of α, below 1, so that an error of the grid cannot hide everything behind it.
        least_transmittance: bins that less light reaches are not visible: they get no weight at all.
        floor: part of a ray's weight that is added, evenly over its visible bins, so that errors of the grid
            are found out.

    Returns:
        (n,) weights with the floor, and (rays,) the sum of the weights without it. Not differentiable.
    """
    settings = largest, least_transmittance, floor
    if not use_compiled(opacities):
        return reference.bin_weights(bins, opacities, *settings)
    from sightline.kernels.visibility import cpu

    return cpu.bin_weights(bins, opacities, *settings)


def drop_invisible(samples: Samples, sigmas: Tensor, least_weight: float) -> tuple[Samples, Tensor]:
    """Keep the samples whose weight T·(1 - exp(-σδ)) is above `least_weight`.

    Args:
        samples: samples of all rays.
        sigmas: (n,) density at each, per unit of distance.

    Returns:
        The samples that are left, with the lengths they had, and their (m,) indices among all. Not
        differentiable.
    """
    if use_compiled(sigmas):
        from sightline.kernels.visibility import cpu

        keep = cpu.visible(samples, sigmas, least_weight)
    else:
        keep = reference.visible(samples, sigmas, least_weight)
    kept = keep.nonzero()[:, 0]
    return samples.only(kept), kept
