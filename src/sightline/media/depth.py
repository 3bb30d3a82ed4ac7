"""Depth maps as files: PFM, 16-bit PNG with a scale that is said, npy, and raw bytes.

Raw files are those that nerf_pl writes and its Unity project reads: float32, little-endian, the top row
first, no header.
"""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image, PngImagePlugin

from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic
from sightline.media.pfm import write_pfm

FORMATS = ("pfm", "png", "npy", "bytes")
LARGEST = 65535
_SCALE = "sightline:steps-per-unit"


def write_depth(
    path: Path | str, values: Float32[np.ndarray, "height width"], scale: float | None = None
) -> None:
    """Write a map in the format that the suffix says: `.pfm`, `.png`, `.npy` or `.bytes`.

    Args:
        values: NaN where there is nothing, which raw files and PNG hold as 0.
        scale: PNG only: 16-bit steps per unit.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".pfm":
        write_pfm(path, values)
    elif suffix == ".png":
        if scale is None:
            raise ValueError("a PNG file needs the number of steps per unit")
        write_depth_png(path, values, scale)
    elif suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32), allow_pickle=False)
        write_atomic(path, buffer.getvalue())
    elif suffix == ".bytes":
        write_atomic(path, np.nan_to_num(values, nan=0.0).astype("<f4").tobytes())
    else:
        raise ValueError(f"no depth format has the suffix {suffix!r}")


def read_depth_bytes(path: Path | str, width: int, height: int) -> Float32[np.ndarray, "height width"]:
    """Read a raw file, whose size must be known; InputError where it is another."""
    data = Path(path).read_bytes()
    if len(data) != 4 * width * height:
        raise InputError(
            f"The file has {len(data)} bytes, and {width}x{height} pixels are {4 * width * height}",
            where=path,
        )
    return np.frombuffer(data, "<f4").reshape(height, width).astype(np.float32)


def write_depth_png(path: Path | str, values: Float32[np.ndarray, "height width"], scale: float) -> None:
    """Write round(values · scale) as a grey PNG of 16 bits: 0 where there is nothing, 65535 and more clipped.

    The file itself says the scale too (a tEXt chunk), which `read_depth_png` takes from there.
    """
    known = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    # What is so near that it would round to 0 is still something.
    picture = np.clip(np.rint(known * scale), known > 0, LARGEST).astype(np.uint16)
    text = PngImagePlugin.PngInfo()
    text.add_text(_SCALE, repr(float(scale)))
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", pnginfo=text)
    write_atomic(path, buffer.getvalue())


def read_depth_png(path: Path | str) -> Float32[np.ndarray, "height width"]:
    """Read a file of `write_depth_png`; NaN where there is nothing."""
    with Image.open(path) as picture:
        scale = picture.info.get(_SCALE)
        steps = np.asarray(picture).astype(np.float64)
    if scale is None:
        raise InputError("The picture does not say its scale, so it is no depth map", where=path)
    return np.where(steps > 0, steps / float(scale), np.nan).astype(np.float32)
