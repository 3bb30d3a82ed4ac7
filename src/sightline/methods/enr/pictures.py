"""Pictures as `enr` learns them: square, opaque, of one size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.methods.enr.config import EnrConfig


def fit_pictures(
    pictures: Sequence[UInt8[np.ndarray, "_ _ _"]], config: EnrConfig
) -> UInt8[Tensor, "n 3 side side"]:
    """Put pictures (height, width, 3 or 4) on white, cut and resize them as the configuration says.

    Resizing is Pillow's bilinear filter, which averages when it reduces.

    Raises:
        InputError: a picture that `check_size` refuses.
    """
    side = config.image_size
    found = np.empty((len(pictures), side, side, 3), np.uint8)
    for position, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        check_size(width, height, config)
        found[position] = fit_square(picture, cut_side(width, height, config), side)
    return torch.from_numpy(found).permute(0, 3, 1, 2).contiguous()


def fit_square(picture: UInt8[np.ndarray, "_ _ _"], cut: int, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Put a picture (height, width, 3 or 4) on white, cut it to its middle square, and resize that."""
    square = _cut(_opaque(picture), cut)
    if square.shape[:2] != (side, side):
        square = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BILINEAR))
    return square


def check_size(width: int, height: int, config: EnrConfig, where: object = None) -> None:
    """Raise InputError where a picture has another size than the network's and is not to be resized."""
    side = config.image_size
    cut = config.crop is not None and config.crop <= min(width, height)
    given = (config.crop, config.crop) if cut else (width, height)
    if given == (side, side) or config.resize:
        return
    whole = width == height and width > side and width % side == 0
    raise InputError(
        f"The picture has {width}x{height} pixels"
        + (f", cut to {config.crop}x{config.crop}" if cut else "")
        + f", and this network takes {side}x{side}",
        where=where,
        fix="Give --resize, which cuts pictures to their middle square and resizes them"
        + (f"; or reduce the data with --downscale {width // side}, in train and eval" if whole else ""),
    )


def file_of(capture: Capture, index: int) -> Path:
    """File of a view, for messages; only its name where the picture is in memory."""
    return capture.images.paths[index] or Path(capture.image_names[index])


def cut_side(width: int, height: int, config: EnrConfig) -> int:
    """Side of the middle square that a picture is cut to."""
    smallest = min(width, height)
    return smallest if config.crop is None else min(smallest, config.crop)


def place_on_white(
    pictures: Float[Tensor, "n side side 3"], width: int, height: int, shown: float
) -> Float[Tensor, "n height width 3"]:
    """Resize square pictures to the middle of larger ones, which are white beside them.

    Args:
        shown: part of the smaller side that the square covers.
    """
    side = max(1, round(min(width, height) * shown))
    if pictures.shape[1] != side:
        planes = F.interpolate(pictures.permute(0, 3, 1, 2), (side, side), mode="bilinear", antialias=True)
        pictures = planes.permute(0, 2, 3, 1)
    if (height, width) == (side, side):
        return pictures
    top, left = (round((length - side) / 2) for length in (height, width))
    beside = (0, 0, left, width - side - left, top, height - side - top)
    return F.pad(pictures, beside, value=1.0)


def _opaque(picture: np.ndarray) -> np.ndarray:
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _cut(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = (round((length - side) / 2) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]
