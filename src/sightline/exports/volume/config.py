"""Settings of the volume export (no torch)."""

from dataclasses import dataclass
from typing import Literal

from sightline.exports.registry import ExportInfo


@dataclass(frozen=True, kw_only=True)
class VolumeOptions:
    """How a volume is made."""

    resolution: int = 256
    """points along the longest side of the box; the Unity layout has as many along each side"""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """lowest and highest corner of the box, x y z x y z in the frame of the data; found where not given"""
    format: Literal["npz", "vol"] | None = None
    """npz (a grid with its frame), or vol (the Unity layout of nerf_pl); by the name in --out, else npz"""
    view: Literal["inward", "mean", "zero"] | None = None
    """colours as seen against the density's gradient, as the mean of six directions, or for the direction
    (0, 0, 0), as nerf_pl has it; inward where not given, zero in the Unity layout of a nerf run"""


INFO = ExportInfo(
    name="volume",
    summary="a dense grid of colour and opacity: compressed npz, or the Unity layout of nerf_pl",
    options="sightline.exports.volume.config:VolumeOptions",
    export="sightline.exports.volume.export:export_volume",
    needs=(("field",),),
)
