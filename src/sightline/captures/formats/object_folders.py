"""What the readers of collections share: listing folders, making one object's capture, splits by lists.

Listing looks at names only, so that tens of thousands of objects open at once. An object is read when it is
opened: its cameras and the header of its first picture; pictures are decoded when they are asked for.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch

from sightline.captures.capture import Capture
from sightline.captures.checks import check_pose
from sightline.captures.collection import read_id_list
from sightline.captures.decoding import IMAGE_SUFFIXES, decode, read_header
from sightline.captures.frames import ReadOptions, options_to_json, scaled_length
from sightline.captures.image_store import ImageStore
from sightline.captures.lens import Lens
from sightline.captures.resizing import shrink
from sightline.captures.splits import SplitViews, choose_splits, hold_out
from sightline.foundation.errors import InputError, warn
from sightline.geometry import Cameras

# From x right, y down, z forward to x right, y up, z backward: columns of a camera-to-world matrix.
OPENCV_TO_OPENGL = np.array([1.0, -1.0, -1.0, 1.0])
SPLIT_NAMES = ("train", "val", "test")
_SHOWN = 3


class AlikeImages(ImageStore):
    """Pictures of one size, of which only the first one's header was read."""

    stated: tuple[int, int] = (0, 0)
    """width and height of every file"""

    def subset(self, indices: Sequence[int]) -> "ImageStore":
        """Give a store of these images in this order, sharing the cache."""
        store = super().subset(indices)
        if isinstance(store, AlikeImages):
            store.stated = self.stated
        return store

    def _read(self, index: int) -> np.ndarray:
        source = self._sources[index]
        if not isinstance(source, Path):
            return super()._read(index)
        image = decode(source, self._channels)
        if (image.shape[1], image.shape[0]) != self.stated:
            raise InputError(
                f"The picture has {image.shape[1]}x{image.shape[0]} pixels, the first one of its object "
                f"{self.stated[0]}x{self.stated[1]}",
                where=source,
                fix="The pictures of an object must have one size",
            )
        width, height = (int(value) for value in self._sizes[index])
        return shrink(image, width, height, self._resize_rule)


@dataclass(frozen=True, kw_only=True)
class ObjectViews:
    """The pictures of one object with their cameras, as a reader found them."""

    pictures: Sequence[Path]
    poses: Sequence[Any]
    """camera-to-world in this package's axes, 3x4 or 4x4, one for each picture"""
    lenses: Sequence[Lens]
    """one for each picture; or a single one for all"""
    where: Sequence[str]
    """file and entry of each pose, for messages"""
    depth_range: tuple[float, float] | None = None
    """near and far of all views"""
    silhouettes: Sequence[Path | None] = ()
    """pictures that are not black where the object is, one for each view; or none at all"""
    numbers: Mapping[str, np.ndarray] | None = None


def build_object(
    views: ObjectViews,
    options: ReadOptions,
    *,
    folder: Path,
    format: str,
    background: str,
    channels: int = 3,
) -> Capture:
    """Check the views of an object and make its capture; only the first picture's header is read.

    Args:
        folder: of the object, which names are relative to.
        format: name of the format.
        background: as in `Capture`.
        channels: 3, or 4 where pictures carry opacity that counts.

    Raises:
        InputError: there is no picture, or a pose or a lens is wrong; it names the file.
    """
    if not views.pictures:
        raise InputError("The object has no pictures", where=folder)
    poses = np.stack([check_pose(pose, at) for pose, at in zip(views.poses, views.where, strict=True)])
    header = read_header(views.pictures[0])
    width, height = (scaled_length(side, options.downscale) for side in (header.width, header.height))
    rows = [
        _intrinsics(lens, (header.width, header.height), (width, height), at) for lens, at in _lenses(views)
    ]
    fx, fy, cx, cy = np.array(rows if len(rows) > 1 else rows * len(poses), dtype=np.float64).T
    count = len(poses)
    names = tuple(PurePath(os.path.relpath(path, folder)).as_posix() for path in views.pictures)
    sizes = np.tile([width, height], (count, 1))
    images = AlikeImages(list(views.pictures), sizes, channels=channels, resize_rule=options.resize_rule)
    images.stated = (header.width, header.height)
    near, far = views.depth_range or (None, None)
    silhouettes = None
    if any(views.silhouettes):
        silhouettes = ImageStore(list(views.silhouettes), sizes, channels=1)
    return Capture(
        name=folder.name,
        cameras=Cameras.create(
            torch.from_numpy(poses),
            *(torch.from_numpy(np.ascontiguousarray(column)) for column in (fx, fy, cx, cy)),
            width=torch.full((count,), width),
            height=torch.full((count,), height),
        ),
        images=images,
        image_names=names,
        splits=choose_splits(options.split_rule, SplitViews(names, poses[:, :, 3], {}), options.holdout),
        near=None if near is None else np.full(count, near),
        far=None if far is None else np.full(count, far),
        per_view=dict(views.numbers or {}),
        silhouettes=silhouettes,
        background=background,
        format=format,
        path=folder,
        options=options_to_json(options),
    )


