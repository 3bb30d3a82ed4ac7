"""Volume compositing of packed samples in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.packed import Samples


def composite(
    sigmas: Tensor, colours: Tensor, samples: Samples, warped: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Integrate packed samples; see `sightline.kernels.compositing.composite`."""
    rays, index = samples.rays, samples.ray_indices
    thickness = sigmas * samples.lengths

    def in_front(values: Tensor) -> Tensor:
        """Sum over the samples of the same ray that come before each one."""
        # In double precision, since one sum runs through all rays.
        total = torch.cat([values.new_zeros(1).double(), values.double().cumsum(0)])
        return (total[:-1] - total[samples.offsets[:-1]][index]).to(values.dtype)

    weights = torch.exp(-in_front(thickness)) * -torch.expm1(-thickness)

    def per_ray(values: Tensor) -> Tensor:
        return values.new_zeros(rays, *values.shape[1:]).index_add(0, index, values)

    colour = per_ray(weights[:, None] * colours)
    opacity = per_ray(weights)
    depth = per_ray(weights * samples.distances)
    distortion = torch.zeros_like(opacity)
    if warped is not None:
        middles, sizes = warped
        # Samples are in order, so the sum over pairs is twice the sum over those in front of each (eq. 15).
        pairs = 2 * weights * (middles * in_front(weights) - in_front(weights * middles))
        distortion = per_ray(pairs + weights**2 * sizes / 3)
    return colour, opacity, depth, distortion, weights
