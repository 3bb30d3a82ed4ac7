"""Settings of the point cloud export (no torch)."""

from dataclasses import dataclass

from sightline.exports.registry import ExportInfo


@dataclass(frozen=True, kw_only=True)
class PointsOptions:
    """How a point cloud is made."""

    count: int = 200_000
    """points, about"""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """keep points in this box only: lowest and highest corner, x y z x y z in the frame of the data"""
    views: int = 100
    """training cameras at most that look, evenly spread"""
    tolerance: float = 0.01
    """part of the distance within which the depths of two views agree"""
    agreeing: int = 2
    """views that must see the same point, besides the one that it comes from"""


INFO = ExportInfo(
    name="points",
    summary="a coloured point cloud: PLY",
    options="sightline.exports.points.config:PointsOptions",
    export="sightline.exports.points.export:export_points",
    needs=(("field", "depth"),),
)
