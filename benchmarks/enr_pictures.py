"""The pictures of the page on `enr`: held-out objects from one picture each, and a turn around one of them.

    python -m benchmarks.enr_pictures RUN DATA [--out docs/images] [--objects 4]

RUN and DATA are those that `python -m benchmarks.enr_trainings --only made` leaves in its work folder.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.export_pictures import photo

from sightline.captures import Capture, Collection, open_capture
from sightline.foundation.errors import InputError
from sightline.media.images import to_uint8, write_png
from sightline.media.panels import Tile, draw_sheet
from sightline.runs.run import Run
from sightline.workflows.api import load
from sightline.workflows.render import render_run

VIEWS = 5
_ENLARGED = 2


def rows_of(run: Path, views: Capture) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The source and held-out views of an object, and below them what the run makes of the source."""
    chosen = np.linspace(1, len(views) - 1, VIEWS).round().astype(int)
    seen = load(run).see(object=views.name, sources="0")
    made = seen.render(views.cameras[chosen.tolist()])
    truth = [photo(views, int(index)) for index in (0, *chosen)]
    return truth, [np.ones_like(truth[0]), *(picture.rgb.numpy() for picture in made)]


def tiles(pictures: list[np.ndarray]) -> list[Tile]:
    """Enlarge pictures, whose pixels stay squares."""
    return [Tile(to_uint8(picture).repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)) for picture in pictures]


def main() -> None:
    """Write the sheet and the turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="trained run")
    parser.add_argument("data", type=Path, help="the set that it was trained on, with held-out objects")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--objects", type=int, default=4, help="rows of the sheet")
    arguments = parser.parse_args()
    data = open_capture(arguments.data)
    if not isinstance(data, Collection):
        raise InputError("It is one scene, not a set of objects", where=arguments.data)
    held_out = data.split("test")[: arguments.objects]
    sheet = [tiles(row) for entry in held_out for row in rows_of(arguments.run, entry.open())]
    arguments.out.mkdir(parents=True, exist_ok=True)
    headings = ["source", *["truth, enr below"] * VIEWS]
    write_png(arguments.out / "enr.png", draw_sheet(sheet, headings=headings))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.png"
        write_png(file, to_uint8(photo(held_out[0].open(), 0)))
        made = render_run(
            Run.open(arguments.run).path,
            photo=(file,),
            path="orbit",
            frames=36,
            size="128",
            format="gif",
            out=Path(folder) / "orbit.gif",
        )
        shutil.copyfile(made.path, arguments.out / "enr_orbit.gif")
    print(arguments.out / "enr.png", arguments.out / "enr_orbit.gif")


if __name__ == "__main__":
    main()
