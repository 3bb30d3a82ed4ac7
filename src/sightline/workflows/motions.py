"""Motions of a camera away from its source view, as `--motion` gives them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.geometry import Cameras
from sightline.methods.base import Rendering
from sightline.methods.pictures import PictureRenderer
from sightline.workflows.paths import USUAL_FRAMES, resize_cameras

_ANGLES = ("azimuth", "elevation")
_SHIFTS = ("right", "up", "forward")
_LIMITS = {"azimuth": 3600.0, "elevation": 180.0}
_MOST_SHIFT = 2.0
"""half widths: further away nothing of the volume is left"""
_MOST_FRAMES = 100_000
_EXAMPLE = "Write, for example, --motion azimuth=0:360,elevation=-10~20,right=0.2"

FrameRenderer = Callable[[int, Cameras], Rendering]
"""number of a frame and its camera → its picture"""


@dataclass(frozen=True)
class Motion:
    """Where the camera goes, frame by frame; its source's own pose is all zeros."""

    azimuth: Float[Tensor, "frames"]
    """degrees, to the camera's right"""
    elevation: Float[Tensor, "frames"]
    """degrees, upwards"""
    right: Float[Tensor, "frames"]
    """of the camera and what it looks at, in half widths of the volume, as the next ones"""
    up: Float[Tensor, "frames"]
    forward: Float[Tensor, "frames"]
    fps: float | None = None
    """frames per second, where a file says so"""

    def __len__(self) -> int:
        return len(self.azimuth)

    @property
    def shift(self) -> Float[Tensor, "frames 3"]:
        """Shift towards the source camera, down and right, as methods take it."""
        return torch.stack([-self.forward, -self.up, self.right], -1)


@dataclass(frozen=True)
class _Track:
    """One number over the time from 0 to 1."""

    values: tuple[float, ...]
    swings: bool = False
    """from the first value to the second and back, along a squared sine"""

    @property
    def moves(self) -> bool:
        return any(value != self.values[0] for value in self.values)

    def returns(self, period: float | None) -> bool:
        """Whether it ends as it begins; angles do so after a whole turn too."""
        way = 0.0 if self.swings else self.values[-1] - self.values[0]
        return way == 0 or (period is not None and math.isclose(math.remainder(way, period), 0, abs_tol=1e-9))

    def at(self, times: Float[Tensor, "frames"]) -> Float[Tensor, "frames"]:
        values = torch.tensor(self.values, dtype=torch.float64)
        if self.swings:
            return values[0] + (values[1] - values[0]) * torch.sin(math.pi * times).square()
        if len(values) == 1:
            return values.expand(len(times))
        places = times * (len(values) - 1)
        before = places.floor().long().clamp(0, len(values) - 2)
        return torch.lerp(values[before], values[before + 1], places - before)


def read_motion(text: str, frames: int | None = None) -> Motion:
    """Read a motion: a FILE.json, or names and values such as `azimuth=0:360,elevation=-10~20,right=0.2`.

    `a:b` goes evenly from a to b, `a:b:c` from a over b to c, `a~b` swings from a to b and back. A motion
    that ends as it begins leaves out its last frame, so that its video repeats evenly; one that stands still
    has one frame.

    Args:
        frames: number of frames; what the file says, else 120.

    Raises:
        InputError: not written so, unknown names, or values out of range.
    """
    where = f"--motion {text}"
    values: Mapping[str, Any]
    fps = None
    if text.lower().endswith(".json"):
        where = text
        values, frames, fps = _read_file(Path(text), frames)
    else:
        values = _split(text, where)
    tracks = {name: _track(name, value, where) for name, value in values.items()}
    if not tracks:
        raise InputError("No motion is given", where=where, fix=_EXAMPLE)
    if not any(track.moves for track in tracks.values()):
        frames = 1
    count = USUAL_FRAMES if frames is None else frames
    if not 1 <= count <= _MOST_FRAMES:
        raise InputError(f"A motion cannot have {count} frames", fix=f"Give 1 to {_MOST_FRAMES}")
    returns = all(track.returns(360.0 if name in _ANGLES else None) for name, track in tracks.items())
    times = torch.arange(count, dtype=torch.float64) / max(1, count if returns else count - 1)
    still = _Track((0.0,))
    found = {name: tracks.get(name, still).at(times) for name in (*_ANGLES, *_SHIFTS)}
    return Motion(**found, fps=fps)


