"""Camera paths as JSON files: Sightline's own, and those that nerfstudio's viewer saves.

Sightline's:

    {"fps": 30, "width": 800, "height": 600,
     "frames": [{"c2w": [[...], [...], [...]], "fov": 50}, {"c2w": ..., "fl_x": 700, "fl_y": 700, "cx": 400,
     "cy": 300}]}

`c2w` is 3 x 4 or 4 x 4, in the capture's frame, camera axes x right, y up, z backward. `fov` is the vertical
field of view in degrees; `fl_x`, `fl_y`, `cx`, `cy` are pixels of the size the file states. Either may stand
at the top level, for all frames without their own. nerfstudio's has `camera_path` with `camera_to_world` (16
numbers, row by row) and the vertical `fov`, and `render_width` and `render_height`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.geometry.cameras import Cameras

Intrinsics = tuple[float, float, float, float]
"""fx, fy, cx, cy in pixels"""
_FORMATS = 'A camera path has a list "frames" (Sightline) or "camera_path" (nerfstudio)'


def even_size(width: int, height: int) -> tuple[int, int]:
    """Round a size down to even numbers, which video encoders need; InputError below 2 pixels."""
    if width < 2 or height < 2:
        raise InputError(f"Pictures of {width} x {height} pixels are too small", fix="Give at least 2 x 2")
    return width // 2 * 2, height // 2 * 2


def scaled_size(own: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """Choose an even size: what is given, the rest in the aspect of the `own` (width, height)."""
    if width is None and height is None:
        return even_size(*own)
    if width is None:
        width = round((height or 0) * own[0] / own[1])
    if height is None:
        height = round(width * own[1] / own[0])
    return even_size(width, height)


def rescaled(intrinsics: Intrinsics, own: tuple[int, int], size: tuple[int, int]) -> Intrinsics:
    """Fit (fx, fy, cx, cy) to another size (width, height): field of view (vertical) and pixel shape stay."""
    fx, fy, cx, cy = intrinsics
    scale = size[1] / own[1]
    return fx * scale, fy * scale, size[0] / 2 + (cx - own[0] / 2) * scale, cy * scale


def reference_intrinsics(cameras: Cameras, size: tuple[int, int]) -> Intrinsics:
    """Take the first camera's intrinsics to another size (width, height)."""
    fx, fy, cx, cy = (float(value[0]) for value in (cameras.fx, cameras.fy, cameras.cx, cameras.cy))
    return rescaled((fx, fy, cx, cy), (int(cameras.width[0]), int(cameras.height[0])), size)


def from_file(
    path: Path | str, *, cameras: Cameras | None = None, width: int | None = None, height: int | None = None
) -> Cameras:
    """Read a camera path.

    Args:
        cameras: reference for what the file does not say: size and field of view, from the first one.
        width, height: size of the pictures, rounded down to even numbers, instead of the file's; the vertical
            field of view stays.

    Raises:
        InputError: the file is not a camera path, or lacks something; it names the frame and the field.
    """
    content = _content(path)
    frames = content.get("camera_path", content.get("frames"))
    if not isinstance(frames, list) or not frames:
        raise InputError("The file holds no camera path", where=path, fix=_FORMATS)
    if content.get("camera_type", "perspective") != "perspective":
        raise InputError(
            f"Cameras of type {content['camera_type']!r} cannot be rendered",
            where=f"{path}, field camera_type",
            fix="Save the path with perspective cameras",
        )
    own = _size(content, cameras, path, width, height)
    size = scaled_size(own, width, height)
    poses, intrinsics = [], []
    for index, frame in enumerate(frames):
        where = f"{path}, frame {index}"
        if not isinstance(frame, Mapping):
            raise InputError("A frame of a camera path must be an object", where=where, fix=_FORMATS)
        poses.append(_pose(frame, where))
        intrinsics.append(_intrinsics(frame, content, cameras, own, size, where))
    fx, fy, cx, cy = zip(*intrinsics, strict=True)
    try:
        return Cameras.create(poses, fx, fy, cx, cy, width=size[0], height=size[1])
    except InputError as error:
        raise InputError(error.what, where=f"{path}, {error.where}", fix="Correct that frame") from error


