"""`sightline data inspect DATA`: what is in a folder, with a picture of its cameras."""

from dataclasses import dataclass
from pathlib import Path

from sightline.cli.arguments import Data, JsonFlag, parse
from sightline.cli.console import print_json


@dataclass(frozen=True)
class Arguments:
    """What to look at."""

    data: Data
    format: str | None = None
    """format of the data; detected where not given"""
    downscale: float = 1
    """divide the size of the images by this"""
    holdout: int = 8
    """where the data has no split, hold out every so many-th view for testing; 0 for none"""
    split_rule: str | None = None
    """how to split: format (default), holdout, center, bmild, nerf_pl, flax_nerf, llffholdN, testskipN"""
    resize_rule: str | None = None
    """how to make images smaller: area (default), area-straight (bmild, flax_nerf), lanczos (nerf_pl), box"""
    strict: bool = False
    """refuse data with missing images instead of skipping them"""
    picture: Path | None = None
    """PNG file for the cameras seen from above and from the side; NAME_cameras.png here where not given"""
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Inspect; prints the facts, or JSON."""
    parsed = parse(
        Arguments, arguments, program="data inspect", description="Shows what is in a folder of posed photos."
    )
    from sightline.workflows.data import inspect_data

    inspected = inspect_data(
        parsed.data,
        parsed.picture,
        format=parsed.format,
        downscale=parsed.downscale,
        holdout=parsed.holdout,
        split_rule=parsed.split_rule,
        resize_rule=parsed.resize_rule,
        strict=parsed.strict,
    )
    if parsed.json:
        print_json(inspected.to_json())
    else:
        print("\n".join(inspected.lines))
    return 0
