"""Regular grids of a field's density over a box of the input frame.

Arrays are indexed (x, y, z). Point i of an axis lies at low + i (high - low) / (n - 1), both ends among them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.exports.source import Field
from sightline.foundation.errors import InputError

_COARSE = 96
"""points of the longest side of the grid that looks for the content"""
_MATTER = 0.1
"""opacity of one of its cells that is content"""
_MARGIN = 2
"""of its cells, around the content"""


@dataclass(frozen=True)
class Grid:
    """Points of a box, evenly spaced on each axis.

    Args:
        low, high: corners, input frame.
        shape: number of points of each axis, 2 or more.
    """

    low: np.ndarray
    high: np.ndarray
    shape: tuple[int, int, int]

    @property
    def spacing(self) -> np.ndarray:
        """Distance between neighbours on each axis, (3,)."""
        return (self.high - self.low) / (np.asarray(self.shape) - 1)

    @property
    def cell(self) -> float:
        """The shortest distance between neighbours."""
        return float(self.spacing.min())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def axis(self, axis: int) -> Float[Tensor, "n"]:
        """Coordinates along one axis, float64."""
        return torch.linspace(
            float(self.low[axis]), float(self.high[axis]), self.shape[axis], dtype=torch.float64
        )

    def slabs(self, axis: int = 0, most: int = 1 << 20) -> Iterator[tuple[int, int]]:
        """Ranges along an axis, of at most `most` points each (one layer at least)."""
        layer = len(self) // self.shape[axis]
        step = max(1, most // layer)
        return ((k, min(k + step, self.shape[axis])) for k in range(0, self.shape[axis], step))

    def points(self, first: int = 0, last: int | None = None, axis: int = 0) -> Float[Tensor, "x y z 3"]:
        """Points of the layers first … last - 1 of an axis, float64."""
        axes = [self.axis(k) for k in range(3)]
        axes[axis] = axes[axis][first:last]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def parse_box(values: tuple[float, ...] | None) -> np.ndarray | None:
    """Read `--bounds`: the lowest and the highest corner, six numbers; (2, 3) float64."""
    if values is None:
        return None
    box = np.asarray(values, dtype=np.float64).reshape(2, 3)
    if not np.isfinite(box).all() or (box[0] >= box[1]).any():
        raise InputError(
            f"{' '.join(f'{value:g}' for value in values)} is not a box",
            where="--bounds",
            fix="Give the lowest corner, then the highest: x y z x y z",
        )
    return box


def grid_over(box: np.ndarray, resolution: int) -> Grid:
    """Make a grid of cubic cells over a box, with `resolution` points along its longest side.

    Shorter sides are widened evenly to whole cells.
    """
    if resolution < 8:
        raise InputError(
            f"A grid of {resolution} points is too small", where="--resolution", fix="Give 8 or more"
        )
    size = box[1] - box[0]
    cell = size.max() / (resolution - 1)
    shape = np.maximum(np.ceil(size / cell - 1e-6).astype(int) + 1, 2)
    extra = (shape - 1) * cell - size
    return Grid(box[0] - extra / 2, box[1] + extra / 2, (int(shape[0]), int(shape[1]), int(shape[2])))


def cubic_box(box: np.ndarray) -> np.ndarray:
    """The cube around the middle of a box that holds it."""
    half = (box[1] - box[0]).max() / 2
    middle = box.mean(0)
    return np.stack([middle - half, middle + half])


def sample_density(
    field: Field, grid: Grid, on_points: Callable[[int], None] = lambda done: None
) -> Float[np.ndarray, "x y z"]:
    """Ask for the density at all points of a grid, float32."""
    density = np.empty(grid.shape, dtype=np.float32)
    for first, last in grid.slabs():
        part = field.density(grid.points(first, last).reshape(-1, 3))
        density[first:last] = part.numpy().reshape(-1, *grid.shape[1:])
        on_points(last * len(grid) // grid.shape[0])
    return density


def content_box(field: Field, bounds: np.ndarray) -> np.ndarray:
    """Shrink the bounds of a scene to what a coarse grid finds opaque in them, and a little around it.

    The bounds themselves come back where nothing is.
    """
    grid = grid_over(bounds, _COARSE)
    matter = 1 - np.exp(-sample_density(field, grid) * grid.cell) > _MATTER
    if not matter.any():
        return bounds
    box = np.empty((2, 3))
    for axis in range(3):
        layers = np.flatnonzero(matter.any(axis=tuple(k for k in range(3) if k != axis)))
        margin = _MARGIN * grid.spacing[axis]
        box[:, axis] = grid.low[axis] + grid.spacing[axis] * layers[[0, -1]] + [-margin, margin]
    return np.stack([np.maximum(box[0], bounds[0]), np.minimum(box[1], bounds[1])])


def scene_box(field: Field, given: tuple[float, ...] | None) -> np.ndarray:
    """The box to export, (2, 3) float64: the one that was asked for, or where the scene holds something."""
    box = parse_box(given)
    if box is not None:
        return box
    return content_box(field, field.scene.bounds.detach().cpu().double().numpy())


def look_up(
    density: Float[Tensor, "x y z"], grid: Grid, points: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Interpolate a grid's values at points, linearly on each axis; nothing outside of its box."""
    low, high = (torch.from_numpy(corner).to(points) for corner in (grid.low, grid.high))
    unit = 2 * (points - low) / (high - low) - 1
    inside = (unit.abs() <= 1).all(-1)
    # The last axis of the values comes first in the positions.
    positions = unit.flip(-1).reshape(1, 1, 1, -1, 3).float()
    found = torch.nn.functional.grid_sample(
        density[None, None].float(), positions, mode="bilinear", padding_mode="border", align_corners=True
    )
    return found.reshape(inside.shape) * inside