def _read_file(path: Path, frames: int | None) -> tuple[dict[str, Any], int | None, float | None]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(
            "The file does not hold names and values",
            where=path,
            fix='Write, for example, {"azimuth": [0, 360], "elevation": 10, "frames": 90, "fps": 30}',
        )
    values = dict(document)
    stated, fps = values.pop("frames", None), values.pop("fps", None)
    if stated is not None and (not isinstance(stated, int) or isinstance(stated, bool)):
        raise InputError(f"The number of frames is {stated!r}", where=f"{path}, frames")
    if fps is not None and (not _is_number(fps) or not fps > 0):
        raise InputError(f"The frames per second are {fps!r}", where=f"{path}, fps")
    return values, stated if frames is None else frames, None if fps is None else float(fps)


def _split(text: str, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise InputError(f"{part!r} is not written as NAME=VALUE", where=where, fix=_EXAMPLE)
        if name in found:
            raise InputError(f"{name} is given twice", where=where, fix=f"Give one range: {name}=0:10:0")
        found[name] = value
    return found


def _track(name: str, value: Any, where: str) -> _Track:
    if name not in (*_ANGLES, *_SHIFTS):
        raise InputError(
            f"There is no motion {name!r}",
            where=where,
            fix=f"Choose {', '.join(_ANGLES)} (degrees), {', '.join(_SHIFTS)} (half widths of the volume)",
        )
    swings = isinstance(value, str) and "~" in value
    parts = value.split("~" if swings else ":") if isinstance(value, str) else value
    numbers = _numbers(parts if isinstance(parts, list) else [parts])
    if not numbers or (swings and len(numbers) != 2):
        raise InputError(f"{value!r} is no value for {name}", where=where, fix=_EXAMPLE)
    most = _LIMITS.get(name, _MOST_SHIFT)
    if name in _ANGLES and any(abs(number) > most for number in numbers):
        raise InputError(
            f"{name} goes to {max(numbers, key=abs):g} degrees, beyond {most:g}", where=where, fix=_EXAMPLE
        )
    if name in _SHIFTS and any(abs(number) >= most for number in numbers):
        raise InputError(
            f"{name} goes to {max(numbers, key=abs):g}, where nothing is left to see",
            where=where,
            fix=f"Shifts are in half widths of the volume: stay below {most:g}",
        )
    return _Track(tuple(numbers), swings)


def _numbers(parts: Sequence[Any]) -> list[float]:
    """Numbers of texts or numbers; none where one of them is not finite or no number."""
    found = []
    for part in parts:
        try:
            number = float(part) if isinstance(part, str) or _is_number(part) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return []
        found.append(number)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def source_camera(views: Capture, frames: int, size: str | None = None) -> Cameras:
    """Repeat the camera of the first source view for every frame: the scene moves before it."""
    camera = resize_cameras(views.cameras[0], size)
    return Cameras.concatenate([camera] * frames)


def of_path(render: PictureRenderer) -> FrameRenderer:
    """Render a scene that stands still."""
    return lambda index, camera: render(camera)


def of_motion(render: PictureRenderer, motion: Motion) -> FrameRenderer:
    """Render a scene that moves before its source camera.

    Raises:
        InputError: the method's scenes have no motion of their own.
    """
    scenes = render.method.moved(
        render.scene, torch.deg2rad(motion.azimuth), torch.deg2rad(motion.elevation), motion.shift
    )

    def frame(index: int, camera: Cameras) -> Rendering:
        render.scene = scenes[index]
        return render(camera)

    return frame
