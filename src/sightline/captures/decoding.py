"""One image file to one uint8 array: headers and decoding.

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
