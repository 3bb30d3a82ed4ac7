"""PFM files: float32 maps, kept exactly. Files hold the bottom row first, arrays the top row."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic

_HEADER = re.compile(rb"\A(P[Ff])\s+(\d+)\s+(\d+)\s+([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s")


def write_pfm(path: Path | str, values: Float32[np.ndarray, "height width *channels"]) -> None:
    """Write a map of one value or three per pixel, little-endian (scale -1), atomically."""
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise ValueError(f"PFM files hold one or three values per pixel, not the shape {values.shape}")
    kind = "PF" if values.ndim == 3 else "Pf"
    header = f"{kind}\n{values.shape[1]} {values.shape[0]}\n-1.000000\n"
    write_atomic(path, header.encode("ascii") + values[::-1].astype("<f4").tobytes())


def read_pfm(path: Path | str) -> Float32[np.ndarray, "height width *channels"]:
    """Read a map of either byte order; the absolute value of the scale, a unit without a definition, is
    ignored.

    Raises:
        InputError: the file is missing, has another header, or fewer values than its header says.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the file ({error.strerror or error})", where=path) from error
    header = _HEADER.match(data)
    if header is None:
        raise InputError("Not a PFM file: the header must be Pf or PF, width, height and scale", where=path)
    kind, width, height, scale = header.groups()
    channels = 3 if kind == b"PF" else 1
    shape = (int(height), int(width), 3) if channels == 3 else (int(height), int(width))
    count = int(width) * int(height) * channels
    body = data[header.end() :]
    if len(body) < 4 * count or count == 0:
        raise InputError(f"The file is cut short: {len(body)} of {4 * count} bytes of values", where=path)
    order = "<f4" if float(scale) < 0 else ">f4"
    return np.frombuffer(body, order, count).reshape(shape)[::-1].astype(np.float32)
