"""One image file to one uint8 array: headers, decoding, and downscaling by area.

EXIF orientation is never applied: pixels are taken as they are stored, since the poses and intrinsics of
every format that is read here refer to the stored pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightline.foundation.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of an image file tell."""

    width: int
    height: int
    has_alpha: bool


def read_header(path: Path) -> ImageHeader:
    """Read the size of an image without decoding it; InputError names a file that is not an image."""
    try:
        with Image.open(path) as image:
            alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
            return ImageHeader(*image.size, has_alpha=alpha)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def decode(path: Path, channels: int) -> np.ndarray:
    """Decode a whole image file.

    Args:
        path: PNG, JPEG, WebP, TIFF … as Pillow reads them; 16 bits a channel become 8.
        channels: 1 (brightness), 3 (RGB; alpha is dropped) or 4 (RGBA; opaque where there is no alpha).

    Returns:
        uint8 (h, w, channels), or (h, w) with one channel. A file that is cut short raises InputError and
        never gives a partly grey picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return _to_array(image, channels)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def shrink(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize by exact area averaging: a new pixel is the mean of the old ones under it, parts by share.

    Colours of RGBA are averaged weighted by alpha, so that invisible pixels don't bleed into visible ones.
    Enlarging is not for this function: sizes must not grow.

    Args:
        image: uint8 (h, w), (h, w, 3) or (h, w, 4).
        width: new width in pixels, at most w.
        height: new height, at most h.
    """
    if image.shape[1] == width and image.shape[0] == height:
        return image
    if width > image.shape[1] or height > image.shape[0]:
        raise ValueError(f"cannot shrink {image.shape[1]}x{image.shape[0]} to {width}x{height}")
    if image.ndim == 3 and image.shape[2] == 4:
        return _shrink_rgba(image, width, height)
    factor = image.shape[1] // width
    if image.shape[1] == width * factor and image.shape[0] == height * factor:
        return np.asarray(Image.fromarray(image).reduce(factor))
    return _round(_area_mean(image.astype(np.float32), width, height))


def _shrink_rgba(image: np.ndarray, width: int, height: int) -> np.ndarray:
    values = image.astype(np.float32)
    values[..., :3] *= values[..., 3:]
    values = _area_mean(values, width, height)
    alpha = values[..., 3:]
    values[..., :3] /= np.maximum(alpha, 1e-6)
    return _round(values)


def _area_mean(values: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2  # here because importing it takes as long as everything else in this module

    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)


def _round(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _to_array(image: Image.Image, channels: int) -> np.ndarray:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip 16-bit brightness at 255 instead of scaling it.
        grey = (np.asarray(image).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(grey)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if channels == 3 and image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image if image.mode == mode else image.convert(mode))


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = "not an image that can be read" if isinstance(error, UnidentifiedImageError) else str(error)
    return InputError(
        f"The image cannot be decoded ({reason})",
        where=path,
        fix="The file is damaged or cut short: copy it again, or remove it and it is skipped",
    )
