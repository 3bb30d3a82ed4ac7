"""The pictures of the pages on `enr` and `pixelnerf`: held-out objects from one picture each, and a turn.

    python -m benchmarks.object_pictures RUN DATA [--source 0] [--out docs/images] [--objects 4]

RUN and DATA are those that `python -m benchmarks.enr_trainings --only made`, or `pixelnerf_trainings`, leaves
in its work folder.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

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


def rows_of(run: Path, views: Capture, source: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The source and held-out views of an object, and below them what the run makes of the source."""
    others = [index for index in range(len(views)) if index != source]
    chosen = [others[int(place)] for place in np.linspace(0, len(others) - 1, VIEWS).round()]
    seen = load(run).see(object=views.name, sources=str(source))
    made = seen.render(views.cameras[chosen])
    truth = [photo(views, index) for index in (source, *chosen)]
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
    parser.add_argument("--source", type=int, default=0, help="view that each object is seen from")
    arguments = parser.parse_args()
    data = open_capture(arguments.data)
    if not isinstance(data, Collection):
        raise InputError("It is one scene, not a set of objects", where=arguments.data)
    held_out, source = data.split("test")[: arguments.objects], arguments.source
    sheet = [tiles(row) for entry in held_out for row in rows_of(arguments.run, entry.open(), source)]
    run = Run.open(arguments.run)
    method = run.record.method
    still, turn = (arguments.out / f"{method}{ending}" for ending in (".png", "_orbit.gif"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    headings = ["source", *[f"truth, {method} below"] * VIEWS]
    write_png(still, draw_sheet(sheet, headings=headings))
    with tempfile.TemporaryDirectory() as folder:
        seen: dict[str, Any] = {"object": held_out[0].id, "sources": str(source), "sampler": "occupancy"}
        if method == "enr":
            # Of a photo its turn needs no data.
            file = Path(folder) / "photo.png"
            write_png(file, to_uint8(photo(held_out[0].open(), source)))
            seen = {"photo": (file,), "path": "orbit"}
        out = Path(folder) / "orbit.gif"
        made = render_run(run.path, frames=36, size="128", format="gif", out=out, **seen)
        shutil.copyfile(made.path, turn)
    print(still, turn)


if __name__ == "__main__":
    main()
