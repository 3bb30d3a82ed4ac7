"""Visibility of bins from the opacities of a grid, in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Intervals


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
