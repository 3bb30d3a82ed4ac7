"""Sparse voxels: the points of a grid that rays see, and the blocks of cells that they are corners of.

A point's key is its owner block (which holds points 4b … 4b + 3 of each axis) times 64, plus its place in it;
keys are in rising order, and arrays of points follow them. Halves are the points at even places of both
neighbours' grid, on which colours' change with the direction is kept; they follow their own linear index.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from sightline.exports.web.marching import BLOCK, CORNERS, HALF_CORNERS, RISE, THINNEST

_OWNED = BLOCK**3


def to_codes(depths: np.ndarray) -> np.ndarray:
    """Codes in [0, 1] of optical depths per cell."""
    return np.clip(np.log1p(np.maximum(depths, 0) / THINNEST) / RISE, 0, 1).astype(np.float32)


def to_depths(codes: np.ndarray) -> np.ndarray:
    """Optical depths per cell of codes."""
    return THINNEST * np.expm1(RISE * codes)


def point_keys(places: np.ndarray, cells: int) -> np.ndarray:
    """Keys of grid points (n, 3) x y z, int64."""
    owners = cells // BLOCK + 1
    block, within = places // BLOCK, places % BLOCK
    linear = (block[:, 2].astype(np.int64) * owners + block[:, 1]) * owners + block[:, 0]
    return linear * _OWNED + (within[:, 2] * BLOCK + within[:, 1]) * BLOCK + within[:, 0]


def key_places(keys: np.ndarray, cells: int) -> np.ndarray:
    """Inverse of `point_keys`: (n, 3) int32."""
    owners = cells // BLOCK + 1
    linear, within = keys // _OWNED, keys % _OWNED
    block = np.stack([linear % owners, linear // owners % owners, linear // owners**2], -1)
    inside = np.stack([within % BLOCK, within // BLOCK % BLOCK, within // BLOCK**2], -1)
    return (BLOCK * block + inside).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Voxels:
    """A sparse grid with what its points hold; `build` makes the index."""

    cells: int
    """along each side of the grid, a multiple of 4"""
    keys: np.ndarray
    """(points,) int64, rising"""
    values: np.ndarray
    """(points, 4) float32: code of the optical depth of a cell, red, green, blue"""
    slots: np.ndarray
    """(blocks, blocks, blocks) int32 [z, y, x]: slot of a block, or minus the blocks to the next one"""
    blocks: np.ndarray
    """(slots,) int64 linear index of each slot's block, rising"""
    corners: np.ndarray
    """(slots, 125) int32 point of each corner [z, y, x], -1 for none"""
    halves: np.ndarray
    """(slots, 27) int32 half of each place, -1 for none"""
    half_keys: np.ndarray
    """(halves,) int64 linear index of each half"""
    residual: np.ndarray
    """(halves, 3 terms) float32: for each term of the direction red, green, blue"""
    fills: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    """(slots, 3) mean colour of each block's points: that of its corners which hold nothing"""

    def filled(self) -> "Voxels":
        """The same with fills that belong to the values."""
        there = self.corners >= 0
        total = np.zeros((len(self.corners), 3), np.float64)
        for k in range(CORNERS):
            rows = there[:, k]
            total[rows] += self.values[self.corners[rows, k], 1:]
        return replace(self, fills=(total / np.maximum(there.sum(1), 1)[:, None]).astype(np.float32))

    def kept(self, chosen: np.ndarray) -> "Voxels":
        """Only the points of a (points,) mask; halves keep what they hold."""
        built = build(self.cells, self.keys[chosen], self.values[chosen], self.residual.shape[1] // 3)
        rows = np.searchsorted(self.half_keys, built.half_keys)
        return replace(built, residual=np.ascontiguousarray(self.residual[rows])).filled()


def build(cells: int, keys: np.ndarray, values: np.ndarray, terms: int = 0) -> Voxels:
    """Index points: which blocks have them as corners, and how far it is to the next block.

    Args:
        keys: (points,) rising.
        values: (points, 4).
        terms: polynomials of the direction that colours change with; their residuals begin at 0.
    """
    count = cells // BLOCK
    owners = count + 1
    table = np.full(owners**3, -1, np.int32)
    held, starts = np.unique(keys // _OWNED, return_index=True)
    table[held] = np.arange(len(held), dtype=np.int32)
    rows = np.full((len(held) + 1, _OWNED), -1, np.int32)
    rows[np.repeat(np.arange(len(held)), np.diff([*starts, len(keys)])), keys % _OWNED] = np.arange(len(keys))
    touched = _touched_blocks(key_places(keys, cells), count)
    corners = _corners_of(touched, table, rows, count)
    slots = _distances(touched, count)
    halves, half_keys = _halves_of(touched, corners >= 0, cells) if terms else _no_halves(len(touched))
    return Voxels(
        cells=cells,
        keys=keys,
        values=np.ascontiguousarray(values, np.float32),
        slots=slots,
        blocks=touched,
        corners=corners,
        halves=halves,
        half_keys=half_keys,
        residual=np.zeros((len(half_keys), 3 * terms), np.float32),
        fills=np.zeros((len(touched), 3), np.float32),
    )


def _touched_blocks(places: np.ndarray, count: int) -> np.ndarray:
    """Linear indices of the blocks that have any of the points as a corner, rising."""
    marked = np.zeros((count,) * 3, bool)
    upper = np.minimum(places // BLOCK, count - 1)
    lower = np.maximum(-(-places // BLOCK) - 1, 0)
    for choice in range(8):
        x, y, z = ((upper if choice >> k & 1 else lower)[:, k] for k in range(3))
        marked[z, y, x] = True
    return np.flatnonzero(marked)


def _split(linear: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return linear % side, linear // side % side, linear // side**2


def _corners_of(touched: np.ndarray, table: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    x, y, z = _split(touched, count)
    owners = count + 1
    corners = np.empty((len(touched), CORNERS), np.int32)
    steps = range(BLOCK + 1)
    for k, (c, b, a) in enumerate((c, b, a) for c in steps for b in steps for a in steps):
        owner = ((z + c // BLOCK) * owners + y + b // BLOCK) * owners + x + a // BLOCK
        within = ((c % BLOCK) * BLOCK + b % BLOCK) * BLOCK + a % BLOCK
        corners[:, k] = rows[table[owner], within]
    return corners


def _distances(touched: np.ndarray, count: int) -> np.ndarray:
    free = np.ones(count**3, bool)
    free[touched] = False
    if free.all():
        return np.full((count,) * 3, -count, np.int32)
    away = ndimage.distance_transform_cdt(free.reshape((count,) * 3), metric="chessboard")
    slots = -np.asarray(away, np.int32)
    slots.reshape(-1)[touched] = np.arange(len(touched), dtype=np.int32)
    return slots


def _no_halves(slots: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((slots, HALF_CORNERS), -1, np.int32), np.zeros(0, np.int64)


def _halves_of(touched: np.ndarray, there: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves that points of their block lie within two cells of."""
    count, side = cells // BLOCK, cells // 2 + 1
    there = there.reshape(-1, *(BLOCK + 1,) * 3)
    x, y, z = _split(touched, count)
    keys = np.full((len(touched), HALF_CORNERS), -1, np.int64)
    for k in range(HALF_CORNERS):
        a, b, c = k % 3, k // 3 % 3, k // 9
        window = tuple(slice(max(0, 2 * h - 2), 2 * h + 3) for h in (c, b, a))
        needed = there[(slice(None), *window)].any((1, 2, 3))
        linear = ((2 * z + c) * side + 2 * y + b) * side + 2 * x + a
        keys[needed, k] = linear[needed]
    marked = np.zeros(side**3, bool)
    marked[keys[keys >= 0]] = True
    half_keys = np.flatnonzero(marked)
    numbers = np.full(side**3 + 1, -1, np.int32)
    numbers[half_keys] = np.arange(len(half_keys), dtype=np.int32)
    return numbers[keys], half_keys
