"""Marching rays through a density grid to the bins that hold matter (Müller et al. 2022, appendix E)."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.marching import reference
from sightline.kernels.marching.grid import MarchSettings, contract, uncontract
from sightline.kernels.packed import Intervals

__all__ = ["MarchSettings", "contract", "march", "uncontract"]


def march(
    origins: Tensor, directions: Tensor, grid: Tensor, settings: MarchSettings
) -> tuple[Intervals, Tensor]:
    """Cut rays into bins and keep those in which the grid holds matter.

    Args:
        origins: (rays, 3), model frame.
        directions: (rays, 3), unit length.
        grid: (side, side, side) density per model unit, indexed [z, y, x] over the unit cube of `contract`.
        settings: see `MarchSettings`.

    Returns:
        The bins that were kept, and the grid's density in each. Not differentiable.
    """
    if not use_compiled(grid):
        return reference.march(origins, directions, grid, settings)
    from sightline.kernels.marching import cpu

    return cpu.march(origins, directions, grid, settings)
