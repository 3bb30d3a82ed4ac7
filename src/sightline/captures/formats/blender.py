"""The layout of the NeRF-synthetic scenes: transforms_{train,val,test}.json."""

from pathlib import Path

from sightline.captures.capture import Capture
from sightline.captures.formats import Format
from sightline.captures.formats.transforms_frames import parse_frames, read_transforms
from sightline.captures.frames import Frame, ReadOptions, build_capture

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
    return build_capture(frames, options, path=path, format=FORMAT.name)


FORMAT = Format(
    name="blender",
    summary="NeRF-synthetic (Blender) transforms_train/val/test.json",
    looked_for="transforms_train.json, transforms_val.json or transforms_test.json",
    detect=detect,
    read=read,
)
