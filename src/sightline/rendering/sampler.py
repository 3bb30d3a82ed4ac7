"""Choosing where along rays a field is asked, from an opacity grid.

Bins with matter are found by marching; their weights, with the grid's opacities, tell what can be seen;
samples are then drawn from these weights. The grid stands in for the coarse network of NeRF's hierarchical
sampling, at no network cost.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels.importance import resample
from sightline.kernels.marching import MarchSettings, march
from sightline.kernels.packed import Samples
from sightline.kernels.visibility import bin_weights
from sightline.rendering.opacity_grid import OpacityGrid


@dataclass(frozen=True)
class SamplerSettings:
    """How many samples a ray gets, and how they spread."""

    samples: int
    """samples of a ray whose way is opaque in the grid; others get fewer"""
    per_bin: int = 4
    """at most this many samples for each bin with matter"""
    floor: float = 0.01
    """part of the weight that is spread evenly over all visible bins, so that the grid's errors are found"""


def sample(
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    grid: OpacityGrid,
    marching: MarchSettings,
    settings: SamplerSettings,
    jitter: bool = False,
) -> Samples:
    """Place samples along rays of the model frame.

    Args:
        jitter: draw each sample at random within its share of the weight (training), or take the middle.
    """
    bins, opacities = march(origins, directions, grid.opacity, grid.coarse, marching)
    weights, opacity = bin_weights(
        bins, opacities, marching.largest, marching.least_transmittance, settings.floor
    )
    # What the grid calls opaque is worth the full number of samples; empty rays get none.
    wanted = torch.ceil(settings.samples * opacity.clamp(max=1)).long()
    counts = torch.minimum(wanted, bins.counts * settings.per_bin)
    total = int(counts.sum())
    place = torch.rand(total, device=weights.device) if jitter else weights.new_full((total,), 0.5)
    return resample(bins, weights, counts, place)
