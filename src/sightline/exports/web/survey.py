"""Finding the points of a fine grid that the training cameras see, from coarse to fine.

Each level has twice the cells of the one before. Its points are asked for their density where the level
before was seen; rays of the training cameras then say what is seen of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from sightline.exports.source import Field
from sightline.exports.web.marching import BLOCK
from sightline.exports.web.space import Space
from sightline.exports.web.tracing import March, score
from sightline.exports.web.voxels import Voxels, build, key_places, point_keys, to_codes
from sightline.geometry import Cameras

_COARSEST = 64
"""cells of a side of the first level, or up to twice as many"""
_LOOKS = 4
"""random looks around each point of the first level, which is coarser than much of the matter"""
_SEEN = 1e-2
"""weight on some ray from which a cell of a coarse level is looked into"""
_SLACK = 0.5
"""what densities of coarse levels are multiplied by: what they hide wrongly would be lost for good"""
_LEAST_CODE = 0.02
"""codes below this are nothing"""
_BEYOND = 0.08
"""of a picture's size, on each side: other views see past the edges of the training photos"""
_SLAB = 1 << 20


@dataclass(frozen=True)
class TrainingRays:
    """Random rays of the training cameras, and from a little beyond their pictures' edges; model frame."""

    cameras: Cameras
    space: Space
    generator: torch.Generator

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Origins and directions (count, 3) of random pixels."""
        view = torch.randint(len(self.cameras), (count,), generator=self.generator)
        size = torch.stack([self.cameras.width, self.cameras.height], -1)[view].double()
        part = torch.rand(count, 2, generator=self.generator, dtype=torch.float64)
        pixels = ((part * (1 + 2 * _BEYOND) - _BEYOND) * size).floor() + 0.5
        rays = self.cameras.transformed(self.space.to_model).rays(view, pixels)
        return rays.origins.contiguous().numpy(), rays.directions.contiguous().numpy()


def levels_to(cells: int) -> list[int]:
    """Cells of each level, the last of which has `cells`."""
    levels = [cells]
    while levels[0] >= 2 * _COARSEST:
        levels.insert(0, BLOCK * -(-levels[0] // (2 * BLOCK)))
    return levels


class Survey:
    """Looks at a field, level by level.

    Args:
        limit: (2, 3) box of the input frame outside of which nothing counts; None for no such box.
    """

    def __init__(self, field: Field, space: Space, rays: TrainingRays, limit: torch.Tensor | None):
        self.field, self.space, self.rays = field, space, rays
        self.limit = None if limit is None else limit.double().cpu()
        self.asked = 0

    def codes(self, places: np.ndarray, cells: int, looks: int = 1) -> np.ndarray:
        """Codes of the densities at grid points (n, 3): a mean of random looks around, or one there."""
        found = np.empty(len(places), np.float32)
        for k in range(0, len(places), _SLAB):
            part = torch.from_numpy(places[k : k + _SLAB]).double()
            depths = torch.zeros(len(part), dtype=torch.float64)
            for _ in range(looks):
                at = part
                if looks > 1:
                    at = part + torch.rand(part.shape, generator=self.rays.generator, dtype=part.dtype) - 0.5
                depths += self._depths(at, cells)
            found[k : k + _SLAB] = to_codes((depths / looks).numpy())
        self.asked += looks * len(places)
        found[found < _LEAST_CODE] = 0
        return found

    def _depths(self, grid: torch.Tensor, cells: int) -> torch.Tensor:
        points, stretch = self.space.points(grid, cells)
        depths = self.field.density(points).double() * stretch * self.space.codes_scale(cells)
        if self.limit is not None:
            depths *= ((points >= self.limit[0]) & (points <= self.limit[1])).all(-1)
        return depths

    def run(self, cells: int, rays: int, on_level: Callable[[int], None] = lambda done: None) -> Voxels:
        """Find all points of a grid that are seen, and what else lies in cells that are; codes only."""
        levels = levels_to(cells)
        places = _all_places(levels[0])
        voxels = self._level(places, levels[0], _LOOKS)
        for number, finer in enumerate(levels[1:], start=1):
            on_level(number)
            seen = self._seen_cells(voxels, rays // 4, _SLACK)
            places = _points_within(seen, finer)
            voxels = self._level(places, finer, 1)
        on_level(len(levels))
        return voxels

    def _level(self, places: np.ndarray, cells: int, looks: int) -> Voxels:
        codes = self.codes(places, cells, looks)
        filled = codes > 0
        keys = point_keys(places[filled], cells)
        order = np.argsort(keys)
        values = np.zeros((len(keys), 4), np.float32)
        values[:, 0] = codes[filled][order]
        return build(cells, keys[order], values)

    def _seen_cells(self, voxels: Voxels, rays: int, slack: float) -> np.ndarray:
        """Cells (n, 3) that are seen, and those around them."""
        weights, _ = score(voxels, March(self.space, density=slack), *self.rays.draw(rays))
        places = key_places(voxels.keys[weights > _SEEN], voxels.cells)
        marked = np.zeros((voxels.cells + 1,) * 3, bool)
        marked[places[:, 2], places[:, 1], places[:, 0]] = True
        # A cell is seen where any of its corners is; one more on each side.
        marked = ndimage.maximum_filter(marked, size=4, origin=-1, mode="constant")
        z, y, x = np.nonzero(marked[:-1, :-1, :-1])
        return np.stack([x, y, z], -1).astype(np.int32)


def _all_places(cells: int) -> np.ndarray:
    axis = np.arange(cells + 1, dtype=np.int32)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()], -1)


def _points_within(coarse: np.ndarray, cells: int) -> np.ndarray:
    """Fine grid points of coarse cells: each has those at its lower faces and within."""
    steps = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    places = (2 * coarse[:, None] + steps[None].astype(np.int32)).reshape(-1, 3)
    return places[(places <= cells).all(1)]
