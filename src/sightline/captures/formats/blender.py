"""The layout of the NeRF-synthetic scenes: transforms_{train,val,test}.json."""

import math
from pathlib import Path

from sightline.captures.capture import Capture
from sightline.captures.formats import Format
from sightline.captures.formats.output import OutputFolder, check_plain_pinhole, report_lost
from sightline.captures.formats.transforms_frames import frame_entry, parse_frames, read_transforms
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.foundation.errors import InputError
from sightline.foundation.files import write_json

_SPLITS = ("train", "val", "test")


def _files(path: Path) -> dict[str, Path]:
    found = {split: path / f"transforms_{split}.json" for split in _SPLITS}
    return {split: file for split, file in found.items() if file.is_file()}


def detect(path: Path) -> bool:
    """Whether a folder has any of the three files."""
    return path.is_dir() and bool(_files(path))


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the files that exist, one split each; a view of several files is in several splits."""
    frames: list[Frame] = []
    for split, file in _files(path).items():
        frames += parse_frames(read_transforms(file), file, splits=(split,))
    return build_capture(frames, options, root=path, path=path, format=FORMAT.name)


def write(capture: Capture, out: Path) -> None:
    """Write PNG images in train, val and test with a file for each split; refuses lenses it cannot hold."""
    check_plain_pinhole(capture, FORMAT.name)
    cameras = capture.cameras
    sizes = {(int(width), int(height)) for width, height in capture.images.sizes}
    spread = float((cameras.fx - cameras.fx[0]).abs().max())
    if len(sizes) > 1 or spread > 1e-9 * float(cameras.fx[0]):
        raise InputError(
            "The format 'blender' holds one field of view for all images, this capture has several",
            where=f"{len(sizes)} sizes, focal lengths that differ by up to {spread:g} pixels",
            fix="Write transforms or colmap, which hold the intrinsics of each image",
        )
    folders: dict[str, list[int]] = {split: [] for split in _SPLITS}
    for index in range(len(capture)):
        # A view of several splits is stored in the first of them and listed in all.
        split = next((split for split in _SPLITS if index in capture.splits.get(split, ())), None)
        if split is not None:
            folders[split].append(index)
    if not any(folders.values()):
        raise InputError("No view of the capture is in a split", where=capture.path)
    stored: dict[int, str] = {}
    for split, members in folders.items():
        if members:
            names = OutputFolder(out).write_images(capture.subset(members), split, png_only=True)
            stored |= {index: f"./{split}/{name[:-4]}" for index, name in zip(members, names, strict=True)}
    angle = 2 * math.atan(0.5 * float(cameras.width[0]) / float(cameras.fx[0]))
    for split in _SPLITS:
        members = capture.splits.get(split, ())
        if members:
            frames = [frame_entry(capture, index, stored[index]) for index in members]
            write_json(out / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})
    report_lost(FORMAT.name, _lost(capture, len(stored)))


def _lost(capture: Capture, written: int) -> list[str]:
    lost = [] if capture.masks is None else ["masks"]
    lost += [] if capture.points is None else ["points"]
    if written < len(capture):
        lost.append(f"{len(capture) - written} views that are in no split")
    return lost


FORMAT = Format(
    name="blender",
    summary="NeRF-synthetic (Blender) transforms_train/val/test.json",
    looked_for="transforms_train.json, transforms_val.json or transforms_test.json",
    detect=detect,
    read=read,
    write=write,
)
