"""OpenEXR files: float32 pictures and maps, compressed without loss, as other graphics programs read them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from sightline.foundation.errors import InputError
from sightline.foundation.files import atomic_path

_NAMES = {3: "RGB", 4: "RGBA"}


def write_exr(path: Path | str, values: Float32[np.ndarray, "height width *channels"]) -> None:
    """Write a map of one value per pixel as the channel Z (depth), or a picture of RGB or RGBA, atomically.

    Values are written as they are, NaN and infinity too. Programs take colours in EXR files for linear
    light that is multiplied by alpha: make them so before, where they shall look the same there.
    """
    import OpenEXR

    if values.ndim == 2:
        name = "Z"
    elif values.ndim == 3 and values.shape[2] in _NAMES:
        name = _NAMES[values.shape[2]]
    else:
        raise ValueError(f"EXR files get one, three or four values per pixel, not the shape {values.shape}")
    if values.size == 0:
        raise ValueError(f"not the shape of a picture: {values.shape}")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {name: np.ascontiguousarray(values, dtype=np.float32)}
    with atomic_path(path) as temporary, OpenEXR.File(header, channels) as file:
        try:
            file.write(str(temporary))
        except RuntimeError as error:
            # The library reports a full disk or a closed folder so.
            raise OSError(str(error)) from error


def read_exr(path: Path | str) -> Float32[np.ndarray, "height width *channels"]:
    """Read a file of one channel as (height, width), of R, G, B and perhaps A as (height, width, 3 or 4).

    Raises:
        InputError: the file is missing, cut short, not an EXR file, or has other channels.
    """
    import OpenEXR

    path = Path(path)
    if not path.is_file():
        raise InputError("The file does not exist", where=path)
    try:
        with OpenEXR.File(str(path)) as file:
            found = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, MemoryError) as error:
        raise InputError(
            f"Cannot read the EXR file ({error})", where=path, fix="It may be cut short: copy it again"
        ) from error
    if len(found) != 1:
        raise InputError(
            f"The EXR file has the channels {', '.join(sorted(found)) or 'of no picture'}",
            where=path,
            fix="Files of one channel, of R, G, B, or of R, G, B, A can be read",
        )
    (values,) = found.values()
    return np.asarray(values, np.float32)
