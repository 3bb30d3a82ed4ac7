"""Marching rays through an opacity grid to the bins that hold matter (Müller et al. 2022, appendix E)."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.marching import reference
from sightline.kernels.marching.grid import MarchSettings, contract, uncontract
from sightline.kernels.packed import Intervals, Samples

__all__ = ["MarchSettings", "contract", "locate", "march", "uncontract"]


def march(
    origins: Tensor,
    directions: Tensor,
    grid: Tensor,
    coarse: Tensor | None,
    settings: MarchSettings,
    marks: Tensor | None = None,
) -> tuple[Intervals, Tensor]:
    """Cut rays into bins and keep those in which the grid holds matter.

    Args:
        origins: (rays, 3), model frame.
        directions: (rays, 3), unit length.
        grid: (side, side, side) opacity of a bin in each cell of `contract`'s unit cube, indexed [z, y, x].
        coarse: maxima of the grid's blocks (`sightline.kernels.occupancy.coarsen`); found here where None.
        settings: see `MarchSettings`.
        marks: marks of the cells above `settings.threshold` (`sightline.kernels.occupancy.summarise`); found
            here where None.

    Returns:
        The bins that were kept, and the grid's opacity in each. Not differentiable.
    """
    if not use_compiled(grid):
        return reference.march(origins, directions, grid, settings)
    from sightline.kernels.marching import cpu

    return cpu.march(origins, directions, grid, coarse, settings, marks)


def locate(origins: Tensor, directions: Tensor, samples: Samples, contracted: bool) -> Tensor:
    """Give the unit-cube points (n, 3) of samples on rays of the model frame. Not differentiable."""
    if not use_compiled(origins):
        return reference.locate(origins, directions, samples, contracted)
    from sightline.kernels.marching import cpu

    return cpu.locate(origins, directions, samples, contracted)
