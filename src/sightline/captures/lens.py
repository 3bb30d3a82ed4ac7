"""Intrinsics as files state them, with gaps, and as cameras need them, without."""

import math
from dataclasses import dataclass, replace

import numpy as np

from sightline.foundation.errors import InputError
from sightline.geometry import LensModel

NO_DISTORTION = (0.0,) * 8


@dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """A whole lens for images of one size, in pixels."""

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    width: int
    height: int
    model: LensModel
    distortion: tuple[float, ...]

    def resized(self, width: int, height: int) -> "Intrinsics":
        """Change the image size; each axis is scaled by the exact ratio of sizes."""
        return replace(
            self,
            focal_x=self.focal_x * width / self.width,
            focal_y=self.focal_y * height / self.height,
            centre_x=self.centre_x * width / self.width,
            centre_y=self.centre_y * height / self.height,
            width=width,
            height=height,
        )


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Intrinsics as a file states them; what it leaves out follows from the image."""

    focal_x: float | None = None
    """pixels"""
    focal_y: float | None = None
    angle_x: float | None = None
    """horizontal field of view in radians, used without a focal length"""
    angle_y: float | None = None
    centre_x: float | None = None
    """pixels from the left edge of the image; default: the middle"""
    centre_y: float | None = None
    width: int | None = None
    """pixels, the size that the other numbers are for; default: the size of the image"""
    height: int | None = None
    model: LensModel = LensModel.PINHOLE
    distortion: tuple[float, ...] = NO_DISTORTION

    def completed(self, width: int, height: int, where: str) -> Intrinsics:
        """Fill in what is not stated, for an image of this size; InputError names `where`."""
        width, height = self.width or width, self.height or height
        focal_x, focal_y = self.focal_x, self.focal_y
        if focal_x is None and focal_y is None:
            focal_x = None if self.angle_x is None else 0.5 * width / math.tan(0.5 * self.angle_x)
            focal_y = None if self.angle_y is None else 0.5 * height / math.tan(0.5 * self.angle_y)
        focal_x = focal_y if focal_x is None else focal_x
        focal_y = focal_x if focal_y is None else focal_y
        if focal_x is None or focal_y is None:
            raise InputError(
                "The focal length is not stated",
                where=where,
                fix="Give fl_x (pixels) or camera_angle_x (radians)",
            )
        centre_x = width / 2 if self.centre_x is None else self.centre_x
        centre_y = height / 2 if self.centre_y is None else self.centre_y
        if not np.isfinite([focal_x, focal_y, centre_x, centre_y, *self.distortion]).all():
            raise InputError("The intrinsics hold NaN or infinite numbers", where=where)
        if focal_x <= 0 or focal_y <= 0:
            raise InputError(f"The focal length is {focal_x:g}, {focal_y:g}: not positive", where=where)
        return Intrinsics(
            focal_x=focal_x,
            focal_y=focal_y,
            centre_x=centre_x,
            centre_y=centre_y,
            width=width,
            height=height,
            model=self.model,
            distortion=self.distortion,
        )
