"""Choosing where along rays a field is asked, from an opacity grid: see `sightline.kernels.sampling`."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels import sampling
from sightline.kernels.marching import MarchSettings
from sightline.kernels.packed import Samples
from sightline.kernels.sampling import SamplerSettings
from sightline.rendering.opacity_grid import OpacityGrid

__all__ = ["SamplerSettings", "random_seed", "sample"]


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
