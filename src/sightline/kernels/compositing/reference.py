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
    total = torch.cat([thickness.new_zeros(1), thickness.cumsum(0)])
    before = total[:-1] - total[samples.offsets[:-1]][index]
    weights = torch.exp(-before) * -torch.expm1(-thickness)

    def per_ray(values: Tensor) -> Tensor:
        return values.new_zeros(rays, *values.shape[1:]).index_add(0, index, values)

    colour = per_ray(weights[:, None] * colours)
    opacity = per_ray(weights)
    depth = per_ray(weights * samples.distances)
    distortion = torch.zeros_like(opacity)
    if warped is not None:
        middles, sizes = warped
        # Samples are in order, so the sum over pairs is twice the sum over those in front of each (eq. 15).
        sums = [torch.cat([v.new_zeros(1), v.cumsum(0)]) for v in (weights, weights * middles)]
        in_front = [s[:-1] - s[samples.offsets[:-1]][index] for s in sums]
        pairs = 2 * weights * (middles * in_front[0] - in_front[1])
        distortion = per_ray(pairs + weights**2 * sizes / 3)
    return colour, opacity, depth, distortion, weights
