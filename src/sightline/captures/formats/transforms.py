"""The transforms.json family of instant-ngp and nerfstudio."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import SPLITS, Capture, Points
from sightline.captures.checks import resolve_inside
from sightline.captures.formats import Format
from sightline.captures.formats.output import OutputFolder, write_png
from sightline.captures.formats.ply import read_points_ply, write_points_ply
from sightline.captures.formats.transforms_frames import (
    ImageFinder,
    frame_entry,
    lens_entry,
    parse_frames,
    read_transforms,
)
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import write_json

FILE_NAME = "transforms.json"
_PAINTED = ("white", "black")
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
        root=file.parent,
        path=path,
        format=FORMAT.name,
        mask_keeps=masks_keep,
        points=_points(data, file),
        box=_box(data, file),
        background=data["background"] if data.get("background") in _PAINTED else None,
        extras={key: data[key] for key in _EXTRAS if key in data},
    )


def _with_listed_splits(frames: Sequence[Frame], data: Mapping[str, Any], file: Path) -> list[Frame]:
    """Apply train_filenames, val_filenames and test_filenames, where the file has them."""
    members: dict[str, set[str]] = {}
    for split in SPLITS:
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


def _points(data: Mapping[str, Any], file: Path) -> Points | None:
    """Read the points of ply_file_path, which are in the frame of the poses."""
    if not data.get("ply_file_path"):
        return None
    name, ply = resolve_inside(file.parent, data["ply_file_path"], f"{file.name}, ply_file_path")
    if not ply.is_file():
        warn(f"The points {name!r} do not exist and are left out. Where: {file}, ply_file_path.")
        return None
    return read_points_ply(ply)


def _box(data: Mapping[str, Any], file: Path) -> np.ndarray | None:
    if "scene_box" not in data:
        return None
    try:
        box = np.asarray(data["scene_box"], dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (2, 3) or not (box[0] < box[1]).all():
        raise InputError("scene_box must be the lowest and the highest corner", where=f"{file}, scene_box")
    return box


def write(capture: Capture, out: Path) -> None:
    """Write images, masks, points and a transforms.json that nerfstudio and instant-ngp read."""
    folder = OutputFolder(out)
    # What the format cannot hold is refused before anything is written.
    for index in range(len(capture)):
        lens_entry(capture.cameras, index)
    files = [f"images/{name}" for name in folder.write_images(capture, "images")]
    masks: list[str | None] | None = None
    if capture.masks is not None:
        (out / "masks").mkdir(parents=True, exist_ok=True)
        masks = [f"masks/{Path(file).stem}.png" for file in files]
        for index, name in enumerate(masks):
            write_png(out / str(name), 255 - capture.masks[index])
    splits = {
        f"{split}_filenames": [files[index] for index in capture.splits.get(split, ())] for split in SPLITS
    }
    write_description(capture, out, files, masks=masks, extras=splits)


def write_description(
    capture: Capture,
    out: Path,
    files: Sequence[str],
    *,
    masks: Sequence[str | None] | None = None,
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write transforms.json, and the points beside it, for images that are in the folder.

    Args:
        files: path of each view's image below the folder.
        masks: path of each view's mask below the folder, white where a pixel counts; None where it has none.
        extras: further entries of the file.
    """
    lenses = [lens_entry(capture.cameras, index) for index in range(len(capture))]
    frames = [frame_entry(capture, index, file) for index, file in enumerate(files)]
    data = dict(capture.extras)
    if all(lens == lenses[0] for lens in lenses):
        data |= lenses[0]
    else:
        frames = [frame | lens for frame, lens in zip(frames, lenses, strict=True)]
    for frame, mask in zip(frames, masks or [None] * len(frames), strict=True):
        if mask is not None:
            frame["mask_path"] = mask
    if capture.points is not None:
        data["ply_file_path"] = "points.ply"
        write_points_ply(out / "points.ply", capture.points)
    if capture.box is not None:
        data["scene_box"] = capture.box.tolist()
    if capture.background in _PAINTED:
        data["background"] = capture.background
    write_json(out / FILE_NAME, data | dict(extras or {}) | {"frames": frames})


FORMAT = Format(
    name="transforms",
    summary="transforms.json of instant-ngp and nerfstudio",
    looked_for="transforms.json",
    detect=detect,
    read=read,
    write=write,
)
