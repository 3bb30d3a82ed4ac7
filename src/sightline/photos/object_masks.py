"""Masks of the object that a photo shows: from a file, by GrabCut, or by rembg where it is installed.

GrabCut (Rother, Kolmogorov, Blake 2004) tells the object from what is around it by their colours. It begins
with an ellipse in the middle of the photo, or with a rectangle that is given.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from sightline.foundation.errors import InputError, warn
from sightline.media.images import read_image
from sightline.photos.opencv import opencv

_WORKING_SIDE = 640
"""longer side of the picture that GrabCut works on"""
_ROUNDS = 5
_EDGE = 0.04
"""part of the shorter side that is taken for background all around"""
_ELLIPSE = 0.42
"""half axes of the ellipse that GrabCut begins with, in sides of the photo"""
_LEAST_PART, _MOST_PART = 0.002, 0.9
"""of the photo that an object takes"""
_BY_HAND = "Give --mask X,Y,WIDTH,HEIGHT, a rectangle around the object, or a mask file"


def cut_out(
    photo: UInt8[np.ndarray, "height width 3"], rectangle: tuple[int, int, int, int] | None = None
) -> Bool[np.ndarray, "height width"]:
    """Find the object of a photo by GrabCut; the largest part that hangs together, without holes.

    Args:
        rectangle: x, y, width and height in pixels around the object; without it, something in the middle
            that does not reach the edges of the photo is looked for.

    Raises:
        InputError: the rectangle is not in the photo, nothing is found, or OpenCV is missing.
    """
    cv2 = opencv()
    height, width = photo.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    begin = _begin_in_middle(size) if rectangle is None else _begin_in(rectangle, (width, height), size)
    found = grab(small, begin)
    if not _LEAST_PART <= found.mean() <= _MOST_PART:
        raise InputError("No object was told from what is around it", where="the photo", fix=_BY_HAND)
    allowed = begin != cv2.GC_BGD
    if rectangle is None and _spans(found, allowed):
        warn(
            "What was cut out reaches from edge to edge of the photo: it may hold surroundings. Look at the "
            f"crop. {_BY_HAND}."
        )
    enlarged = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return enlarged >= 0.5


def _begin_in_middle(size: tuple[int, int]) -> np.ndarray:
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    away = ((columns + 0.5) / width - 0.5) ** 2 + ((rows + 0.5) / height - 0.5) ** 2
    cv2 = opencv()
    begin = np.where(away < _ELLIPSE**2, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    edge = max(1, round(_EDGE * min(size)))
    inside = np.zeros((height, width), bool)
    inside[edge:-edge, edge:-edge] = True
    begin[~inside] = cv2.GC_BGD
    return begin


def _begin_in(
    rectangle: tuple[int, int, int, int], size: tuple[int, int], small: tuple[int, int]
) -> np.ndarray:
    x, y, across, down = rectangle
    if across < 1 or down < 1 or x < 0 or y < 0 or x + across > size[0] or y + down > size[1]:
        raise InputError(
            f"The rectangle {x},{y},{across},{down} is not in the photo of {size[0]}x{size[1]} pixels",
            where="--mask",
            fix="Give X,Y,WIDTH,HEIGHT in pixels of the photo, from its upper left corner",
        )
    if (across, down) == size:
        raise InputError(
            "The rectangle is the whole photo, and what is around the object is not known", where="--mask"
        )
    cv2 = opencv()
    ratio = small[0] / size[0], small[1] / size[1]
    begin = np.full((small[1], small[0]), cv2.GC_BGD, np.uint8)
    left, top = int(x * ratio[0]), int(y * ratio[1])
    right, bottom = round((x + across) * ratio[0]), round((y + down) * ratio[1])
    begin[top : max(bottom, top + 1), left : max(right, left + 1)] = cv2.GC_PR_FGD
    return begin


def grab(
    photo: UInt8[np.ndarray, "height width 3"], begin: UInt8[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Tell foreground from background by GrabCut; gives the foreground's largest part, its holes filled.

    Args:
        begin: what each pixel is taken for at first, by OpenCV's names (GC_BGD, GC_PR_FGD …).
    """
    cv2 = opencv()
    mask = begin.copy()
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(
            np.ascontiguousarray(photo[..., ::-1]), mask, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:
        # One of both has no pixels left, as in a photo of one colour.
        return np.zeros(mask.shape, bool)
    foreground = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    outlines, _ = cv2.findContours(foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = np.zeros(mask.shape, np.uint8)
    if outlines:
        cv2.drawContours(found, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return found.astype(bool)


def _spans(found: np.ndarray, allowed: np.ndarray) -> bool:
    """Whether the object touches two opposite sides of where it may be."""

    def touches(lines: np.ndarray, limits: np.ndarray) -> bool:
        first, last = np.flatnonzero(limits)[[0, -1]]
        return bool(lines[first] and lines[last])

    return any(touches(np.any(found, axis=a), np.any(allowed, axis=a)) for a in (0, 1))


def cut_out_by_rembg(photo: UInt8[np.ndarray, "height width 3"]) -> Bool[np.ndarray, "height width"]:
    """Find the object by rembg's network, which that package downloads when it is first used.

    Raises:
        InputError: rembg is not installed, cannot get its network, or finds nothing.
    """
    try:
        from rembg import remove  # pyright: ignore[reportMissingImports]
    except (ImportError, SystemExit) as error:
        raise InputError(
            f"rembg cannot be loaded ({error})",
            where="--mask rembg",
            fix="Install it: pip install 'rembg[cpu]'; or leave --mask away, for GrabCut",
        ) from error
    try:
        opacity = np.asarray(remove(np.ascontiguousarray(photo), only_mask=True))
    except Exception as error:
        raise InputError(
            f"rembg failed ({error})", where="--mask rembg", fix="Leave --mask away, for GrabCut"
        ) from error
    found = opacity.reshape(*photo.shape[:2], -1)[..., 0] >= 128
    if not _LEAST_PART <= found.mean() < 1:
        raise InputError("rembg found no object", where="the photo", fix=_BY_HAND)
    return found


def read_mask(path: Path | str, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Read the mask of a photo from a picture file: its opacity where it has one, else where it is bright.

    Args:
        size: width and height of the photo.

    Raises:
        InputError: the file cannot be read, has another size, or is white or black everywhere.
    """
    picture = read_image(path)
    half = 32768 if picture.dtype == np.uint16 else 128
    if picture.shape[1::-1] != size:
        raise InputError(
            f"The mask has {picture.shape[1]}x{picture.shape[0]} pixels, the photo {size[0]}x{size[1]}",
            where=path,
            fix="Give a mask of the photo's own size",
        )
    if picture.ndim == 3:
        alpha = picture[..., 3] if picture.shape[2] == 4 else None
        cut = alpha is not None and alpha.min() < half <= alpha.max()
        picture = alpha if cut and alpha is not None else picture[..., :3].mean(-1)
    mask = picture >= half
    if mask.all() or not mask.any():
        raise InputError(
            f"The mask is {'white' if mask.all() else 'black'} everywhere",
            where=path,
            fix="Make it white where the object is, and black elsewhere",
        )
    return mask
