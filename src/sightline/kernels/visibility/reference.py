"""Visibility of bins from the opacities of a grid, in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Intervals, Samples


def bin_weights(
    bins: Intervals, opacities: Tensor, largest: float, least_transmittance: float, floor: float
) -> tuple[Tensor, Tensor]:
    """Weights of packed bins; see `sightline.kernels.visibility.bin_weights`."""
    index = bins.ray_indices
    alphas = opacities.double().clamp(max=largest)
    logarithm = torch.cat([alphas.new_zeros(1), torch.log1p(-alphas).cumsum(0)])
    transmittance = torch.exp(logarithm[:-1] - logarithm[bins.offsets[:-1]][index])
    visible = transmittance >= least_transmittance
    weights = torch.where(visible, transmittance * alphas, 0)

    def per_ray(values: Tensor) -> Tensor:
        return values.new_zeros(bins.rays).index_add(0, index, values)

    total = per_ray(weights)
    spread = floor * (total / per_ray(visible.double()).clamp(min=1))[index]
    spread = torch.where(visible, spread, 0)
    return (weights + spread).to(opacities.dtype), total.to(opacities.dtype)


def visible(samples: Samples, sigmas: Tensor, least_weight: float) -> Tensor:
    """Which samples are worth a look; see `sightline.kernels.visibility.drop_invisible`."""
    thickness = (sigmas * samples.lengths).double()
    total = torch.cat([thickness.new_zeros(1), thickness.cumsum(0)])
    before = total[:-1] - total[samples.offsets[:-1]][samples.ray_indices]
    return torch.exp(-before) * -torch.expm1(-thickness) > least_weight
