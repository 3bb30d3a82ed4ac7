"""The frames of one transforms file: what transforms.json and Blender's transforms_train.json share."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline.captures.capture import Capture
from sightline.captures.checks import resolve_inside
from sightline.captures.decoding import IMAGE_SUFFIXES
from sightline.captures.frames import Frame
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.geometry import Cameras, LensModel

# Names of camera_model that mean a perspective lens; its distortion, if any, is in k1 … p2.
_PERSPECTIVE = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "PERSPECTIVE",
)
_FISHEYE = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "FISHEYE")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_KNOWN = {
    *("file_path", "transform_matrix", "mask_path", "depth_file_path", "near", "far", "w", "h", "cx", "cy"),
    *("fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "camera_model", "is_fisheye", *_DISTORTION),
}

_REPAIR = "Remove this frame, or export the cameras again"


def read_transforms(path: Path) -> Mapping[str, Any]:
    """Read one JSON file of the family; InputError where it is not one."""
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("frames"), list):
        raise InputError(
            "The file has no list 'frames'", where=path, fix="It should hold the frames with their poses"
        )
    return data


def parse_frames(data: Mapping[str, Any], path: Path, splits: tuple[str, ...] = ()) -> list[Frame]:
    """Turn the entries of `frames` into frames; those with a list of their own intrinsics use them.

    Args:
        data: content of the file.
        path: the file; images are looked for below its folder.
        splits: splits that all frames belong to.
    """
    root = path.parent
    finder = ImageFinder()
    frames = []
    for index, entry in enumerate(data["frames"]):
        where = f"{path}, frames[{index}]"
        if not isinstance(entry, dict):
            raise InputError(
                "The frame is not an object with file_path and transform_matrix", where=where, fix=_REPAIR
            )
        name, image = resolve_inside(root, entry.get("file_path"), where)
        where = f"{where} ({name})"
        if "transform_matrix" not in entry:
            raise InputError("The frame has no transform_matrix", where=where, fix=_REPAIR)
        found = finder.find(image)
        mask = entry.get("mask_path")
        frames.append(
            Frame(
                name=name + found.name[len(image.name) :],
                image=found,
                pose=entry["transform_matrix"],
                lens=parse_lens(entry, data, where),
                where=where,
                splits=splits,
                mask=resolve_inside(root, mask, f"{where}, mask_path")[1] if mask else None,
                near=_number(entry, "near", where),
                far=_number(entry, "far", where),
                numbers={
                    key: float(value)
                    for key, value in entry.items()
                    if key not in _KNOWN and isinstance(value, int | float) and not isinstance(value, bool)
                },
            )
        )
    return frames


class ImageFinder:
    """Finds image files whose extension a data file leaves out, reading each folder once."""

    def __init__(self) -> None:
        self._folders: dict[Path, frozenset[str]] = {}

    def find(self, image: Path) -> Path:
        """Give the existing file of this name, with an extension added if need be; else the path as it is."""
        names = self.names(image.parent)
        if image.name in names:
            return image
        for suffix in (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES)):
            if image.name + suffix in names:
                return image.with_name(image.name + suffix)
        return image

    def names(self, folder: Path) -> frozenset[str]:
        """Give the names of the files in a folder; none where it does not exist."""
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:
                self._folders[folder] = frozenset()
        return self._folders[folder]


def parse_lens(entry: Mapping[str, Any], data: Mapping[str, Any], where: str) -> Lens:
    """Read the intrinsics of a frame; what it does not give comes from the file's top."""

    def group(*keys: str) -> Mapping[str, Any]:
        return entry if any(key in entry for key in keys) else data

    focal = group("fl_x", "fl_y", "camera_angle_x", "camera_angle_y")
    centre, size = group("cx", "cy"), group("w", "h")
    model, distortion = _parse_distortion(group("camera_model", "is_fisheye"), group(*_DISTORTION), where)
    return Lens(
        focal_x=_number(focal, "fl_x", where),
        focal_y=_number(focal, "fl_y", where),
        angle_x=_angle(focal, "camera_angle_x", where),
        angle_y=_angle(focal, "camera_angle_y", where),
        centre_x=_number(centre, "cx", where),
        centre_y=_number(centre, "cy", where),
        width=_length(size, "w", where),
        height=_length(size, "h", where),
        model=model,
        distortion=distortion,
    )


