"""Pictures of an evaluation of many objects: of a few views each, with the sources beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures import Capture, CollectionObject
from sightline.evaluation.cases import Case
from sightline.evaluation.pictures import ERROR_SCALE, HEADINGS, PANEL_WIDTH, SHEET_ROWS, SHEET_WIDTH, caption
from sightline.evaluation.protocols import Scores
from sightline.evaluation.saved_pictures import SavedPictures
from sightline.evaluation.store import ResultStore
from sightline.evaluation.training_pictures import thin
from sightline.evaluation.views import Background, background_for, file_stems, truth_picture
from sightline.foundation.errors import warn
from sightline.media.colour import colour_error
from sightline.media.images import read_image, to_float, to_uint8, write_png
from sightline.media.panels import Tile, draw_sheet, shrink_to_width

MOST_PICTURES = 2000
"""views of an evaluation whose pictures are written"""
_SHOWN_SOURCES = 3
LEAST_WIDTH = 128
"""smaller pictures are enlarged in panels, pixels staying squares, so that captions have room"""


@dataclass(frozen=True)
class PicturePlan:
    """How many views of which object are written as pictures; does not depend on what was finished before."""

    objects: int

    def views_of(self, position: int) -> int:
        """Number of views of the object at a position: the same for all, or one for the first ones."""
        return MOST_PICTURES // self.objects if self.objects <= MOST_PICTURES else position < MOST_PICTURES


class ObjectPictures:
    """Writes pictures of some views of one object: `images/OBJECT/VIEW.png` and `panels/OBJECT/VIEW.png`.

    A panel shows up to three sources, the truth, the prediction and the error.

    Args:
        folder: of the evaluation.
        name: folder name of the object.
        most: how many views are written.
        saved: where the pictures of all views go besides.
    """

    def __init__(self, folder: Path, name: str, most: int, saved: SavedPictures | None = None):
        self.folder, self.name, self.most = folder, name, int(most)
        self.saved = saved
        self._sources: list[Tile] = []
        self._wanted: set[str] = set()

    def begin(self, capture: Capture, case: Case, background: Background, share: int = 1) -> None:
        """Get ready for the views of a case, one of `share` that have to share the number of pictures."""
        stems = file_stems([capture.image_names[index] for index in case.targets])
        self._wanted = set(middle(stems, self.most // share if self.most >= share else min(self.most, 1)))
        self._sources = _source_tiles(capture, case.sources, background) if self._wanted else []

    def add(self, stem: str, prediction: np.ndarray, truth: np.ndarray, scores: Scores) -> None:
        """Write a view if it is one of those: pictures (height, width, 3) in [0, 1]."""
        if self.saved is not None:
            self.saved.add(stem, prediction)
        if stem.rpartition("/")[2] not in self._wanted:
            return
        write_png(self.folder / "images" / f"{stem}.png", to_uint8(prediction))
        row = _row(self._sources, stem, prediction, truth, scores)
        panel = [Tile(shrink_to_width(tile.image, PANEL_WIDTH), tile.caption) for tile in row]
        headings = (*["source"] * len(self._sources), *HEADINGS)
        write_png(self.folder / "panels" / f"{stem}.png", draw_sheet([panel], headings=headings))


def middle(items: Sequence[str], count: int) -> list[str]:
    """Choose up to `count` items, the middles of as many equal parts."""
    count = min(count, len(items))
    return [items[(2 * k + 1) * len(items) // (2 * count)] for k in range(count)]


def write_contact_sheet(
    store: ResultStore, entries: Sequence[CollectionObject], background: str | None
) -> Path | None:
    """Show one view of up to six objects, from the pictures that were written; None where there are none."""
    rows = []
    for entry in thin(entries[:MOST_PICTURES], SHEET_ROWS):
        result, capture = store.read(entry.id), entry.open()
        behind = background_for(capture, background)
        views = [view for view in result.views if view.sources == result.views[0].sources]
        stems = file_stems([view.name for view in views])
        several = len(views) < len(result.views)
        folder = store.folder / "images" / store.names[entry.id]
        place = folder / f"from_{(views[0].sources or (0,))[0]}" if several else folder
        shown = [(v, s) for v, s in zip(views, stems, strict=True) if (place / f"{s}.png").is_file()]
        if not shown:
            continue
        view, stem = shown[len(shown) // 2]
        prediction = to_float(read_image(place / f"{stem}.png"))
        truth = truth_picture(capture, view.index, behind).numpy()
        tiles = _source_tiles(capture, (view.sources or ())[:1], behind)
        row = _row(tiles, f"{entry.id} {stem}", prediction, truth, view.scores)
        rows.append([Tile(shrink_to_width(tile.image, SHEET_WIDTH), tile.caption) for tile in row])
    if not rows:
        warn(f"No pictures are in {store.folder}, so there is no contact sheet")
        return None
    path = store.folder / "contact_sheet.png"
    write_png(path, draw_sheet(rows, headings=("source", *HEADINGS)))
    return path


def _source_tiles(capture: Capture, sources: Sequence[int], background: Background) -> list[Tile]:
    chosen = sources[:_SHOWN_SOURCES]
    stems = file_stems([capture.image_names[index] for index in chosen])
    return [
        _tile(to_uint8(truth_picture(capture, index, background)), stem)
        for index, stem in zip(chosen, stems, strict=True)
    ]


def _row(
    sources: list[Tile], stem: str, prediction: np.ndarray, truth: np.ndarray, scores: Scores
) -> list[Tile]:
    error = colour_error(np.nan_to_num(prediction), truth, ERROR_SCALE)
    return [
        *sources,
        _tile(to_uint8(truth), stem),
        _tile(to_uint8(prediction), caption(scores)),
        _tile(error),
    ]


def _tile(image: np.ndarray, text: str = "") -> Tile:
    factor = -(-LEAST_WIDTH // image.shape[1])
    return Tile(image.repeat(factor, 0).repeat(factor, 1), text)
