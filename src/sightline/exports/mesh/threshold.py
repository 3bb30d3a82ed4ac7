"""Choosing the density at which a field has its surface, from the rays of the photos."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.exports.grids import Grid, look_up
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

_RAYS = 4096
_CANDIDATES = 64
_REACH = 8
"""grid cells beyond which a surface in a wrong place is as wrong as one that is missing"""
_OPAQUE = 0.5
_NEAR_BEST = 1.05
_ROWS = 256


def choose_threshold(
    density: Float[np.ndarray, "x y z"], grid: Grid, cameras: Cameras, seed: int = 0
) -> float:
    """Find the threshold whose surface is where rays of the cameras end.

    Each ray is rendered through the grid. Where it becomes opaque, the surface should be met at the distance
    at which half of the light is taken; where it does not, no surface should be met. The threshold with the
    smallest mean error is taken, distances in cells and up to 8 of them, the geometric mean of those that are
    nearly as good.

    Raises:
        InputError: no ray meets anything opaque.
    """
    origins, directions = draw_rays(grid, cameras, seed)
    volume = torch.from_numpy(density)
    parts = [
        _trace(volume, grid, origins[k : k + _ROWS], directions[k : k + _ROWS])
        for k in range(0, len(origins), _ROWS)
    ]
    opaque = torch.cat([part[0] for part in parts])
    largest = float(density.max(initial=0.0))
    if not len(opaque) or not bool(opaque.any()):
        raise InputError(
            "No surface can be found: nothing in the box is opaque to the rays of the photos, and the "
            f"largest density found is {largest:g} per unit of the data",
            where="--threshold",
            fix="Give a --threshold below that, or another box with --bounds",
        )
    # From a fifth of what makes one cell half opaque over the whole box, up to the densest.
    lowest = float(np.log(2) / (grid.cell * max(grid.shape)) / 5)
    candidates = torch.logspace(
        float(np.log10(min(lowest, largest / 2))), float(np.log10(largest * 0.999)), _CANDIDATES
    )
    errors = torch.stack([sum_errors(parts, float(value)) for value in candidates]) / len(opaque)
    good = errors <= errors.min() * _NEAR_BEST + 1e-6
    # The run of good candidates around the best one.
    best = int(errors.argmin())
    first, last = best, best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(good) - 1 and good[last + 1]:
        last += 1
    return float(candidates[first : last + 1].log().mean().exp())


def draw_rays(grid: Grid, cameras: Cameras, seed: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Random rays of the cameras that meet the box: origins where they enter it, and unit directions.

    Where few do, rays along the axes take their place.
    """
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(len(cameras), (4 * _RAYS,), generator=generator) if len(cameras) else None
    found = torch.zeros(0, 3), torch.zeros(0, 3)
    if views is not None:
        cameras = cameras.to("cpu")
        size = torch.stack([cameras.width, cameras.height], -1)[views]
        pixels = torch.rand(len(views), 2, generator=generator, dtype=torch.float64) * size
        rays = cameras.rays(views, pixels)
        near, far = box_distances(grid, rays.origins, rays.directions)
        hit = (far > near).nonzero()[:_RAYS, 0]
        found = rays.origins[hit] + near[hit, None] * rays.directions[hit], rays.directions[hit]
    if len(found[0]) >= _RAYS // 8:
        return found
    axis = torch.arange(_RAYS) % 3
    low, high = (torch.from_numpy(corner).float() for corner in (grid.low, grid.high))
    start = low + torch.rand(_RAYS, 3, generator=generator) * (high - low)
    start[torch.arange(_RAYS), axis] = low[axis]
    return start, torch.eye(3)[axis]


def box_distances(
    grid: Grid, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Distances at which rays enter and leave the grid's box (leave before entering: they miss it)."""
    low, high = (torch.from_numpy(corner).to(origins) for corner in (grid.low, grid.high))
    slope = torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    a, b = (low - origins) / slope, (high - origins) / slope
    return torch.minimum(a, b).amax(-1).clamp_min(0), torch.maximum(a, b).amin(-1)


def _trace(volume: Tensor, grid: Grid, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which rays become opaque, where half their light is gone, and the largest density up to each step.

    Steps are as long as a cell; places are counted in them.
    """
    steps = int(np.ceil(float(np.linalg.norm(grid.high - grid.low)) / grid.cell)) + 1
    t = grid.cell * (torch.arange(steps) + 0.5)
    sigmas = look_up(volume, grid, origins[:, None] + t[:, None] * directions[:, None])
    depth = (sigmas * grid.cell).cumsum(-1)
    opaque = 1 - torch.exp(-depth[:, -1]) > _OPAQUE
    # The depth that is reached at the end of each step passes ln 2 somewhere in it.
    half = crossing(torch.cat([torch.zeros(len(depth), 1), depth], -1), float(np.log(2)))
    return opaque, half, sigmas.cummax(-1).values


def crossing(rising: Float[Tensor, "n k"], level: float) -> Float[Tensor, "n"]:
    """Where rows of values that never fall pass a level, as a position between columns (k: nowhere)."""
    after = (rising <= level).sum(-1)
    there = after.clamp(1, rising.shape[-1] - 1)[:, None]
    low, high = rising.gather(-1, there - 1)[:, 0], rising.gather(-1, there)[:, 0]
    position = there[:, 0] - 1 + ((level - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
    position = torch.where(after == 0, torch.zeros_like(position), position)
    return torch.where(after == rising.shape[-1], float(rising.shape[-1]), position)


def sum_errors(parts: list[tuple[Tensor, Tensor, Tensor]], threshold: float) -> Tensor:
    """Add up the errors of all rays for one threshold, each between 0 and 1."""
    total = torch.zeros(())
    for opaque, half, densest in parts:
        # Densities are those of the middles of steps.
        first = crossing(densest, threshold) + 0.5
        missed = densest[:, -1] <= threshold
        distance = (first - half).abs().clamp(max=_REACH) / _REACH
        error = torch.where(opaque, torch.where(missed, 1.0, distance), (~missed).float())
        total = total + error.sum()
    return total
