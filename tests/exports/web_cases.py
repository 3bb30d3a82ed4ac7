"""Small voxel scenes for tests of the web export, and a plain definition of what rays see in them."""

import numpy as np
import torch

from sightline.exports.web.space import Space
from sightline.exports.web.voxels import Voxels, build, key_places, point_keys, to_depths
from sightline.geometry import Similarity
from sightline.kernels.marching import contract


def space_of(contracted: bool, near: float = 1e-3) -> Space:
    return Space(Similarity.identity(), contracted, near)


def all_places(cells: int) -> np.ndarray:
    axis = np.arange(cells + 1, dtype=np.int32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def voxels_of(cells: int, places: np.ndarray, values: np.ndarray, terms: int = 0) -> Voxels:
    keys = point_keys(places, cells)
    order = np.argsort(keys)
    return build(cells, keys[order], values[order].astype(np.float32), terms).filled()


def blob(cells: int, contracted: bool, terms: int = 0, seed: int = 0) -> Voxels:
    """A soft ball in the middle, and, where space is contracted, a wall around it, with changing colours."""
    places = all_places(cells)
    reach = 2.0 if contracted else 1.0
    at = (2 * places / cells - 1) * reach
    codes = 0.45 * np.clip(1.6 - 2 * np.linalg.norm(at, axis=-1), 0, 1)
    if contracted:
        codes += 0.4 * np.clip(1 - 4 * np.abs(np.abs(at).max(-1) - 1.6), 0, 1)
    colours = 0.5 + 0.4 * np.sin(2.5 * at + np.array([0.0, 1.0, 2.0]))
    some = codes > 0
    made = voxels_of(cells, places[some], np.concatenate([codes[:, None], colours], -1)[some], terms)
    made.residual[:] = 0.2 * np.random.default_rng(seed).uniform(-1, 1, made.residual.shape)
    return made


def dense(voxels: Voxels) -> np.ndarray:
    """Values of all grid points (z, y, x, 4); colours of empty ones are of no account (where codes are 0)."""
    grid = np.zeros((voxels.cells + 1,) * 3 + (4,))
    x, y, z = key_places(voxels.keys, voxels.cells).T
    grid[z, y, x] = voxels.values
    return grid


def interpolate(grid: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Trilinear values (n, channels) at positions in cells (n, 3) x y z."""
    low = np.clip(np.floor(positions).astype(int), 0, len(grid) - 2)
    part = positions - low
    total = np.zeros((len(positions), grid.shape[-1]))
    for choice in range(8):
        step = np.array([choice & 1, choice >> 1 & 1, choice >> 2])
        weight = np.where(step, part, 1 - part).prod(-1)
        x, y, z = (low + step).T
        total += weight[:, None] * grid[z, y, x]
    return total


def integral(
    voxels: Voxels, space: Space, origin: np.ndarray, direction: np.ndarray, count: int
) -> np.ndarray:
    """Colour without background and light that is left, by fine steps along the ray, without residuals."""
    far = space.far if space.contracted else 6.0
    edges = np.geomspace(1.0, 1 + far, count + 1) - 1 + space.near
    middles, lengths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    points = torch.from_numpy(origin + middles[:, None] * direction).double()
    radius = points.abs().amax(-1).numpy()
    inside = radius <= (far if space.contracted else 1.0)
    grid = contract(points, space.contracted).numpy() * voxels.cells
    found = interpolate(dense(voxels), np.clip(grid, 0, voxels.cells))
    stretch = np.maximum(radius, 1) if space.contracted else np.ones_like(radius)
    depths = to_depths(found[:, 0]) / space.cell(voxels.cells) / stretch**2 * lengths * inside
    light = np.exp(-np.concatenate([[0], np.cumsum(depths)]))
    weights = light[:-1] - light[1:]
    return np.array([*(weights[:, None] * found[:, 1:]).sum(0), light[-1]])


def rays_at(count: int, seed: int = 1, distance: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Rays from all sides to places near the middle."""
    random = np.random.default_rng(seed)
    origins = random.normal(size=(count, 3))
    origins *= distance / np.linalg.norm(origins, axis=-1, keepdims=True)
    directions = random.uniform(-0.4, 0.4, (count, 3)) - origins
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return origins.astype(np.float32), directions.astype(np.float32)
