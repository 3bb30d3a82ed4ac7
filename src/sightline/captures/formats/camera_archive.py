"""cameras.npz as DVR (Niemeyer et al. 2020) writes it: matrices called KIND_VIEW."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.formats.object_folders import number_of, pictures_in
from sightline.foundation.errors import InputError, warn

FILE_NAME = "cameras.npz"
PICTURES, MASKS = "image", "mask"


@dataclass(frozen=True)
class CameraArchive:
    """The matrices of one object or scene."""

    path: Path
    matrices: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> "CameraArchive":
        """Read the file; InputError where it is missing or damaged, or holds something else."""
        if not path.is_file():
            raise InputError(
                "The object has no poses", where=path, fix="Copy the object again, or remove its folder"
            )
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"The file of cameras cannot be read ({error})", where=path) from error
        return cls(path, found)

    def views(self) -> set[int]:
        """Which views have a `world_mat`."""
        numbers = (name.removeprefix("world_mat_") for name in self.matrices)
        return {int(number) for number in numbers if number.isdecimal()}

    def get(self, kind: str, view: int) -> np.ndarray | None:
        """Give a matrix as 4x4, rows that are not stored being those of the identity; None where it is not.

        Raises:
            InputError: it is neither 3x4 nor 4x4, or holds NaN or infinite numbers.
        """
        stored = self.matrices.get(f"{kind}_{view}")
        if stored is None:
            return None
        where = f"{self.path}, {kind}_{view}"
        if stored.shape not in ((3, 4), (4, 4)):
            raise InputError(f"The matrix must be 3x4 or 4x4, its shape is {stored.shape}", where=where)
        if not np.isfinite(stored).all():
            raise InputError("The matrix holds NaN or infinite numbers", where=where)
        whole = np.eye(4)
        whole[: len(stored)] = stored
        return whole

    def require(self, kind: str, view: int) -> np.ndarray:
        """Give a matrix that must be there; see `get`."""
        found = self.get(kind, view)
        if found is None:
            raise InputError(f"The file has no {kind}_{view}", where=self.path, fix="Copy the object again")
        return found

    def inverse(self, kind: str, view: int) -> np.ndarray:
        """Invert a matrix that must be there; InputError where it has no inverse."""
        try:
            return np.linalg.inv(self.require(kind, view))
        except np.linalg.LinAlgError as error:
            raise InputError("The matrix cannot be inverted", where=f"{self.path}, {kind}_{view}") from error


def archive_kinds(path: Path) -> set[str]:
    """Name the kinds of matrices in a file without reading them; none where it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy").rstrip("0123456789").rstrip("_") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def match_views(folder: Path, archive: CameraArchive, strict: bool) -> list[tuple[int, Path]]:
    """Join pictures with the numbers of their matrices.

    By the number that a picture is called by, where all have one; else by their sorted order.

    Raises:
        InputError: there are no pictures or no poses, or other numbers of them where only their order tells.
    """
    pictures, views = pictures_in(folder / PICTURES), archive.views()
    if not pictures:
        raise InputError("The object has no pictures", where=folder / PICTURES, fix="Copy the object again")
    if not views:
        raise InputError("The file holds no world_mat_0, world_mat_1 …", where=archive.path)
    numbers = [number_of(picture.name) for picture in pictures]
    if None in numbers or len(set(numbers)) < len(numbers):
        if len(pictures) != len(views):
            raise _other_count(len(pictures), len(views), folder)
        return list(zip(sorted(views), pictures, strict=True))
    pairs = [(number, file) for number, file in zip(numbers, pictures, strict=True) if number in views]
    if len(pairs) < max(len(pictures), len(views)):
        if strict or not pairs:
            raise _other_count(len(pictures), len(views), folder)
        warn(
            f"The object has {len(pictures)} pictures and {len(views)} poses; the {len(pairs)} whose numbers "
            f"agree are used. Where: {folder}."
        )
    return [(number, file) for number, file in pairs if number is not None]


def match_masks(folder: Path, numbers: list[int]) -> list[Path | None]:
    """Find the silhouette of each view, by number; by order where names are none and all are there."""
    masks = pictures_in(folder / MASKS)
    found = {number_of(mask.name): mask for mask in masks}
    if None not in found:
        return [found.get(number) for number in numbers]
    return list(masks) if len(masks) == len(numbers) else [None] * len(numbers)


def _other_count(pictures: int, poses: int, folder: Path) -> InputError:
    return InputError(
        f"The object has {pictures} pictures and {poses} poses", where=folder, fix="Copy the object again"
    )
