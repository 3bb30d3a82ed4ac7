"""The space that is baked: a cube of cells in the model frame, contracted where the scene has no end."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.exports.source import Field
from sightline.exports.web.marching import BLOCK
from sightline.geometry import Cameras, Similarity
from sightline.geometry.poses import focus_point
from sightline.kernels.marching import uncontract

# How far contracted scenes reach, in half sides of the box.
_FAR = 64.0
# No matter is nearer to a camera than this, in half sides of the box, where the scene does not say.
_NEAR_IN_SPACE, _NEAR_IN_BOX = 0.05, 1e-3


@dataclass(frozen=True)
class Space:
    """The similarity to the model frame, and what its grid covers.

    The box of interest is [-1, 1]³ of the model frame; the grid covers it, or all of space by
    `sightline.kernels.marching.contract`.
    """

    to_model: Similarity
    contracted: bool
    near: float
    """where rays begin, model units"""
    far: float = _FAR

    @property
    def reach(self) -> float:
        """Half the side of the grid, in (contracted) model units."""
        return 2.0 if self.contracted else 1.0

    def cell(self, cells: int) -> float:
        """Side of a cell where nothing is contracted, model units."""
        return 2 * self.reach / cells

    def points(self, grid: Float[Tensor, "n 3"], cells: int) -> tuple[Tensor, Tensor]:
        """Input-frame points (n, 3) of positions in cells, and (n,) the contraction's r there, squared."""
        cube = (grid.double() / cells).clamp(0, 1)
        if self.contracted:
            # The outermost shell lies beyond all that rays reach.
            edge = 0.25 / self.far
            cube = cube.clamp(edge, 1 - edge)
        model = uncontract(cube, self.contracted)
        radius = model.abs().amax(-1).clamp_min(1)
        return self.to_model.inverse().apply(model), radius.square()

    def codes_scale(self, cells: int) -> float:
        """Optical depth of a cell for a density of 1 per input unit, where nothing is contracted."""
        return self.cell(cells) / self.to_model.scale

    def voxel_of_pixels(self, cameras: Cameras) -> float:
        """Side, in model units, of what a pixel sees of the middle of the box (median of the cameras)."""
        centres = self.to_model.apply(cameras.centres.double())
        distance = centres.norm(dim=-1).clamp_min(0.25 if self.contracted else 1.0)
        return float((distance / torch.maximum(cameras.fx, cameras.fy).to(distance)).median())

    def finest_useful(self, cameras: Cameras) -> int:
        """Cells along a side beyond which the cameras' pixels show nothing more."""
        return whole_blocks(2 * self.reach / self.voxel_of_pixels(cameras))


def whole_blocks(cells: float) -> int:
    """The nearest number of cells that is a multiple of a block's side, two blocks at least."""
    return BLOCK * max(2, round(cells / BLOCK))


def find_space(field: Field, cameras: Cameras, everywhere: bool, box: Tensor, near: float) -> Space:
    """Choose the space of a scene.

    Args:
        everywhere: whether there may be matter all around the cameras: photos of a world that is full.
        box: (2, 3) where the content is, for scenes that have an end.
        near: distance from a camera at which rays begin, input units; 0 where nobody knows.
    """
    if everywhere:
        centre = focus_point(cameras.c2w).double().cpu()
        half = float((cameras.centres.double().cpu() - centre).norm(dim=-1).median())
    else:
        centre, half = box.double().mean(0), float((box[1] - box[0]).max()) / 2
    scale = 1.0 / max(half, 1e-9)
    to_model = Similarity(scale, torch.eye(3, dtype=torch.float64), -scale * centre)
    least = _NEAR_IN_SPACE if everywhere else _NEAR_IN_BOX
    return Space(to_model, everywhere, max(near * scale, least) if math.isfinite(near) else least)
