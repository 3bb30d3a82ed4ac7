"""Visibility of bins from the densities of a grid, in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Intervals


def bin_weights(
    bins: Intervals, densities: Tensor, largest_alpha: float, least_transmittance: float
) -> Tensor:
    """Weights of packed bins; see `sightline.kernels.visibility.bin_weights`."""
    thickness = densities.double() * (bins.ends - bins.starts).double()
    if largest_alpha < 1:
        thickness = thickness.clamp(
            max=-torch.log1p(torch.tensor(-largest_alpha, dtype=torch.float64)).item()
        )
    total = torch.cat([thickness.new_zeros(1), thickness.cumsum(0)])
    before = total[:-1] - total[bins.offsets[:-1]][bins.ray_indices]
    transmittance = torch.exp(-before)
    weights = transmittance * -torch.expm1(-thickness)
    return torch.where(transmittance < least_transmittance, 0, weights).to(densities.dtype)
