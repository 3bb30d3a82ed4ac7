"""`sightline data inspect DATA`: what is in a folder, with a picture of its cameras."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from sightline.cli.arguments import Data, Flat, JsonFlag, parse
from sightline.cli.console import print_json
from sightline.workflows.options import DataOptions


@dataclass(frozen=True)
class Arguments:
    """What to look at."""

    data: Data
    opening: Flat[DataOptions] = field(default_factory=DataOptions)
    picture: Path | None = None
    """PNG file for the cameras seen from above and from the side; NAME_cameras.png here where not given"""
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Inspect; prints the facts, or JSON."""
    parsed = parse(
        Arguments, arguments, program="data inspect", description="Shows what is in a folder of posed photos."
    )
    from sightline.workflows.data import inspect_data

    inspected = inspect_data(parsed.data, parsed.picture, **asdict(parsed.opening))
    if parsed.json:
        print_json(inspected.to_json())
    else:
        print("\n".join(inspected.lines))
    return 0
