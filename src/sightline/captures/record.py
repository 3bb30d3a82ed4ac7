"""A capture without its images, as JSON: what a run folder keeps to work without the data."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sightline.captures.capture import Capture, Points
from sightline.captures.checks import check_schema
from sightline.captures.image_store import AbsentImages, ImageStore
from sightline.captures.opening import open_capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

if TYPE_CHECKING:
    from sightline.captures.collection import Collection

SCHEMA = 1
MAX_POINTS = 10_000
MAX_THUMBNAILS = 100
"""pictures at most in a record, evenly spread over the views"""


@dataclass(frozen=True, kw_only=True)
class CaptureRecord:
    """Everything of a capture but its images, and how to open it again."""

    name: str
    format: str
    path: str
    """as opened; relative paths are relative to the working directory of that time"""
    options: Mapping[str, Any]
    """arguments of `open_capture`"""
    cameras: Cameras
    image_names: tuple[str, ...]
    image_sizes: np.ndarray
    """int64 (n, 2): width, height"""
    channels: int
    splits: dict[str, tuple[int, ...]]
    background: str
    near: np.ndarray | None = None
    far: np.ndarray | None = None
    per_view: dict[str, np.ndarray] = field(default_factory=dict)
    points: Points | None = None
    """at most `MAX_POINTS` of them"""
    box: np.ndarray | None = None
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)
    """view index → small JPEG or PNG file"""

    @classmethod
    def from_capture(cls, capture: Capture, *, with_thumbnails: int = 0) -> "CaptureRecord":
        """Record a capture; with thumbnails of at most `with_thumbnails` pixels a side (0: none)."""
        return cls(
            name=capture.name,
            format=capture.format,
            path=capture.path.as_posix(),
            options=dict(capture.options),
            cameras=capture.cameras,
            image_names=capture.image_names,
            image_sizes=capture.images.sizes,
            channels=capture.images.channels,
            splits=dict(capture.splits),
            background=capture.background,
            near=capture.near,
            far=capture.far,
            per_view=dict(capture.per_view),
            points=None if capture.points is None else capture.points.subsampled(MAX_POINTS),
            box=capture.box,
            thumbnails=_thumbnails(capture, with_thumbnails) if with_thumbnails else {},
        )

    def to_json(self) -> dict[str, Any]:
        """Give plain lists, numbers and texts; `from_json` gives the same record."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "format": self.format,
            "path": self.path,
            "options": dict(self.options),
            "cameras": self.cameras.to_json(),
            "image_names": list(self.image_names),
            "image_sizes": self.image_sizes.tolist(),
            "channels": self.channels,
            "splits": {name: list(members) for name, members in self.splits.items()},
            "background": self.background,
            "near": _numbers(self.near),
            "far": _numbers(self.far),
            "per_view": {name: _numbers(values) for name, values in self.per_view.items()},
            "points": None
            if self.points is None
            else {"positions": self.points.positions.tolist(), "colours": self.points.colours.tolist()},
            "box": None if self.box is None else self.box.tolist(),
            "thumbnails": {
                str(index): base64.b64encode(data).decode("ascii") for index, data in self.thumbnails.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: object = None) -> "CaptureRecord":
        """Read what `to_json` gave; InputError for a newer schema or missing parts."""
        try:
            check_schema(data["schema"], SCHEMA, "capture", where)
            points = data["points"]
            return cls(
                name=data["name"],
                format=data["format"],
                path=data["path"],
                options=data["options"],
                cameras=Cameras.from_json(data["cameras"]),
                image_names=tuple(data["image_names"]),
                image_sizes=np.asarray(data["image_sizes"], dtype=np.int64).reshape(-1, 2),
                channels=data["channels"],
                splits={name: tuple(members) for name, members in data["splits"].items()},
                background=data["background"],
                near=_array(data["near"]),
                far=_array(data["far"]),
                per_view={name: _filled(values) for name, values in data["per_view"].items()},
                points=None
                if points is None
                else Points(
                    np.asarray(points["positions"], dtype=np.float64).reshape(-1, 3),
                    np.asarray(points["colours"], dtype=np.uint8).reshape(-1, 3),
                ),
                box=_array(data["box"]),
                thumbnails={int(index): base64.b64decode(text) for index, text in data["thumbnails"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"The record of the capture is damaged ({error!r})", where=where) from error

    def reopen(self, path: Path | str | None = None) -> "Capture | Collection":
        """Open the data again as it was opened, at `path` where it has moved."""
        return open_capture(path or self.path, format=self.format, **self.options)

    def as_capture(self) -> Capture:
        """Give the capture with all but its images, which raise InputError when they are asked for."""
        return Capture(
            name=self.name,
            cameras=self.cameras,
            images=_absent_images(self),
            image_names=self.image_names,
            splits=self.splits,
            near=self.near,
            far=self.far,
            per_view=self.per_view,
            points=self.points,
            box=self.box,
            background=self.background,
            format=self.format,
            path=Path(self.path),
            options=self.options,
        )

    def thumbnail(self, index: int) -> np.ndarray | None:
        """Decode the thumbnail of a view: uint8 (h, w, 3 or 4), None where the record has none."""
        data = self.thumbnails.get(index)
        return None if data is None else np.asarray(Image.open(io.BytesIO(data)))


def capture_to_json(capture: Capture, *, with_thumbnails: int = 0) -> dict[str, Any]:
    """Record a capture as JSON, see `CaptureRecord`."""
    return CaptureRecord.from_capture(capture, with_thumbnails=with_thumbnails).to_json()


def _absent_images(record: CaptureRecord) -> ImageStore:
    sources = [Path(record.path) / name for name in record.image_names]
    return AbsentImages(sources, record.image_sizes, channels=record.channels)


def _thumbnails(capture: Capture, side: int) -> dict[int, bytes]:
    count = min(len(capture), MAX_THUMBNAILS)
    chosen = np.unique(np.linspace(0, len(capture) - 1, count).round().astype(np.int64)).tolist()
    form = {"format": "PNG"} if capture.images.channels == 4 else {"format": "JPEG", "quality": 80}
    found = {}
    # A few at a time, so that the photos of a large capture are not all held at once.
    for start in range(0, len(chosen), 8):
        part = chosen[start : start + 8]
        for index, pixels in zip(part, capture.images.load(part), strict=True):
            image = Image.fromarray(pixels)
            image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
            stream = io.BytesIO()
            image.save(stream, **form)
            found[index] = stream.getvalue()
    return found


def _numbers(values: np.ndarray | None) -> list[float | None] | None:
    """Turn an array into a list; JSON has no NaN, so null stands for it."""
    if values is None:
        return None
    return [None if np.isnan(value) else float(value) for value in values]


def _array(values: Sequence[Any] | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


def _filled(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
