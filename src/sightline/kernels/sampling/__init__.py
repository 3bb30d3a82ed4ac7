"""Choosing where along rays a field is asked, from an opacity grid.

Bins with matter are found by marching; their weights, with the grid's opacities, tell what can be seen;
samples are then drawn from these weights. The grid stands in for the coarse network of NeRF's hierarchical
sampling, at no network cost. Marching, visibility and importance are operations of their own; here they are
one pass over a ray, which keeps its bins in the first-level cache.
"""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.marching import MarchSettings
from sightline.kernels.packed import Samples
from sightline.kernels.sampling import reference
from sightline.kernels.sampling.settings import SamplerSettings

__all__ = ["SamplerSettings", "sample"]


def sample(
    origins: Tensor,
    directions: Tensor,
    opacity: Tensor,
    coarse: Tensor | None,
    marching: MarchSettings,
    settings: SamplerSettings,
    seed: int | None = None,
    marks: Tensor | None = None,
) -> Samples:
    """Place samples along rays of the model frame.

    Args:
        origins, directions: (rays, 3), directions of unit length.
        opacity: (side, side, side) grid, indexed [z, y, x], of what a marching bin hides.
        coarse: maxima of its blocks.
        marching, settings: how rays walk, and how many samples they get.
        seed: each sample is drawn at random within its share of the weight, by this 32-bit number, its ray
            and its place on the ray; None takes the middle.
        marks: marks of the cells above `marching.threshold`, as `sightline.kernels.occupancy.summarise` gives
            them with the maxima; both are found here where one is None.

    Returns:
        Samples in order of distance; a ray has `settings.samples` where its way is opaque, fewer in
        proportion where it is not. Not differentiable.
    """
    if not use_compiled(origins):
        return reference.sample(origins, directions, opacity, marching, settings, seed)
    from sightline.kernels.sampling import cpu

    return cpu.sample(origins, directions, opacity, coarse, marching, settings, seed, marks)
