"""The picture of the page on `gpnr`: held-out views of scenes that a run was not trained on.

    python -m benchmarks.scene_pictures RUN SCENE [SCENE …] [--out docs/images/gpnr.png] [--views 2]

Beside each other: the photo, the nearest source photo, the picture, its depth, and which source each pixel
was taken from, each source in a colour of its own.
"""

import argparse
from pathlib import Path

import numpy as np
from benchmarks.export_pictures import photo

from sightline.captures import Capture, open_capture
from sightline.foundation.errors import InputError
from sightline.media.colour import colour_depth, depth_range
from sightline.media.images import to_uint8, write_png
from sightline.media.panels import Tile, draw_sheet, shrink_to_width
from sightline.workflows.api import load
from sightline.workflows.origin_sheet import colour_of_view

_HEADINGS = ("truth", "nearest photo", "gpnr", "depth", "taken from")
_WIDTH = 252


def rows_of(run: Path, scene: Path, count: int) -> list[list[Tile]]:
    """Some held-out views of a scene."""
    capture = open_capture(scene)
    if not isinstance(capture, Capture):
        raise InputError("It is a set of captures, not one", where=scene)
    sources, held_out = (capture.splits[split] for split in ("train", "test"))
    seen = load(run).see(data=scene)
    rows = []
    for number in np.linspace(0, len(held_out) - 1, count).round().astype(int):
        view = held_out[number]
        (made,) = seen.render(capture.cameras[[view]])
        assert made.depth is not None
        assert made.origin is not None
        centres = capture.cameras.centres
        nearest = sources[int((centres[list(sources)] - centres[view]).norm(dim=-1).argmin())]
        truth = photo(capture, view)
        error = float(np.square(made.rgb.numpy() - truth).mean())
        depth, origin = made.depth.numpy(), made.origin.numpy()
        palette = np.stack([colour_of_view(number) for number in range(len(sources))])
        pictures = [truth, photo(capture, nearest), made.rgb.numpy()]
        panels = [to_uint8(picture) for picture in pictures]
        panels += [colour_depth(depth, depth_range(depth))[..., :3], palette[origin]]
        captions = [scene.name, "", f"{-10 * np.log10(error):.2f} dB", "", ""]
        panels = [shrink_to_width(panel, _WIDTH) for panel in panels]
        rows.append([Tile(*pair) for pair in zip(panels, captions, strict=True)])
    return rows


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="trained run")
    parser.add_argument("scenes", type=Path, nargs="+", help="captures")
    parser.add_argument("--out", type=Path, default=Path("docs/images/gpnr.png"))
    parser.add_argument("--views", type=int, default=2, help="of each capture")
    arguments = parser.parse_args()
    if arguments.views < 1:
        raise InputError(f"It must be 1 or above, not {arguments.views}", where="--views")
    rows = [row for scene in arguments.scenes for row in rows_of(arguments.run, scene, arguments.views)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_png(arguments.out, draw_sheet(rows, headings=_HEADINGS))
    print(arguments.out)


if __name__ == "__main__":
    main()
