"""What is in a capture, in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sightline.captures.capture import Capture
from sightline.geometry import LensModel
from sightline.geometry.poses import axes_meet, focus_point, up_direction
from sightline.geometry.treatments import capture_layout

Vector = tuple[float, float, float]
Range = tuple[float, float]

_POINT_PERCENTILES = (1, 50, 99)
_NOTHING = 1e-9
"""parts of the cameras' distance below which a coordinate is rounding"""


@dataclass(frozen=True, kw_only=True)
class CaptureFacts:
    """The facts of a capture; lengths in the units and the frame of its files."""

    name: str
    format: str
    path: str
    views: int
    sizes: Mapping[str, int]
    """"WIDTHxHEIGHT" → number of views"""
    lenses: Mapping[str, int]
    """lens model → number of views"""
    focal: Range
    """smallest and largest focal length across, pixels"""
    field_of_view: Range
    """smallest and largest horizontal angle without distortion, degrees"""
    splits: Mapping[str, int]
    unassigned: int
    """views in no split"""
    channels: int
    background: str
    masks: bool
    memory: int
    """bytes of all images when decoded"""
    near: Range | None
    """smallest and median nearest depth"""
    far: Range | None
    """median and largest farthest depth"""
    centre_low: Vector
    """lowest corner of the box around the camera centres"""
    centre_high: Vector
    spread: float
    """root mean square distance of the camera centres from their mean"""
    up: Vector
    focus: Vector
    """the point nearest to all optical axes"""
    axes_meet: bool
    """whether the axes come together there; if not, `focus` is a point ahead of the cameras"""
    focus_distance: Range
    """smallest and largest distance of a camera from `focus`"""
    layout: str
    """`forward-facing` (every ray goes ahead of the average camera) or `360`"""
    points: int
    point_percentiles: Mapping[str, Vector] | None
    """percentile → x, y, z of the sparse points"""
    box: tuple[Vector, Vector] | None
    per_view: tuple[str, ...]
    """names of the raw numbers that each view has"""

    def to_json(self) -> dict[str, Any]:
        """Give plain lists, numbers and texts."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    def lines(self) -> list[str]:
        """Describe the capture for people, a fact per line."""
        facts = {
            "capture": f"{self.name} ({self.format}, {self.path})",
            "views": f"{self.views}: {_counts(self.splits)}"
            + (f", {self.unassigned} in no split" if self.unassigned else ""),
            "sizes": _counts(self.sizes),
            "lens": _counts(self.lenses),
            "focal length": f"{_range(self.focal)} pixels, {_range(self.field_of_view)} degrees across",
            "images": f"{self.channels} channels, background {self.background}, "
            f"{'with' if self.masks else 'no'} masks, {self.memory / 2**20:.0f} MiB decoded",
            "depth bounds": "not stated"
            if self.near is None or self.far is None
            else f"near {_range(self.near)}, far {_range(self.far)} (smallest to median, median to largest)",
            "cameras": f"from {_vector(self.centre_low)} to {_vector(self.centre_high)}, "
            f"spread {self.spread:.3g}, up {_vector(self.up)}",
            "focus": f"{_vector(self.focus)}, {_range(self.focus_distance)} from the cameras"
            + ("" if self.axes_meet else " (the optical axes do not meet: a point ahead of the cameras)"),
            "layout": self.layout
            + (" (normalised device coordinates apply)" if self.layout == "forward-facing" else ""),
            "points": "none"
            if self.point_percentiles is None
            else f"{self.points}; "
            + ", ".join(f"{name} % {_vector(point)}" for name, point in self.point_percentiles.items()),
        }
        if self.box is not None:
            facts["scene box"] = f"from {_vector(self.box[0])} to {_vector(self.box[1])}"
        if self.per_view:
            facts["numbers per view"] = ", ".join(self.per_view)
        width = max(len(name) for name in facts)
        return [f"{name:<{width}}  {value}" for name, value in facts.items()]


def inspect_capture(capture: Capture) -> CaptureFacts:
    """Collect the facts of a capture; no image is decoded."""
    cameras = capture.cameras
    centres = cameras.centres.numpy()
    focus = focus_point(cameras.c2w).numpy()
    distances = np.linalg.norm(centres - focus, axis=1)
    focal = cameras.fx.numpy()
    angles = np.degrees(2 * np.arctan(0.5 * cameras.width.numpy() / focal))
    assigned = {index for members in capture.splits.values() for index in members}
    spread = float(np.sqrt(((centres - centres.mean(axis=0)) ** 2).sum(axis=1).mean()))
    return CaptureFacts(
        name=capture.name,
        format=capture.format,
        path=capture.path.as_posix(),
        views=len(capture),
        sizes=dict(Counter(f"{width}x{height}" for width, height in capture.images.sizes.tolist())),
        lenses=dict(Counter(LensModel(value).name for value in cameras.lens.tolist())),
        focal=_extremes(focal),
        field_of_view=_extremes(angles),
        splits={name: len(members) for name, members in capture.splits.items()},
        unassigned=len(capture) - len(assigned),
        channels=capture.images.channels,
        background=capture.background,
        masks=capture.masks is not None,
        memory=capture.images.nbytes,
        near=None if capture.near is None else (float(capture.near.min()), float(np.median(capture.near))),
        far=None if capture.far is None else (float(np.median(capture.far)), float(capture.far.max())),
        centre_low=_triple(centres.min(axis=0)),
        centre_high=_triple(centres.max(axis=0)),
        spread=spread,
        up=_triple(up_direction(cameras.c2w).numpy()),
        focus=_triple(np.where(np.abs(focus) < _NOTHING * distances.max(), 0.0, focus)),
        axes_meet=axes_meet(cameras.c2w),
        focus_distance=_extremes(distances),
        layout=capture_layout(cameras),
        points=0 if capture.points is None else len(capture.points),
        point_percentiles=_point_percentiles(capture),
        box=None if capture.box is None else (_triple(capture.box[0]), _triple(capture.box[1])),
        per_view=tuple(capture.per_view),
    )


def _point_percentiles(capture: Capture) -> dict[str, Vector] | None:
    if capture.points is None or not len(capture.points):
        return None
    rows = np.percentile(capture.points.positions, _POINT_PERCENTILES, axis=0)
    return {str(level): _triple(row) for level, row in zip(_POINT_PERCENTILES, rows, strict=True)}


def _triple(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _extremes(values: np.ndarray) -> Range:
    return float(values.min()), float(values.max())


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{count} {name}" for name, count in list(counts.items())[:5]]
    return ", ".join(shown) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")


def _range(values: Range) -> str:
    low, high = (f"{value:.4g}" for value in values)
    return low if low == high else f"{low} to {high}"


def _vector(values: Vector) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
