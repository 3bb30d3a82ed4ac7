"""`sightline poses PHOTOS`: camera poses of photos or of a video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from sightline.cli.arguments import Flat, JsonFlag, parse
from sightline.cli.console import print_json
from sightline.photos.pose_options import PoseOptions

Photos = Annotated[
    tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTOS", help="folder of photos, or a video")
]


@dataclass(frozen=True)
class Arguments:
    """What to find the poses of."""

    photos: Photos
    out: Path | None = None
    """folder of the capture to make; captures/NAME where not given"""
    finding: Flat[PoseOptions] = field(default_factory=PoseOptions)
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Find poses; prints the folder of the capture."""
    parsed = parse(
        Arguments,
        arguments,
        program="poses",
        description="Finds where photos, or the frames of a video, were taken from, and writes a capture. "
        "An interrupted call goes on where it stopped.",
    )
    from sightline.foundation.errors import inform
    from sightline.workflows.posing import pose_photos, size_advice, take_posed

    posed = take_posed(parsed.photos, parsed.out)
    if posed is not None:
        print_json({"capture": posed.as_posix()}) if parsed.json else print(posed)
        return 0
    found = pose_photos(parsed.photos, parsed.out, parsed.finding)
    for line in [*found.lines(), size_advice(found)]:
        if line is not None:
            inform(line)
    inform(f"Next: sightline train ngp {found.path}")
    if parsed.json:
        print_json({"capture": found.path.as_posix(), **found.to_json()})
    else:
        print(found.path)
    return 0
