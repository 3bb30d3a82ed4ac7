"""Cropping a photo around its object, so that it looks like the pictures that a network learnt from.

pixelNeRF (Yu et al. 2021, section 5.4) crops photos of cars so that they show them as large as the renders of
SRN do: the crop's side follows from an ellipse around the object's mask.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from sightline.foundation.errors import InputError
from sightline.photos.opencv import opencv

MINOR_SCALE, MAJOR_SCALE = 4.37, 0.8
"""side of the crop in lengths of the ellipse's shorter and longer axis; the larger of both counts"""
_LEAST_POINTS = 5
"""that an ellipse can be fitted to"""


@dataclass(frozen=True)
class Square:
    """A square of pixels, which may reach beyond the photo."""

    x: int
    """of the left column"""
    y: int
    """of the top row"""
    side: int


@dataclass(frozen=True)
class Ellipse:
    """An ellipse around a mask, in pixels."""

    centre: tuple[float, float]
    minor: float
    """whole length of the shorter axis"""
    major: float
    """whole length of the longer axis"""


def fit_ellipse(mask: Bool[np.ndarray, "height width"]) -> Ellipse:
    """Fit an ellipse to the outline of the mask's largest part.

    Raises:
        InputError: the mask is empty, or too small for an outline.
    """
    cv2 = opencv()
    largest = _largest_outline(mask, cv2.CHAIN_APPROX_SIMPLE)
    if largest is not None and len(largest) < _LEAST_POINTS:
        # Corners alone do not make an ellipse.
        largest = _largest_outline(mask, cv2.CHAIN_APPROX_NONE)
    if largest is None or len(largest) < _LEAST_POINTS:
        raise InputError(
            "The mask shows no object" if largest is None else "The mask shows too small an object",
            where="--mask",
            fix="Use a mask that is white where the object is",
        )
    centre, axes, _ = cv2.fitEllipse(largest)
    return Ellipse((float(centre[0]), float(centre[1])), float(min(axes)), float(max(axes)))


def _largest_outline(mask: np.ndarray, points: int) -> np.ndarray | None:
    cv2 = opencv()
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, points)
    return max(outlines, key=cv2.contourArea, default=None)


def square_around(
    mask: Bool[np.ndarray, "height width"],
    minor_scale: float = MINOR_SCALE,
    major_scale: float = MAJOR_SCALE,
) -> Square:
    """Choose the square around an object.

    Args:
        minor_scale: side of the square in lengths of the ellipse's shorter axis.
        major_scale: the same for the longer axis; the larger square is taken.

    Raises:
        InputError: the mask shows no object.
    """
    ellipse = fit_ellipse(mask)
    half = math.ceil(max(ellipse.minor * minor_scale, ellipse.major * major_scale) / 2)
    x, y = (round(value) for value in ellipse.centre)
    return Square(x - half, y - half, 2 * half)


def crop_object(
    photo: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"],
    square: Square,
    size: int = 128,
) -> UInt8[np.ndarray, "size size 3"]:
    """Crop a photo, with white for everything but the object, and resize the crop.

    Raises:
        InputError: the mask has another size than the photo.
    """
    if photo.shape[:2] != mask.shape:
        raise InputError(
            f"The mask has {mask.shape[1]}x{mask.shape[0]} pixels, the photo "
            f"{photo.shape[1]}x{photo.shape[0]}",
            where="--mask",
        )
    crop = np.full((square.side, square.side, 3), 255, np.uint8)
    top, left = max(0, square.y), max(0, square.x)
    bottom = min(photo.shape[0], square.y + square.side)
    right = min(photo.shape[1], square.x + square.side)
    if bottom > top and right > left:
        part = np.where(mask[top:bottom, left:right, None], photo[top:bottom, left:right], np.uint8(255))
        crop[top - square.y : bottom - square.y, left - square.x : right - square.x] = part
    cv2 = opencv()
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR)
