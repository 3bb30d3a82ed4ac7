"""The volume export: densities and colours of a regular grid."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sightline.exports.grids import Grid, cubic_box, grid_over, sample_density, scene_box
from sightline.exports.source import Exported, Field, Source
from sightline.exports.volume.config import VolumeOptions
from sightline.exports.volume.files import LARGEST_SIDE, vol_alpha, vol_records, write_npz, write_vol
from sightline.foundation.errors import InputError, inform

View = Literal["inward", "mean", "zero"]
_BYTES_PER_VOXEL = 40
"""density, its gradient, colours, and what is packed"""
_BYTES_PER_VOXEL_OF_SLAB = 60
_BYTES_PER_RECORD = 8
_LOOKED_AT = 64
"""points along each axis of the grid that estimates how large a file will be"""
_LEAST_OPACITY = 1 / 512
"""below half a step of 8 bits a voxel has no colour of its own"""


def export_volume(source: Source, options: VolumeOptions, out: Path | None = None) -> Exported:
    """Make a dense volume of a run with a field; see `VolumeOptions`.

    Raises:
        InputError: the scene has no field, is empty, or the volume is beyond memory or the format.
    """
    source.require("field", "volume")
    kind, path = _choose_file(source, options, out)
    if kind == "vol":
        return _export_vol(source, options, path)
    view: View = options.view or "inward"
    field = source.field
    grid = grid_over(scene_box(field, options.bounds), options.resolution)
    shown = "x".join(map(str, grid.shape))
    source.refuse_beyond_memory(_BYTES_PER_VOXEL * len(grid), f"A volume of {shown} voxels", "--resolution")
    with source.counting("density", len(grid)) as on_points:
        density = sample_density(field, grid, on_points)
    alpha = -np.expm1(-density * grid.cell)
    _refuse_empty(alpha, density)
    filled = alpha > _LEAST_OPACITY
    rgba = np.zeros((*grid.shape, 4), np.uint8)
    rgba[..., 3] = np.rint(255 * alpha)
    inward = inward_directions(density, grid) if view == "inward" else None
    with source.counting("colours", len(grid)) as on_points:
        for first, last in grid.slabs():
            part = filled[first:last]
            points = grid.points(first, last)[torch.from_numpy(part)]
            ways = None if inward is None else torch.from_numpy(inward[first:last][part])
            rgba[first:last][part, :3] = np.rint(255 * colours_from(field, points, view, ways).numpy())
            on_points(last * len(grid) // grid.shape[0])
    write_npz(path, rgba, density, grid)
    inform(f"Volume of {shown} voxels, {filled.mean():.1%} of them filled")
    facts = {"shape": list(grid.shape), "bounds": [grid.low.tolist(), grid.high.tolist()], "view": view}
    return Exported((path,), {**facts, "filled": int(filled.sum()), "largest_density": float(density.max())})


def _choose_file(source: Source, options: VolumeOptions, out: Path | None) -> tuple[str, Path]:
    kind: str | None = options.format
    if out is not None:
        found = out.suffix.lower().lstrip(".")
        if found not in ("npz", "vol") or (kind is not None and kind != found):
            raise InputError(
                "The output's name and format do not go together",
                where=f"--out {out}",
                fix="Use a name in .npz or .vol",
            )
        kind = found
    kind = kind or "npz"
    return kind, out or source.run.path / "exports" / f"volume.{kind}"


def _refuse_empty(alpha: np.ndarray, density: np.ndarray) -> None:
    if not (alpha > _LEAST_OPACITY).any():
        raise InputError(
            f"The volume is empty: the largest density found is {density.max(initial=0.0):g} per unit of the "
            "data",
            where="--bounds",
            fix="Give a box with something in it",
        )


def _export_vol(source: Source, options: VolumeOptions, path: Path) -> Exported:
    """Write the Unity layout, slab by slab along y: a few layers are held at a time."""
    n = options.resolution
    if not 2 <= n <= LARGEST_SIDE:
        raise InputError(
            f"The layout counts voxels with 32 bits: {n}x{n}x{n} are {n**3}",
            where="--resolution",
            fix=f"Give 2 to {LARGEST_SIDE}",
        )
    source.refuse_beyond_memory(
        _BYTES_PER_VOXEL_OF_SLAB * max(1 << 20, 3 * n * n), f"A slab of {n}x{n} voxels", "--resolution"
    )
    field = source.field
    box = scene_box(field, options.bounds)
    # Found boxes become cubes, so that voxels are.
    box = cubic_box(box) if options.bounds is None else box
    grid = Grid(box[0], box[1], (n, n, n))
    _refuse_beyond_disk(field, grid, path)
    view: View = options.view or ("zero" if source.method.name == "nerf" else "inward")
    filled = 0
    with source.counting("volume", n) as on_layer:
        facts = write_vol(path, vol_slabs(field, grid, view, on_layer), grid)
    filled = facts.records
    if not filled:
        path.unlink()
        path.with_suffix(".json").unlink()
        _refuse_empty(np.zeros(1), np.zeros(1))
    inform(f"Volume of {n}x{n}x{n} voxels, {filled} of them written")
    found = {"n": n, "records": filled, "view": view, "bounds": [grid.low.tolist(), grid.high.tolist()]}
    return Exported((path, path.with_suffix(".json")), found)


def _refuse_beyond_disk(field: Field, grid: Grid, path: Path) -> None:
    """Raise InputError with the numbers where the file would be more than the disk holds.

    How many voxels are filled is estimated by a coarse grid, and only where it matters.
    """
    n = grid.shape[0]
    place = next(folder for folder in path.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(place).free
    if _BYTES_PER_RECORD * n**3 < free:
        return
    few = min(n, _LOOKED_AT)
    density = sample_density(field, Grid(grid.low, grid.high, (few, few, few)))
    share = float((vol_alpha(density, grid) > 0).mean())
    need = _BYTES_PER_RECORD * share * n**3
    if need > free:
        raise InputError(
            f"A volume of {n}x{n}x{n} voxels, {share:.0%} of them not empty, needs about "
            f"{need / 2**30:.1f} GiB of disk, and {free / 2**30:.1f} GiB are free",
            where="--resolution",
            fix="Give a smaller number, or another place with --out",
        )


def vol_slabs(
    field: Field, grid: Grid, view: View, on_layer: Callable[[int], None] = lambda done: None
) -> Iterator[np.ndarray]:
    """Sample a grid along y and pack each slab into records of the Unity layout."""
    n = grid.shape[0]
    for first, last in grid.slabs(axis=1):
        # A layer more on either side, for the gradient.
        low, high = max(0, first - 1), min(n, last + 1)
        points = grid.points(low, high, axis=1).transpose(0, 1)
        density = field.density(points.reshape(-1, 3)).numpy().reshape(points.shape[:3])
        own = slice(first - low, last - low)
        alpha = vol_alpha(density[own], grid)
        filled = torch.from_numpy(alpha > 0)
        ways = None
        if view == "inward":
            part = inward_directions(density.transpose(1, 0, 2), grid)
            ways = torch.from_numpy(part.transpose(1, 0, 2, 3)[own])[filled]
        colours = torch.zeros(*alpha.shape, 3)
        colours[filled] = colours_from(field, points[own][filled], view, ways)
        yield vol_records(alpha, colours.numpy(), first)
        on_layer(last)


def inward_directions(density: np.ndarray, grid: Grid) -> np.ndarray:
    """Unit directions in which the density rises, (x, y, z, 3) float32; along x where nothing changes."""
    # What blocks the light, not how much of it: the inside of dense matter is as flat as the outside.
    alpha = -np.expm1(-density * grid.cell)
    slopes = [
        np.gradient(alpha, grid.spacing[k], axis=k) if alpha.shape[k] > 1 else np.zeros_like(alpha)
        for k in range(3)
    ]
    gradient = np.stack(slopes, -1).astype(np.float32)
    length = np.linalg.norm(gradient, axis=-1, keepdims=True)
    flat = length[..., 0] < 1e-6
    gradient /= np.maximum(length, 1e-6)
    gradient[flat] = (1, 0, 0)
    return gradient


def colours_from(field: Field, points: Tensor, view: View, ways: Tensor | None = None) -> Tensor:
    """Colours of points for one of the ways to look: along `ways`, as a mean, or for no direction at all."""
    points = points.float()
    if view == "inward":
        assert ways is not None
        return field.radiance(points, ways)
    if view == "zero":
        return field.radiance(points, torch.zeros_like(points))
    axes = torch.cat([torch.eye(3), -torch.eye(3)])
    return torch.stack([field.radiance(points, axis.expand_as(points)) for axis in axes]).mean(0)
