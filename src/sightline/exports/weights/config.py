"""Settings of the portable scene (no torch)."""

from dataclasses import dataclass

from sightline.exports.registry import ExportInfo


@dataclass(frozen=True, kw_only=True)
class WeightsOptions:
    """How a portable scene is written."""

    half: bool = False
    """store numbers in half precision: half the size, pictures that differ a little"""


INFO = ExportInfo(
    name="weights",
    summary="a portable scene: weights and cameras in one file that render accepts without the photos",
    options="sightline.exports.weights.config:WeightsOptions",
    export="sightline.exports.weights.export:export_weights",
)
