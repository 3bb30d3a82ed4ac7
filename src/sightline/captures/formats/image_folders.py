"""Image folders that come in several sizes: images, images_2, images_4, images_8."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sightline.captures.decoding import IMAGE_SUFFIXES
from sightline.foundation.errors import InputError, warn


@dataclass(frozen=True)
class ImageFolder:
    """The folder to read images from, and what is left to do with them."""

    path: Path
    factor: int
    """the images are smaller than the cameras state by this"""
    downscale: float
    """what remains of the downscale asked for"""

    @property
    def expected_ratio(self) -> Fraction | None:
        """Image size / stated size, None for images of full size."""
        return None if self.factor == 1 else Fraction(1, self.factor)


def has_images(root: Path) -> bool:
    """Whether there is an `images` or `images_N` folder."""
    return bool(_folders(root))


def choose_image_folder(root: Path, downscale: float, *, full_size: bool = False) -> ImageFolder:
    """Choose the folder whose size is asked for; else one with larger images, which are then shrunk.

    `downscale` counts from the full size. Where only smaller images than asked for exist, those are taken,
    with a warning. With `full_size`, the full-size images are taken where they are there, and shrunk.
    InputError where there is no image folder.
    """
    folders = _folders(root)
    if not folders:
        raise InputError(
            "There is no folder with the images",
            where=root,
            fix="Looked for images, images_2, images_4, images_8 and so on",
        )
    if full_size and 1 in folders:
        return ImageFolder(folders[1], 1, downscale)
    if downscale in folders:
        return ImageFolder(folders[int(downscale)], int(downscale), 1)
    if 1 in folders:
        return ImageFolder(folders[1], 1, downscale)
    larger = [factor for factor in folders if factor <= downscale]
    if larger:
        factor = max(larger)
        return ImageFolder(folders[factor], factor, downscale / factor)
    factor = min(folders)
    warn(
        f"Only images smaller by {factor} are there ({folders[factor]}); they are used as they are, "
        f"although a downscale of {downscale:g} was asked for."
    )
    return ImageFolder(folders[factor], factor, 1)


def image_files(folder: Path) -> list[Path]:
    """List the image files directly in a folder, sorted by name (10.jpg comes before 2.jpg)."""
    files = (entry for entry in folder.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((file for file in files if not file.name.startswith(".")), key=lambda file: file.name)


def _folders(root: Path) -> dict[int, Path]:
    """Folders with images by their factor."""
    found = {}
    if not root.is_dir():
        return found
    for entry in root.iterdir():
        match = re.fullmatch(r"images(?:_([1-9]\d*))?", entry.name)
        if match and entry.is_dir() and any(entry.iterdir()):
            found[int(match[1] or 1)] = entry
    return found
