"""Settings of the web export (no torch)."""

from dataclasses import dataclass
from typing import Literal

from sightline.exports.registry import ExportInfo


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How a page is made."""

    size_mb: float = 25.0
    """size of the whole file at most, in millions of bytes"""
    resolution: int | None = None
    """cells along a side of the grid; where not given, as many as the photos' pixels, the size, and the
    field's speed allow"""
    degree: Literal[0, 1, 2] | None = None
    """degree of the harmonics by which colours change with the direction: 1 where not given, 0 where only
    that fits"""
    background: str = "white"
    """colour behind objects: white, black, grey, #rrggbb, three numbers; photos of surroundings have none"""
    refine: Literal["photos", "field", "none"] | None = None
    """what the baked voxels are refined against: the training photos, the field's own pictures, or nothing;
    photos where not given and the run has them, and was not made from a few source views"""
    steps: int = 160
    """steps of refining"""
    seed: int = 0
    """where randomness begins"""


INFO = ExportInfo(
    name="web",
    summary="one HTML file that shows the scene in any browser, without a server",
    options="sightline.exports.web.config:WebOptions",
    export="sightline.exports.web.export:export_web",
    needs=(("field",),),
)
