"""Photos of objects, whose cameras nobody knows, as methods want them: cut out, cropped, on white."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightline.foundation.errors import InputError
from sightline.media.images import read_image

GRABCUT, REMBG, NONE = "grabcut", "rembg", "none"
_RECTANGLE = re.compile(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*")
# EXIF orientation → how the stored rows and columns become upright.
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ObjectPhoto:
    """A photo as a method is shown it."""

    name: str
    """of its file, without suffix"""
    picture: np.ndarray
    """uint8 (height, width, 3), or 4 channels where the object is cut out"""
    cropped: bool = False
    """whether it was cropped around its object"""


def read_photos(paths: Sequence[Path], masks: Sequence[str], side: int | None) -> list[ObjectPhoto]:
    """Read photos, and cut their objects out.

    Args:
        masks: none, or one for each photo: `grabcut`, `rembg`, `none` (the photo is taken as it is), a
            rectangle `X,Y,WIDTH,HEIGHT` around the object for GrabCut, or a file. One that names no file
            serves all photos. Without any, a photo's own transparency counts, else GrabCut.
        side: in pixels, of the square crop that the method was trained to see; None where it takes whole
            photos: their objects are then cut out only where masks are given.

    Raises:
        InputError: a photo or mask cannot be read or does not fit, or no object is found.
    """
    given = masks_of(paths, masks)
    return [_read(Path(path), mask, side) for path, mask in zip(paths, given, strict=True)]


def masks_of(paths: Sequence[Path], masks: Sequence[str]) -> list[str | None]:
    """Give each photo its mask; InputError where their numbers do not fit. See `read_photos`."""
    if not masks:
        return [None] * len(paths)
    if len(masks) == 1 and not _is_file(masks[0]):
        return [*masks] * len(paths)
    if len(masks) != len(paths):
        raise InputError(
            f"There are {len(masks)} masks for {len(paths)} photos",
            where="--mask",
            fix="Give one for each photo, in the same order, or none",
        )
    return list(masks)


def _read(path: Path, mask: str | None, side: int | None) -> ObjectPhoto:
    photo = read_photo(path)
    if mask == NONE or (mask is None and side is None):
        return ObjectPhoto(path.stem, photo)
    try:
        found = _mask(photo, mask)
    except InputError as error:
        if error.where != "the photo":
            raise
        raise InputError(error.what, where=path, fix=error.fix) from error
    if side is None:
        opacity = np.where(found, np.uint8(255), np.uint8(0))
        return ObjectPhoto(path.stem, np.dstack([photo[..., :3], opacity]))
    from sightline.photos.object_crops import crop_object, square_around

    return ObjectPhoto(path.stem, crop_object(photo[..., :3], found, square_around(found), side), True)


def read_photo(path: Path) -> np.ndarray:
    """Read a photo upright: uint8 (height, width, 3), or 4 channels where it has transparency.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    picture = read_image(path)
    if picture.dtype != np.uint8:
        picture = (picture // 257).astype(np.uint8)
    if picture.ndim == 2:
        picture = picture[..., None].repeat(3, axis=-1)
    try:
        with Image.open(path) as file:
            turn = _UPRIGHT.get(file.getexif().get(_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        turn = None
    return np.ascontiguousarray(picture if turn is None else turn(picture))


def _mask(photo: np.ndarray, how: str | None) -> np.ndarray:
    from sightline.photos.object_masks import cut_out, cut_out_by_rembg, read_mask

    colours = np.ascontiguousarray(photo[..., :3])
    if how is None and photo.shape[2] == 4 and photo[..., 3].min() < 128 <= photo[..., 3].max():
        return photo[..., 3] >= 128
    if how is None or how == GRABCUT:
        return cut_out(colours)
    if how == REMBG:
        return cut_out_by_rembg(colours)
    rectangle = _RECTANGLE.fullmatch(how)
    if rectangle is not None:
        x, y, width, height = (int(value) for value in rectangle.groups())
        return cut_out(colours, (x, y, width, height))
    return read_mask(how, (photo.shape[1], photo.shape[0]))


def _is_file(mask: str) -> bool:
    return mask not in (GRABCUT, REMBG, NONE) and _RECTANGLE.fullmatch(mask) is None
