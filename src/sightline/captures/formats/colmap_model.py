"""COLMAP's sparse models, binary and text: cameras, images and points as they are in the files.

Written from the documentation of the file format. Binary files are little-endian; poses are
world-to-camera with axes x right, y down, z forward; quaternions have w first.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic

# Model id → name and number of parameters.
CAMERA_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
_IDS = {name: number for number, (name, _) in CAMERA_MODELS.items()}
_NO_POINT = -1


@dataclass(frozen=True)
class ModelCamera:
    """A row of cameras.bin or cameras.txt."""

    id: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True)
class ModelImage:
    """A registered image."""

    id: int
    quaternion: tuple[float, float, float, float]
    """rotation world → camera, w first"""
    translation: tuple[float, float, float]
    camera_id: int
    name: str
    point_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """int64 (m,): points observed in the image"""


@dataclass(frozen=True)
class ModelPoints:
    """The sparse points."""

    ids: np.ndarray
    """int64 (n,)"""
    positions: np.ndarray
    """float64 (n, 3)"""
    colours: np.ndarray
    """uint8 (n, 3)"""


def find_model(root: Path) -> Path | None:
    """Find the folder of the model below a data folder (or that folder itself); None where there is none."""
    for folder in (root / "sparse" / "0", root / "sparse", root / "colmap" / "sparse" / "0", root):
        if any(
            all((folder / f"{part}{suffix}").is_file() for part in ("cameras", "images"))
            for suffix in (".bin", ".txt")
        ):
            return folder
    return None


def _is_binary(folder: Path) -> bool:
    return all((folder / f"{part}.bin").is_file() for part in ("cameras", "images"))


def read_cameras(folder: Path) -> dict[int, ModelCamera]:
    """Read the cameras of a model by id."""
    if _is_binary(folder):
        return _cameras_binary(_Cursor(folder / "cameras.bin"))
    cameras = {}
    for line in _Lines(folder / "cameras.txt"):
        number, model, width, height, *params = line.split(4)
        values = tuple(line.number(value) for value in " ".join(params).split())
        cameras[int(line.number(number))] = ModelCamera(
            int(line.number(number)), model, int(line.number(width)), int(line.number(height)), values
        )
    return cameras


def read_images(folder: Path) -> list[ModelImage]:
    """Read the registered images of a model."""
    if _is_binary(folder):
        return _images_binary(_Cursor(folder / "images.bin"))
    return _images_text(folder / "images.txt")


def read_points(folder: Path) -> ModelPoints | None:
    """Read the points of a model; None where the file does not exist."""
    if (folder / "points3D.bin").is_file():
        return _points_binary(_Cursor(folder / "points3D.bin"))
    if not (folder / "points3D.txt").is_file():
        return None
    ids, positions, colours = [], [], []
    for line in _Lines(folder / "points3D.txt"):
        values = [line.number(value) for value in line.split(7)[:7]]
        ids.append(values[0])
        positions.append(values[1:4])
        colours.append(values[4:7])
    return _points(ids, positions, colours)


def _points(ids: Sequence[Any], positions: Sequence[Any], colours: Sequence[Any]) -> ModelPoints:
    return ModelPoints(
        np.asarray(ids, dtype=np.int64).reshape(-1),
        np.asarray(positions, dtype=np.float64).reshape(-1, 3),
        np.asarray(colours).astype(np.uint8).reshape(-1, 3),
    )


class _Cursor:
    """Reads a binary file from start to end; a file that ends early is an InputError."""

    def __init__(self, path: Path):
        self.path = path
        self.position = 0
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the file ({error.strerror})", where=path) from error

    def take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + layout)
        return struct.unpack("<" + layout, self.bytes(size))

    def bytes(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise InputError(
                f"The COLMAP model is cut short: {end} bytes are needed, the file has {len(self.data)}",
                where=self.path,
                fix="Copy the model again",
            )
        part = self.data[self.position : end]
        self.position = end
        return part

    def text(self) -> str:
        end = self.data.find(b"\0", self.position)
        part = self.bytes((end if end >= 0 else len(self.data)) - self.position + 1)
        return part[:-1].decode("utf-8", errors="replace")


def _cameras_binary(cursor: _Cursor) -> dict[int, ModelCamera]:
    cameras = {}
    for _ in range(cursor.take("Q")[0]):
        number, model, width, height = cursor.take("iiQQ")
        if model not in CAMERA_MODELS:
            raise InputError(f"Unknown camera model {model} of camera {number}", where=cursor.path)
        name, count = CAMERA_MODELS[model]
        cameras[number] = ModelCamera(number, name, width, height, cursor.take(f"{count}d"))
    return cameras


def _images_binary(cursor: _Cursor) -> list[ModelImage]:
    images = []
    observation = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
    for _ in range(cursor.take("Q")[0]):
        number, *pose, camera = cursor.take("i7di")
        name = cursor.text()
        (count,) = cursor.take("Q")
        points = np.frombuffer(cursor.bytes(count * observation.itemsize), observation)["point"]
        w, x, y, z, *translation = pose
        seen = points[points != _NO_POINT].astype(np.int64)
        images.append(ModelImage(number, (w, x, y, z), _three(translation), camera, name, seen))
    return images


def _points_binary(cursor: _Cursor) -> ModelPoints:
    ids, positions, colours = [], [], []
    for _ in range(cursor.take("Q")[0]):
        number, x, y, z, red, green, blue, _, track = cursor.take("Q3d3BdQ")
        cursor.bytes(8 * track)
        ids.append(number)
        positions.append((x, y, z))
        colours.append((red, green, blue))
    return _points(ids, positions, colours)


class _Line:
    """A line of a text model that can say where it is."""

    def __init__(self, text: str, where: str):
        self.text, self.where = text, where

    def split(self, count: int) -> list[str]:
        """Split at the first `count` blanks; InputError where there are fewer fields."""
        parts = self.text.split(maxsplit=count)
        if len(parts) < count:
            raise InputError(
                f"The line has {len(parts)} fields, at least {count} are needed", where=self.where
            )
        return parts

    def number(self, value: str) -> float:
        try:
            return float(value)
        except ValueError as error:
            raise InputError(f"{value!r} is not a number", where=self.where) from error


class _Lines:
    """The lines of a text file without comments; empty ones only with `keep_empty`."""

    def __init__(self, path: Path, keep_empty: bool = False):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"Cannot read the file ({error.strerror})", where=path) from error
        numbered = enumerate(text.split("\n"), start=1)
        kept = ((number, line.strip()) for number, line in numbered if not line.startswith("#"))
        self._lines = [_Line(line, f"{path}, line {number}") for number, line in kept if line or keep_empty]

    def __iter__(self) -> Any:
        return iter(self._lines)


def _images_text(path: Path) -> list[ModelImage]:
    """Read pairs of lines: the pose, then the observations, which may be an empty line."""
    images = []
    lines = iter(_Lines(path, keep_empty=True))
    for line in lines:
        if not line.text:
            continue
        number, *pose, camera, name = line.split(9)
        observations = next(lines, _Line("", line.where))
        points = np.array([observations.number(value) for value in observations.text.split()[2::3]])
        w, x, y, z, *translation = (line.number(value) for value in pose)
        images.append(
            ModelImage(
                int(line.number(number)),
                (w, x, y, z),
                _three(translation),
                int(line.number(camera)),
                name,
                points[points != _NO_POINT].astype(np.int64),
            )
        )
    return images


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z


def write_model(
    folder: Path,
    cameras: Sequence[ModelCamera],
    images: Sequence[ModelImage],
    points: ModelPoints | None,
    *,
    text: bool,
) -> None:
    """Write a model of cameras, images without observations, and points without tracks."""
    write = _write_text if text else _write_binary
    write(folder, cameras, images, points or _points([], [], []))


def _write_binary(
    folder: Path, cameras: Sequence[ModelCamera], images: Sequence[ModelImage], points: ModelPoints
) -> None:
    parts = [struct.pack("<Q", len(cameras))]
    for camera in cameras:
        parts.append(struct.pack("<iiQQ", camera.id, _IDS[camera.model], camera.width, camera.height))
        parts.append(struct.pack(f"<{len(camera.params)}d", *camera.params))
    write_atomic(folder / "cameras.bin", b"".join(parts))
    parts = [struct.pack("<Q", len(images))]
    for image in images:
        parts.append(struct.pack("<i7di", image.id, *image.quaternion, *image.translation, image.camera_id))
        parts.append(image.name.encode("utf-8") + b"\0" + struct.pack("<Q", 0))
    write_atomic(folder / "images.bin", b"".join(parts))
    parts = [struct.pack("<Q", len(points.ids))]
    for number, position, colour in zip(points.ids, points.positions, points.colours, strict=True):
        parts.append(struct.pack("<Q3d3BdQ", number, *position, *colour, 0.0, 0))
    write_atomic(folder / "points3D.bin", b"".join(parts))


def _write_text(
    folder: Path, cameras: Sequence[ModelCamera], images: Sequence[ModelImage], points: ModelPoints
) -> None:
    def join(*values: Any) -> str:
        # repr of a float is the shortest text that reads back as the same number.
        return " ".join(repr(float(v)) if isinstance(v, float) else str(v) for v in values)

    lines = ["# id, model, width, height, parameters"]
    lines += [join(c.id, c.model, c.width, c.height, *c.params) for c in cameras]
    write_atomic(folder / "cameras.txt", ("\n".join(lines) + "\n").encode("utf-8"))
    lines = ["# id, qw, qx, qy, qz, tx, ty, tz, camera, name", "# then a line of observations (x, y, point)"]
    for image in images:
        lines += [join(image.id, *image.quaternion, *image.translation, image.camera_id, image.name), ""]
    write_atomic(folder / "images.txt", ("\n".join(lines) + "\n").encode("utf-8"))
    lines = ["# id, x, y, z, red, green, blue, error, track"]
    for number, position, colour in zip(points.ids, points.positions, points.colours, strict=True):
        lines.append(join(int(number), *map(float, position), *map(int, colour), 0.0))
    write_atomic(folder / "points3D.txt", ("\n".join(lines) + "\n").encode("utf-8"))