def _parse_distortion(
    names: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> tuple[LensModel, tuple[float, ...]]:
    stated = names.get("camera_model")
    fisheye = stated in _FISHEYE or (stated is None and names.get("is_fisheye") is True)
    if stated is not None and stated not in (*_PERSPECTIVE, *_FISHEYE):
        raise InputError(
            f"The camera model {stated!r} is not supported",
            where=f"{where}, camera_model",
            fix=f"Supported are {', '.join((*_PERSPECTIVE, *_FISHEYE))}; undistort the images first",
        )
    k1, k2, k3, k4, p1, p2 = (_number(values, key, where) or 0.0 for key in _DISTORTION)
    if fisheye:
        if p1 or p2:
            raise InputError("A fisheye lens has no p1 and p2", where=where, fix="Set them to 0")
        return LensModel.OPENCV_FISHEYE, (k1, k2, k3, k4, 0.0, 0.0, 0.0, 0.0)
    if k4:
        raise InputError(
            "A perspective lens with a fourth radial coefficient (k4) is not supported",
            where=where,
            fix="Fit the lens again with at most k1, k2, k3, p1, p2, or undistort the images",
        )
    model = LensModel.OPENCV if any((k1, k2, k3, p1, p2)) else LensModel.PINHOLE
    return model, (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)


def _number(values: Mapping[str, Any], key: str, where: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key} must be a finite number, it is {value!r}", where=where)
    return float(value)


def _angle(values: Mapping[str, Any], key: str, where: str) -> float | None:
    angle = _number(values, key, where)
    if angle is not None and not 0 < angle < math.pi:
        raise InputError(f"{key} must be between 0 and pi radians, it is {angle:g}", where=where)
    return angle


def _length(values: Mapping[str, Any], key: str, where: str) -> int | None:
    length = _number(values, key, where)
    if length is None:
        return None
    if length < 1 or length != int(length):
        raise InputError(f"{key} must be a whole number of pixels, it is {length:g}", where=where)
    return int(length)


def frame_entry(capture: Capture, index: int, file_path: str) -> dict[str, Any]:
    """Give the entry of a view for a transforms file: path, pose, depth bounds and raw numbers."""
    pose = [*capture.cameras.c2w[index].tolist(), [0.0, 0.0, 0.0, 1.0]]
    entry: dict[str, Any] = {"file_path": file_path, "transform_matrix": pose}
    if capture.near is not None and capture.far is not None:
        entry |= {"near": float(capture.near[index]), "far": float(capture.far[index])}
    numbers = {name: float(values[index]) for name, values in capture.per_view.items()}
    return entry | {name: value for name, value in numbers.items() if math.isfinite(value)}


def lens_entry(cameras: Cameras, index: int) -> dict[str, Any]:
    """Give the intrinsics of a camera in the names of the transforms family; InputError where it has none."""
    lens, k = LensModel(int(cameras.lens[index])), cameras.distortion[index].tolist()
    entry: dict[str, Any] = {
        "camera_model": lens.name,
        "fl_x": float(cameras.fx[index]),
        "fl_y": float(cameras.fy[index]),
        "cx": float(cameras.cx[index]),
        "cy": float(cameras.cy[index]),
        "w": int(cameras.width[index]),
        "h": int(cameras.height[index]),
    }
    if lens == LensModel.OPENCV_FISHEYE:
        return entry | dict(zip(("k1", "k2", "k3", "k4"), k, strict=False))
    if any(k[5:]):
        raise InputError(
            "The transforms format cannot hold the rational distortion (k4, k5, k6) of this camera",
            where=f"camera {index}",
            fix="Write colmap, which can, or undistort the photos first",
        )
    if lens == LensModel.PINHOLE:
        return entry
    return entry | dict(zip(("k1", "k2", "p1", "p2", "k3"), k, strict=False))
