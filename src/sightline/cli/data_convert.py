"""`sightline data convert DATA --to FORMAT --out DIR`: posed photos in another format."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from sightline.cli.arguments import Data, Flat, parse
from sightline.workflows.options import DataOptions


@dataclass(frozen=True)
class Arguments:
    """What to convert."""

    data: Data
    to: str
    """format to write: blender, transforms, llff or colmap"""
    out: Path
    """new or empty folder"""
    opening: Flat[DataOptions] = field(default_factory=DataOptions)


def main(arguments: list[str]) -> int:
    """Convert; prints the folder that was written."""
    parsed = parse(
        Arguments, arguments, program="data convert", description="Writes posed photos in another format."
    )
    from sightline.workflows.data import convert_data

    convert_data(parsed.data, parsed.to, parsed.out, **asdict(parsed.opening))
    print(parsed.out)
    return 0