def frames_per_second(path: Path | str) -> float | None:
    """The frame rate that a camera path file asks for, if any."""
    content = _content(path)
    return _number(content, "fps", str(path)) if content.get("fps") is not None else None


def to_file(path: Path | str, cameras: Cameras, fps: float | int = 30.0) -> None:
    """Write a camera path (Sightline's format); `from_file` gives the same pinhole cameras exactly.

    Lens distortion is left out: paths are rendered by pinholes. InputError where sizes differ or there is no
        camera.
    """
    sizes = set(zip(cameras.width.tolist(), cameras.height.tolist(), strict=True))
    if len(sizes) != 1:
        raise InputError(f"A camera path has one size of pictures, not {len(sizes)}", where=path)
    width, height = sizes.pop()
    fields = zip(
        *(value.tolist() for value in (cameras.c2w, cameras.fx, cameras.fy, cameras.cx, cameras.cy)),
        strict=True,
    )
    frames = [dict(zip(("c2w", "fl_x", "fl_y", "cx", "cy"), values, strict=True)) for values in fields]
    write_json(path, {"fps": fps, "width": width, "height": height, "frames": frames})


def _content(path: Path | str) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise InputError("The file holds no camera path", where=path, fix=_FORMATS)
    return content


def _size(
    content: Mapping[str, Any],
    cameras: Cameras | None,
    path: Path | str,
    width: int | None,
    height: int | None,
) -> tuple[int, int]:
    """The size that the file's pixels refer to."""
    for names in (("width", "height"), ("render_width", "render_height")):
        if all(content.get(name) is not None for name in names):
            found = tuple(_number(content, name, str(path)) for name in names)
            if min(found) < 1 or any(value != int(value) for value in found):
                raise InputError("A size must be whole pixels", where=f"{path}, fields {' and '.join(names)}")
            return int(found[0]), int(found[1])
    if cameras is not None and len(cameras):
        return int(cameras.width[0]), int(cameras.height[0])
    if width and height:
        return width, height
    raise InputError("The camera path does not say its size", where=path, fix="Add width and height to it")


def _pose(frame: Mapping[str, Any], where: str) -> list[list[float]]:
    name = "camera_to_world" if "camera_to_world" in frame else "c2w"
    rows, flat = frame.get(name), []
    for row in rows if isinstance(rows, list) else []:
        flat += row if isinstance(row, list) else [row]
    fits = len(flat) in {12, 16} and all(_is_number(x) for x in flat)
    if not fits or flat[12:] not in ([], [0, 0, 0, 1]):
        raise InputError(
            "A pose must be a 3 x 4 matrix of numbers, or 4 x 4 with 0 0 0 1 as its last row",
            where=f"{where}, field {name}",
        )
    return [flat[start : start + 4] for start in (0, 4, 8)]


def _intrinsics(
    frame: Mapping[str, Any],
    content: Mapping[str, Any],
    reference: Cameras | None,
    own: tuple[int, int],
    size: tuple[int, int],
    where: str,
) -> Intrinsics:
    """Find the intrinsics of one frame, at the size that is rendered."""
    for source in (frame, content):
        if source.get("fov") is not None:
            degrees = _number(source, "fov", where)
            if not 0 < degrees < 180:
                raise InputError(
                    f"A field of view of {degrees} degrees is not possible", where=f"{where}, field fov"
                )
            focal = 0.5 * size[1] / math.tan(math.radians(degrees) / 2)
            return focal, focal, size[0] / 2, size[1] / 2
        if source.get("fl_x") is not None:
            fx = _number(source, "fl_x", where)
            fy, cx, cy = (
                _number(source, name, where) if source.get(name) is not None else default
                for name, default in (("fl_y", fx), ("cx", own[0] / 2), ("cy", own[1] / 2))
            )
            return rescaled((fx, fy, cx, cy), own, size)
    if reference is None:
        raise InputError("A frame has no field of view", where=f"{where}, field fov", fix="Add fov or fl_x")
    return reference_intrinsics(reference, size)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(source: Mapping[str, Any], name: str, where: str) -> float:
    value = source[name]
    if not _is_number(value) or not math.isfinite(value):
        raise InputError(f"{name} must be a number, not {value!r}", where=f"{where}, field {name}")
    return float(value)
