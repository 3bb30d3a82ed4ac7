"""Opening a folder of posed images, whatever its format."""

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.captures.capture import Capture
from sightline.captures.formats import get_format, list_formats
from sightline.captures.frames import ReadOptions
from sightline.captures.splits import DEFAULT_HOLDOUT
from sightline.foundation.errors import InputError

if TYPE_CHECKING:
    from sightline.captures.collection import Collection


def detect_format(path: Path | str) -> str:
    """Name the format of a data folder or of a file in it; InputError says what was looked for."""
    path = _existing(path)
    formats = list_formats()
    for format in formats:
        if format.detect(path):
            return format.name
    inside = captures_inside(path)
    if inside:
        raise InputError(
            f"The folder is no capture itself, but {len(inside)} of the folders in it are",
            where=path,
            fix=f"Give one of them, such as {inside[0]}",
        )
    looked_for = "; ".join(f"{format.name}: {format.looked_for}" for format in formats if format.looked_for)
    raise InputError(
        "No known format of posed images was found",
        where=path,
        fix=f"Looked for: {looked_for}. For photos without poses: sightline poses PHOTOS --out CAPTURE",
    )


def captures_inside(path: Path) -> list[Path]:
    """Find the folders in a folder that are captures or collections, by name; files hold none."""
    if not path.is_dir():
        return []
    formats = list_formats()
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    return [folder for folder in folders if any(format.detect(folder) for format in formats)]


def open_capture(
    path: Path | str,
    *,
    format: str | None = None,
    downscale: float = 1,
    holdout: int = DEFAULT_HOLDOUT,
    split_rule: str | None = None,
    resize_rule: str | None = None,
    strict: bool = False,
    angle_unit: str | None = None,
) -> "Capture | Collection":
    """Open posed images; nothing is decoded yet.

    Args:
        path: the data folder, or the file in it that describes the capture.
        format: name of the format; detected where not given.
        downscale: divide the sizes of images and cameras by this; new sizes are rounded to nearest.
        holdout: where the format has no split, hold out views 0, N, 2N … sorted by name; 0 holds out none.
        split_rule: name of a rule of `splits.SPLIT_RULES`; "format" (the data's own split where it has one,
            else the hold-out) where not given.
        resize_rule: how images are made smaller, of `resizing.RESIZE_RULES`; by area where not given. With a
            rule, full-size images are taken where they are there, instead of smaller copies beside them.
        strict: refuse captures that list images that do not exist; else they are skipped with a warning.
        angle_unit: degrees or radians, for formats that hold angles and do not say; told by the numbers, with
            a warning, where nothing says it.

    Raises:
        InputError: nothing readable there, or something in it is wrong.
    """
    path = _existing(path)
    options = ReadOptions(
        downscale=downscale,
        holdout=holdout,
        split_rule=split_rule,
        resize_rule=resize_rule,
        strict=strict,
        angle_unit=angle_unit,
    )
    return get_format(format or detect_format(path)).read(path, options)


def _existing(path: Path | str) -> Path:
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError("There is no such folder or file", where=path)
    return path
