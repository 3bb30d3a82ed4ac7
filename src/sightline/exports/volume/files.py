"""Volumes on disk: npz with its frame, and the Unity layout of nerf_pl.

A `.vol` file is a sequence of pairs of little-endian uint32, without header: the flat index of a voxel,
(y * N + x) * N + z, and its colour, R << 24 | G << 16 | B << 8 | A. Voxels without opacity are left out.
N and the box are not in the file: a JSON file beside it says them.
"""

import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt32

from sightline.exports.grids import Grid
from sightline.foundation.errors import InputError
from sightline.foundation.files import atomic_path, read_json, write_json

LARGEST_SIDE = 1625
"""N whose N³ flat indices fit into 32 bits"""


@dataclass(frozen=True)
class VolumeFacts:
    """What a `.vol` file does not say itself."""

    n: int
    """voxels along each side"""
    bounds: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    """lowest and highest x, y, z of voxel centres, in the frame and units of the data"""
    step: float
    """length over which opacity is counted: (highest x - lowest x) / n"""
    records: int
    axis_order: str = "index = (y * n + x) * n + z"
    colour: str = "R << 24 | G << 16 | B << 8 | A, sRGB, straight"
    unity_axes: str = "the nerf_pl viewer shows texel (z, x, y) of these axes, for n = 512"


def vol_alpha(density: Float[np.ndarray, "*shape"], grid: Grid) -> Float[np.ndarray, "*shape"]:
    """Opacity of voxels as nerf_pl counts it: over the width of x, divided by the number of voxels."""
    step = np.float32((grid.high[0] - grid.low[0]) / grid.shape[0])
    return 1 - np.exp(-step * np.maximum(density.astype(np.float32), 0))


def vol_records(
    alpha: Float[np.ndarray, "y x z"], colours: Float[np.ndarray, "y x z 3"], first: int = 0
) -> UInt32[np.ndarray, "n 2"]:
    """Pack a slab of layers y = first … into records; axes are in the order (y, x, z)."""
    quantised = [
        np.floor(255 * np.clip(v, 0, 1)).astype(np.uint32) for v in (*np.moveaxis(colours, -1, 0), alpha)
    ]
    red, green, blue, opacity = quantised
    packed = (red << 24) | (green << 16) | (blue << 8) | opacity
    filled = np.flatnonzero(alpha.ravel() > 0)
    index = filled + first * alpha.shape[1] * alpha.shape[2]
    return np.stack([index.astype(np.uint32), packed.ravel()[filled]], -1)


def write_vol(path: Path, slabs: Iterable[UInt32[np.ndarray, "n 2"]], grid: Grid) -> VolumeFacts:
    """Write a `.vol` file slab by slab, and its JSON file."""
    records = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for slab in slabs:
            file.write(slab.astype("<u4").tobytes())
            records += len(slab)
    bounds = tuple((float(a), float(b)) for a, b in zip(grid.low, grid.high, strict=True))
    step = float(grid.high[0] - grid.low[0]) / grid.shape[0]
    facts = VolumeFacts(grid.shape[0], bounds, step, records)  # type: ignore[arg-type]
    write_json(path.with_suffix(".json"), {"format": "vol", **asdict(facts)})
    return facts


def read_vol(path: Path, n: int | None = None) -> UInt8[np.ndarray, "x y z 4"]:
    """Read a `.vol` file into a dense array of RGBA, axes (x, y, z).

    Args:
        n: voxels along each side; the JSON file beside it says it where not given.

    Raises:
        InputError: the file is missing, cut short, or has voxels outside of its size.
    """
    if n is None:
        n = int(read_json(path.with_suffix(".json"))["n"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the file ({error.strerror or error})", where=path) from error
    if len(data) % 8:
        raise InputError(f"The file is cut short: {len(data)} bytes are no pairs of two numbers", where=path)
    records = np.frombuffer(data, "<u4").reshape(-1, 2)
    if len(records) and int(records[:, 0].max()) >= n**3:
        raise InputError(f"The file has voxels outside of {n}x{n}x{n}", where=path, fix="Give the right size")
    volume = np.zeros((n**3, 4), np.uint8)
    volume[records[:, 0]] = records[:, 1, None] >> np.array([24, 16, 8, 0], np.uint32) & 255
    return volume.reshape(n, n, n, 4).transpose(1, 0, 2, 3)


def write_npz(
    path: Path, rgba: UInt8[np.ndarray, "x y z 4"], density: Float[np.ndarray, "x y z"], grid: Grid
) -> None:
    """Write a compressed npz file that says its own frame.

    Arrays: `rgba` (straight sRGB and the opacity of a voxel), `density` (float16, per unit of the data),
    `low`, `high` (centres of the first and the last voxel), `spacing`, and `about`, JSON text.
    """
    about = {
        "axes": "arrays are indexed [x, y, z] in the frame of the data",
        "position": "voxel [i, j, k] is at low + [i, j, k] * spacing",
        "opacity": "rgba[..., 3] / 255 = 1 - exp(-density * shortest spacing)",
        "colour": "sRGB, not multiplied by opacity",
    }
    arrays = {
        "rgba": rgba,
        "density": np.minimum(density, np.finfo(np.float16).max).astype(np.float16),
        "low": grid.low,
        "high": grid.high,
        "spacing": grid.spacing,
        "about": np.array(json.dumps(about)),
    }
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as file,
    ):
        for name, values in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(values), allow_pickle=False)
