"""A grid of opacities that follows a field while it learns, with the maxima of its blocks."""

from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.occupancy import reference
from sightline.kernels.occupancy.reference import BLOCK, bin_lengths, cell_indices, coarsen

__all__ = ["BLOCK", "bin_lengths", "cell_indices", "coarsen", "observe"]


def observe(
    opacity: Tensor, coarse: Tensor, cube: Tensor, sigmas: Tensor, step: float, contracted: bool, rate: float
) -> None:
    """Move cells towards the opacity of a marching bin at the points in them, one point after the other.

    A cell so holds the running mean of 1 - exp(-σδ): the part of the light that a bin in it is expected to
    take. A running maximum, the usual choice, calls a cell opaque that a surface only grazes, and hides what
    lies behind.

    Args:
        opacity: (side, side, side) grid, indexed [z, y, x]; changed in place.
        coarse: maxima of its blocks of `BLOCK`³ cells, from `coarsen`; raised where needed, never lowered.
        cube: (n, 3) points of the unit cube.
        sigmas: (n,) densities there, per model unit.
        step: length δ of a marching bin inside the box, model units.
        contracted: whether the cube holds all of space; bins then grow outside the box.
        rate: how far a cell moves towards each observation.
    """
    if not use_compiled(opacity):
        reference.observe(opacity, coarse, cube, sigmas, step, contracted, rate)
        return
    from sightline.kernels.occupancy import cpu

    cpu.observe(opacity, coarse, cube, sigmas, step, contracted, rate)
