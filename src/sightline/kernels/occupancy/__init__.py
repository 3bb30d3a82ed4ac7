"""A grid of opacities that follows a field while it learns, with the maxima of its blocks."""

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.occupancy import reference
from sightline.kernels.occupancy.reference import BLOCK, bin_lengths, cell_indices, coarsen, mark

__all__ = ["BLOCK", "bin_lengths", "cell_indices", "coarsen", "mark", "observe", "summarise"]


def summarise(opacity: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Say where a grid holds matter, so that rays need not look at every cell.

    Args:
        opacity: (side, side, side) float32 grid.
        threshold: cells that are not more opaque than this are empty.

    Returns:
        Maxima (b, b, b) of blocks of `BLOCK`³ cells, and marks (w, w, w) int64: a bit for each of 4³ cells.
    """
    if not use_compiled(opacity) or opacity.dtype != torch.float32:
        return reference.summarise(opacity, threshold)
    from sightline.kernels.occupancy import cpu

    return cpu.summarise(opacity, threshold)


def observe(
    opacity: Tensor,
    coarse: Tensor,
    cube: Tensor,
    sigmas: Tensor,
    step: float,
    contracted: bool,
    rate: float,
    marks: Tensor | None = None,
    threshold: float = 0.0,
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
        marks: a bit for each cell more opaque than `threshold`, from `summarise`; kept up to date where
            given.
    """
    if not use_compiled(opacity):
        reference.observe(opacity, coarse, cube, sigmas, step, contracted, rate, marks, threshold)
        return
    from sightline.kernels.occupancy import cpu

    cpu.observe(opacity, coarse, cube, sigmas, step, contracted, rate, marks, threshold)
