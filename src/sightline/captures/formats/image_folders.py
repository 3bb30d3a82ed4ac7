"""Image folders that come in several sizes: images, images_2, images_4, images_8, images_504x378."""

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
    """Whether there is an `images`, `images_N` or `images_WIDTHxHEIGHT` folder."""
    return bool(_named_folders(root))


def choose_image_folder(
    root: Path, downscale: float, *, full_size: bool = False, stated: tuple[int, int] | None = None
) -> ImageFolder:
    """Choose the folder whose size is asked for; else one with larger images, which are then shrunk.

    `downscale` counts from the full size. Where only smaller images than asked for exist, those are taken,
    with a warning. With `full_size`, the full-size images are taken where they are there, and shrunk.
    Folders named by a size count where that is the `stated` width and height by a whole factor. InputError
    where there is no image folder.
    """
    folders = _folders(root, stated)
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


def _folders(root: Path, stated: tuple[int, int] | None) -> dict[int, Path]:
    """Folders with images by their factor."""
    found = {}
    for entry, match in _named_folders(root):
        if match[2] is None:
            found[int(match[1] or 1)] = entry
    for entry, match in _named_folders(root):
        if match[2] is not None and stated is not None:
            factor = _factor(stated, (int(match[2]), int(match[3])))
            if factor is not None:
                found.setdefault(factor, entry)
    return found


def _named_folders(root: Path) -> list[tuple[Path, re.Match[str]]]:
    if not root.is_dir():
        return []
    pattern = r"images(?:_([1-9]\d*)|_([1-9]\d*)x([1-9]\d*))?"
    matches = [(entry, re.fullmatch(pattern, entry.name)) for entry in sorted(root.iterdir())]
    return [(entry, match) for entry, match in matches if match and entry.is_dir() and any(entry.iterdir())]


def _factor(stated: tuple[int, int], size: tuple[int, int]) -> int | None:
    """Give the whole number by which a stated size was divided and rounded to this one; None if by none."""
    factor = max(1, round(stated[0] / size[0]))
    rounded = all(abs(length / factor - small) < 1 for length, small in zip(stated, size, strict=True))
    return factor if rounded else None
