"""The transforms.json family of instant-ngp and nerfstudio."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.captures.capture import Capture
from sightline.captures.checks import resolve_inside
from sightline.captures.formats import Format
from sightline.captures.formats.transforms_frames import ImageFinder, parse_frames, read_transforms
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.foundation.errors import InputError, warn

FILE_NAME = "transforms.json"
_EXTRAS = ("aabb_scale", "scale", "offset", "applied_transform", "applied_scale")


def _file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() else path


def detect(path: Path) -> bool:
    """Whether this is a JSON file, or a folder with a transforms.json."""
    file = _file(path)
    return file.is_file() and file.suffix.lower() == ".json"


def read(path: Path, options: ReadOptions) -> Capture:
    """Read one transforms file; views are sorted by name."""
    file = _file(path)
    data = read_transforms(file)
    frames = sorted(parse_frames(data, file), key=lambda frame: frame.name)
    frames = _with_listed_splits(frames, data, file)
    masks_keep = any(frame.mask for frame in frames)
    if not masks_keep:
        frames = _with_dynamic_masks(frames)
    return build_capture(
        frames,
        options,
        path=path,
        format=FORMAT.name,
        mask_keeps=masks_keep,
        extras={key: data[key] for key in _EXTRAS if key in data},
    )


def _with_listed_splits(frames: Sequence[Frame], data: Mapping[str, Any], file: Path) -> list[Frame]:
    """Apply train_filenames, val_filenames and test_filenames, where the file has them."""
    members: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        key = f"{split}_filenames"
        if key not in data:
            continue
        if not isinstance(data[key], list):
            raise InputError(f"{key} must be a list of file names", where=file)
        members[split] = {resolve_inside(file.parent, name, f"{file.name}, {key}")[0] for name in data[key]}
    if not members:
        return list(frames)

    def splits(frame: Frame) -> tuple[str, ...]:
        # A list may leave out the extension that the finder added.
        names = {frame.name, frame.name.rpartition(".")[0]}
        return tuple(split for split, wanted in members.items() if names & wanted)

    listed = [replace(frame, splits=splits(frame)) for frame in frames]
    left_out = sum(not frame.splits for frame in listed)
    if left_out == len(listed):
        raise InputError("The lists of split file names name none of the frames", where=file)
    if left_out:
        warn(
            f"{left_out} of {len(listed)} frames are in none of the lists of split file names. Where: {file}."
        )
    return listed


def _with_dynamic_masks(frames: Sequence[Frame]) -> list[Frame]:
    """Attach instant-ngp's masks, which lie beside the images as dynamic_mask_<stem>.png."""
    finder = ImageFinder()

    def mask(frame: Frame) -> Path | None:
        name = f"dynamic_mask_{frame.image.stem}.png"
        return frame.image.with_name(name) if name in finder.names(frame.image.parent) else None

    return [replace(frame, mask=mask(frame)) for frame in frames]


FORMAT = Format(
    name="transforms",
    summary="transforms.json of instant-ngp and nerfstudio",
    looked_for="transforms.json",
    detect=detect,
    read=read,
)