def _lenses(views: ObjectViews) -> Iterable[tuple[Lens, str]]:
    if len(views.lenses) not in (1, len(views.pictures)):
        raise ValueError(f"{len(views.pictures)} pictures with {len(views.lenses)} lenses")
    return zip(views.lenses, views.where, strict=False)


def _intrinsics(
    lens: Lens, actual: tuple[int, int], wanted: tuple[int, int], where: str
) -> tuple[float, float, float, float]:
    """Bring a lens to the size of the pictures as they are given."""
    stated = (lens.width or actual[0], lens.height or actual[1])
    if abs(stated[0] * actual[1] - stated[1] * actual[0]) > 0.5 * max(*stated, *actual):
        raise InputError(
            f"The pictures have {actual[0]}x{actual[1]} pixels, their camera is stated for "
            f"{stated[0]}x{stated[1]}, which is another shape",
            where=where,
            fix="Use the pictures that the cameras were made for",
        )
    whole = lens.completed(*actual, where).resized(*wanted)
    return whole.focal_x, whole.focal_y, whole.centre_x, whole.centre_y


def subfolders(path: Path) -> list[str]:
    """List the names of the folders in a folder, sorted, without looking into them."""
    return sorted(
        entry.name for entry in _scan(path) if entry.is_dir() and not entry.name.startswith((".", "_"))
    )


def pictures_in(path: Path) -> list[Path]:
    """List the picture files of a folder, sorted by name; none where there is no such folder."""
    if not path.is_dir():
        return []
    names = (entry.name for entry in _scan(path) if not entry.name.startswith("."))
    return [path / name for name in sorted(names) if name.lower().endswith(IMAGE_SUFFIXES)]


def _scan(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(f"The folder cannot be read ({error.strerror or error})", where=path) from error


def number_of(name: str) -> int | None:
    """Read the number that a file is named by (000064.png: 64); None where the name is none."""
    stem = PurePath(name).stem
    return int(stem) if stem.isdecimal() else None


def listed_splits(
    lists: Mapping[str, Sequence[tuple[Path, str]]],
    there: Iterable[str],
    *,
    strict: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Make splits from list files, leaving out ids that have no folder, with one warning for all.

    Args:
        lists: split → files, each with what stands before its ids.
        there: the ids that exist.
        strict: refuse ids without folder instead.

    Raises:
        InputError: a list cannot be read, or ids are missing and `strict` is set.
    """
    known = set(there)
    splits: dict[str, tuple[str, ...]] = {}
    missing: list[tuple[str, Path]] = []
    total = 0
    for split, files in lists.items():
        found: dict[str, None] = {}
        for file, before in files:
            for name in read_id_list(file):
                total += 1
                if before + name in known:
                    found[before + name] = None
                else:
                    missing.append((name, file))
        splits[split] = tuple(found)
    if missing:
        shown = ", ".join(name for name, _ in missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        summary = f"{len(missing)} of {total} listed objects have no folder ({shown})"
        if strict:
            raise InputError(summary, where=missing[0][1], fix="Add them, or leave out --strict to skip them")
        warn(f"{summary}. They are skipped. Where: {missing[0][1]}.")
    return splits


def split_without_lists(ids: Sequence[str], options: ReadOptions) -> dict[str, tuple[str, ...]]:
    """Hold out every so many-th object for testing, where a set has no lists."""
    parts = hold_out(ids, options.holdout)
    return {split: tuple(ids[index] for index in parts[split]) for split in SPLIT_NAMES}
