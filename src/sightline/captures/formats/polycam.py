"""Raw exports of Polycam: a JSON file for each key frame of a phone's capture, with the phone's own pose.

`keyframes/cameras/N.json` holds fx, fy, cx, cy, width, height and the pose as t_00 … t_23, row by row, camera
to world; `keyframes/images/N.jpg` is its picture. Where the app has optimised the poses, the folders
`corrected_cameras` and `corrected_images` stand beside them and are taken instead. Camera axes are this
package's (x right, y up, z backward); the world has y up there and z up here.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.formats import Format
from sightline.captures.formats.transforms_frames import ImageFinder
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, inform
from sightline.foundation.files import read_json

_FOLDERS = (("corrected_cameras", "corrected_images"), ("cameras", "images"))
# y up → z up: (x, y, z) becomes (z, x, y), a rotation.
_TO_Z_UP = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _find(path: Path) -> tuple[Path, Path] | None:
    """Find the folders of cameras and images."""
    for root in (path / "keyframes", path):
        for cameras, images in _FOLDERS:
            if any((root / cameras).glob("*.json")) and (root / images).is_dir():
                return root / cameras, root / images
    return None


def detect(path: Path) -> bool:
    """Whether a folder holds key frames with their cameras."""
    return path.is_dir() and _find(path) is not None


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the key frames, sorted by name."""
    found = _find(path)
    if found is None:
        raise InputError("There are no key frames", where=path, fix=f"Looked for: {FORMAT.looked_for}")
    cameras, images = found
    if cameras.name == "cameras":
        inform(
            "The poses are those that the phone found while it moved: Polycam's optimised ones are not there"
        )
    finder = ImageFinder()
    files = sorted(cameras.glob("*.json"), key=lambda file: (len(file.stem), file.stem))
    frames = [_frame(file, finder.find(images / file.stem), path) for file in files]
    return build_capture(frames, options, root=path, path=path, format=FORMAT.name)


def _frame(file: Path, image: Path, root: Path) -> Frame:
    data = read_json(file)
    if not isinstance(data, Mapping):
        raise InputError("The file does not describe a camera", where=file)
    pose = np.array([[_number(data, f"t_{row}{column}", file) for column in range(4)] for row in range(3)])
    width, height = (round(_number(data, name, file)) for name in ("width", "height"))
    focal_x, focal_y, centre_x, centre_y = (_number(data, name, file) for name in ("fx", "fy", "cx", "cy"))
    lens = Lens(
        focal_x=focal_x, focal_y=focal_y, centre_x=centre_x, centre_y=centre_y, width=width, height=height
    )
    numbers = {}
    if isinstance(data.get("blur_score"), int | float):
        # Polycam's score falls with blur.
        numbers["sharpness"] = float(data["blur_score"])
    return Frame(
        name=image.relative_to(root).as_posix(),
        image=image,
        pose=_TO_Z_UP @ pose,
        lens=lens,
        where=f"{file}",
        numbers=numbers,
    )


def _number(data: Mapping[str, Any], name: str, file: Path) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(
            f"{name} must be a finite number, it is {value!r}",
            where=file,
            fix="Export the capture again as raw data",
        )
    return float(value)


FORMAT = Format(
    name="polycam",
    summary="raw exports of Polycam",
    looked_for="keyframes/cameras (or corrected_cameras) with keyframes/images",
    detect=detect,
    read=read,
)
