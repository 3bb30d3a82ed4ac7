"""capture.json: what a run remembers of its data, so that paths and the viewer work without it."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.geometry import Cameras

if TYPE_CHECKING:
    from sightline.captures import Capture

CAPTURE_FILE = "capture.json"
SCHEMA = 1
_POINTS = 2000
_THUMBNAILS = 100
_THUMBNAIL_SIZE = 64


@dataclass(frozen=True)
class CaptureRecord:
    """The cameras of a capture and what belongs to them, without the images."""

    name: str
    cameras: Cameras
    image_names: tuple[str, ...]
    splits: dict[str, tuple[int, ...]]
    near: np.ndarray | None = None
    """float64 (n,) depth of the nearest matter along the optical axis, input units"""
    far: np.ndarray | None = None
    box: np.ndarray | None = None
    """float64 (2, 3): lowest and highest corner of the scene in the input frame"""
    background: str = "photo"
    format: str = "memory"
    points: np.ndarray | None = None
    """float64 (n, 3): at most 2000 sparse points of the scene, for trajectories and the viewer"""
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)
    """view index → a JPEG of at most 64 pixels"""

    @classmethod
    def of(cls, capture: "Capture") -> "CaptureRecord":
        """Take from a capture what is kept; no image is read."""
        points = None if capture.points is None else capture.points.subsampled(_POINTS).positions
        return cls(
            name=capture.name,
            cameras=capture.cameras,
            image_names=tuple(capture.image_names),
            splits={name: tuple(int(i) for i in members) for name, members in capture.splits.items()},
            near=capture.near,
            far=capture.far,
            box=capture.box,
            background=capture.background,
            format=capture.format,
            points=points,
        )

    def write(self, folder: Path) -> None:
        """Write capture.json into a run folder."""
        write_json(
            folder / CAPTURE_FILE,
            {
                "schema": SCHEMA,
                "name": self.name,
                "format": self.format,
                "background": self.background,
                "cameras": self.cameras.to_json(),
                "image_names": list(self.image_names),
                "splits": {name: list(members) for name, members in self.splits.items()},
                "near": _to_list(self.near),
                "far": _to_list(self.far),
                "box": _to_list(self.box),
                "points": _to_list(self.points),
                "thumbnails": {
                    str(index): base64.b64encode(data).decode("ascii")
                    for index, data in self.thumbnails.items()
                },
            },
            indent=None,
        )

    @classmethod
    def read(cls, folder: Path) -> "CaptureRecord":
        """Read capture.json of a run folder; InputError where it is missing, newer or not whole."""
        path = folder / CAPTURE_FILE
        if not path.is_file():
            raise InputError(
                "The run does not know its cameras yet",
                where=path,
                fix="Train it first, or give the data with --data",
            )
        values = read_json(path)
        if isinstance(values, dict) and isinstance(values.get("schema"), int) and values["schema"] > SCHEMA:
            raise InputError("The file was written by a newer Sightline", where=path, fix="Upgrade Sightline")
        try:
            return cls(
                name=values["name"],
                cameras=Cameras.from_json(values["cameras"]),
                image_names=tuple(values["image_names"]),
                splits={name: tuple(members) for name, members in values["splits"].items()},
                near=_to_array(values["near"]),
                far=_to_array(values["far"]),
                box=_to_array(values["box"]),
                background=values["background"],
                format=values["format"],
                points=_to_array(values["points"]),
                thumbnails={
                    int(index): base64.b64decode(data) for index, data in values["thumbnails"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"The file is not a run's capture.json ({error!r})", where=path) from error


def make_thumbnails(capture: "Capture", most: int = _THUMBNAILS) -> dict[int, bytes]:
    """Make small JPEGs of up to `most` views, evenly spread; transparency is shown on white."""
    count = min(most, len(capture))
    chosen = sorted({int(index) for index in np.linspace(0, len(capture) - 1, count).round()})
    return {index: _thumbnail(capture.images[index]) for index in chosen}


def _thumbnail(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL_SIZE, _THUMBNAIL_SIZE), Image.Resampling.BOX)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _to_list(values: np.ndarray | None) -> list[Any] | None:
    # JSON has no NaN; a view without a number gets null.
    if values is None:
        return None
    plain: list[Any] = np.asarray(values, dtype=np.float64).tolist()
    return _without_nan(plain)


def _without_nan(values: list[Any]) -> list[Any]:
    return [
        _without_nan(value) if isinstance(value, list) else (value if np.isfinite(value) else None)
        for value in values
    ]


def _to_array(values: Sequence[Any] | None) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=np.float64)
