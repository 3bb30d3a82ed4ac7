"""Photos as files: which ones a folder holds, and what their EXIF entries say of camera and orientation."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightline.captures.decoding import IMAGE_SUFFIXES
from sightline.foundation.errors import InputError, warn

_ORIENTATION, _MAKE, _MODEL, _EXIF = 0x0112, 0x010F, 0x0110, 0x8769
_FOCAL, _FOCAL_35MM, _PLANE_X, _PLANE_UNIT = 0x920A, 0xA405, 0xA20E, 0xA210
_SIDEWAYS = (5, 6, 7, 8)
_MM_OF_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""EXIF's units of the sensor's resolution"""
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
# Files that photo folders often hold beside photos.
_NOT_READ = (".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw")
_HIDDEN = re.compile(r"(^|/)[._]")


@dataclass(frozen=True)
class PhotoFile:
    """A photo as it lies on disk."""

    name: str
    """below the folder of photos, with forward slashes"""
    path: Path
    width: int
    """in pixels, of the upright picture"""
    height: int
    orientation: int = 1
    """EXIF orientation of the stored pixels; 1 is upright"""
    focal: float | None = None
    """in pixels, as EXIF says it; None where it does not"""
    camera: str = ""
    """maker and model; empty where EXIF does not say"""
    has_alpha: bool = False

    @property
    def group(self) -> tuple[str, int, int, float | None]:
        """What photos by one camera with one lens setting share."""
        focal = None if self.focal is None else round(self.focal, 1)
        return self.camera, self.width, self.height, focal


def is_video(path: Path) -> bool:
    """Whether a path is a file that is not a picture: something for a video decoder."""
    return path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort names as people count: IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)


def holds_photos(folder: Path) -> bool:
    """Whether a folder holds pictures, itself or in folders of it."""
    return folder.is_dir() and bool(_names(folder))


def list_photos(folder: Path) -> list[PhotoFile]:
    """Find the photos of a folder and the folders in it, in the order in which people count.

    Files that cannot be read are left out, with a warning that names them.

    Raises:
        InputError: there are none.
    """
    photos, broken = [], []
    for name in _names(folder):
        try:
            photos.append(read_photo_file(folder / name, name))
        except InputError:
            broken.append(name)
    if broken:
        told = f"{len(broken)} files cannot be read as photos and are left out: {shown(broken)}"
        warn(f"{told}. Where: {folder}.")
    others = sorted(entry.name for entry in folder.rglob("*") if entry.suffix.lower() in _NOT_READ)
    if others:
        told = f"{len(others)} files of other kinds ({shown(others)}) are not read: export them as JPEG"
        if not photos:
            raise InputError(f"There are no photos, and {told}", where=folder)
        warn(f"{told}. Where: {folder}.")
    if not photos:
        raise InputError(
            "There are no photos", where=folder, fix=f"Looked for files in {', '.join(IMAGE_SUFFIXES)}"
        )
    return photos


def shown(names: Sequence[str], most: int = 5) -> str:
    """List names for a message, the first few of many."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _names(folder: Path) -> list[str]:
    found = (
        entry.relative_to(folder).as_posix()
        for entry in folder.rglob("*")
        if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file()
    )
    return sorted((name for name in found if not _HIDDEN.search(name)), key=natural_key)


def read_photo_file(path: Path, name: str | None = None) -> PhotoFile:
    """Read the header of a photo; InputError where it is none."""
    try:
        with Image.open(path) as image:
            image.verify()
        with Image.open(path) as image:
            exif = image.getexif()
            width, height = image.size
            alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            details = dict(exif.get_ifd(_EXIF))
            orientation = exif.get(_ORIENTATION, 1)
            camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL)).strip()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"Not a photo that can be read ({error})", where=path) from error
    orientation = orientation if orientation in range(1, 9) else 1
    focal = focal_in_pixels(details, width, height)
    if orientation in _SIDEWAYS:
        width, height = height, width
    return PhotoFile(name or path.name, path, width, height, orientation, focal, camera, alpha)


def focal_in_pixels(details: dict[int, object], width: int, height: int) -> float | None:
    """Turn EXIF's focal length to pixels: by its 35 mm equivalent, else by the sensor's resolution.

    The equivalent is read by the diagonal (43.3 mm), as makers of phones state it.

    Args:
        details: EXIF tags by number.
        width, height: of the stored picture, pixels.
    """
    equivalent = _positive(details.get(_FOCAL_35MM))
    if equivalent is not None:
        return equivalent / _DIAGONAL_35MM * math.hypot(width, height)
    focal, density = _positive(details.get(_FOCAL)), _positive(details.get(_PLANE_X))
    unit = details.get(_PLANE_UNIT, 2)
    if focal is None or density is None or unit not in _MM_OF_UNIT:
        return None
    pixels = focal * density / _MM_OF_UNIT[int(unit)]  # type: ignore[call-overload]
    # Edited photos often keep the resolution of the sensor though they have fewer pixels.
    return pixels if 0.3 < pixels / max(width, height) < 10 else None


def _positive(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def read_upright(photo: PhotoFile) -> np.ndarray:
    """Decode a photo as it is to be seen: uint8 (height, width, 3), or 4 channels with opacity."""
    from PIL import ImageOps

    try:
        with Image.open(photo.path) as image:
            turned = ImageOps.exif_transpose(image)
            return np.asarray(turned.convert("RGBA" if photo.has_alpha else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"The photo cannot be decoded ({error})", where=photo.path, fix="Copy it again, or remove it"
        ) from error


def sharpness(picture: np.ndarray, side: int = 640) -> float:
    """Measure how sharp a picture is: the variance of its Laplacian at a longer side of `side` pixels."""
    from sightline.photos.opencv import opencv

    cv2 = opencv()
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY)
    scale = side / max(grey.shape)
    if scale < 1:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(np.ascontiguousarray(grey), cv2.CV_32F).var())
