"""`sightline data convert DATA --to FORMAT --out DIR`: posed photos in another format."""

from dataclasses import dataclass
from pathlib import Path

from sightline.cli.arguments import Data, parse


@dataclass(frozen=True)
class Arguments:
    """What to convert."""

    data: Data
    to: str
    """format to write: blender, transforms, llff or colmap"""
    out: Path
    """new or empty folder"""
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


def main(arguments: list[str]) -> int:
    """Convert; prints the folder that was written."""
    parsed = parse(
        Arguments, arguments, program="data convert", description="Writes posed photos in another format."
    )
    from sightline.workflows.data import convert_data

    convert_data(
        parsed.data,
        parsed.to,
        parsed.out,
        format=parsed.format,
        downscale=parsed.downscale,
        holdout=parsed.holdout,
        split_rule=parsed.split_rule,
        resize_rule=parsed.resize_rule,
        strict=parsed.strict,
    )
    print(parsed.out)
    return 0
