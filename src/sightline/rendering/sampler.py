"""Choosing where along rays a field is asked, from an opacity grid: see `sightline.kernels.sampling`."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels import sampling
from sightline.kernels.marching import MarchSettings
from sightline.kernels.packed import Samples
from sightline.kernels.sampling import SamplerSettings
from sightline.rendering.opacity_grid import OpacityGrid

__all__ = ["SamplerSettings", "random_seed", "sample", "sample_trained"]

# Of a field that is trained. Rays end where less light is left.
_LEAST_TRANSMITTANCE = 1e-3
# What one bin may hide at most: the mean of a cell says little of a ray that passes its corner.
_LARGEST = 0.3
_PER_BIN = 4
# Part of the samples that is spread evenly over the visible bins.
_FLOOR = 0.5


def random_seed() -> int:
    """Draw a 32-bit seed from PyTorch's own generator."""
    return int(torch.randint(1 << 32, (1,)))


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
    seed = random_seed() if jitter else None
    marks = grid.marks if grid.threshold == marching.threshold else None
    return sampling.sample(origins, directions, grid.opacity, grid.coarse, marching, settings, seed, marks)


def sample_trained(
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    grid: OpacityGrid,
    far: float,
    samples: int,
    jitter: bool = False,
) -> Samples:
    """Place samples along rays from their origins on, by a grid that has surveyed a trained field.

    Args:
        far: distance at which rays end.
        samples: of a ray that meets something opaque.
        jitter: as for `sample`.
    """
    marching = MarchSettings(
        contracted=grid.contracted,
        step=grid.step,
        near=0.0,
        far=far,
        threshold=grid.threshold,
        largest=_LARGEST,
        least_transmittance=_LEAST_TRANSMITTANCE,
        max_bins=8 * grid.side,
    )
    settings = SamplerSettings(samples, _PER_BIN, _FLOOR)
    return sample(origins.float(), directions.float(), grid, marching, settings, jitter)
