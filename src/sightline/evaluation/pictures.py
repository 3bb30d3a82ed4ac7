"""The pictures of an evaluation: predictions, panels beside the truth, and one contact sheet."""

from pathlib import Path
from typing import Protocol

import numpy as np

from sightline.evaluation.protocols import Scores
from sightline.media.colour import colour_error
from sightline.media.images import to_uint8, write_png
from sightline.media.panels import Tile, draw_sheet, shrink_to_width
from sightline.media.tables import format_cell

PANEL_WIDTH = 512
SHEET_WIDTH = 256
SHEET_ROWS = 6
ERROR_SCALE = 0.25
HEADINGS = ("truth", "prediction", f"error (white: {ERROR_SCALE} or more)")


class ViewWriter(Protocol):
    """Takes the pictures of views as they come."""

    def add(self, stem: str, prediction: np.ndarray, truth: np.ndarray, scores: Scores) -> None:
        """Take a view: pictures (height, width, 3) in [0, 1]; `stem` is its name and may hold a folder."""
        ...


class PictureWriter:
    """Writes each view's pictures as it comes, and keeps a few small ones for the contact sheet.

    Files: `images/NAME.png` (predictions, full size), `panels/NAME.png` (truth | prediction | error, at most
    512 pixels wide each), `contact_sheet.png`.
    """

    def __init__(self, folder: Path, title: str):
        self.folder, self.title = folder, title
        self._rows: list[list[Tile]] = []
        self._stride = 1
        self._seen = 0

    def add(self, stem: str, prediction: np.ndarray, truth: np.ndarray, scores: Scores) -> None:
        """Write the pictures of a view: arrays (height, width, 3) in [0, 1]; `stem` may name a folder."""
        images = [
            to_uint8(truth),
            to_uint8(prediction),
            colour_error(np.nan_to_num(prediction), truth, ERROR_SCALE),
        ]
        write_png(self.folder / "images" / f"{stem}.png", images[1])
        captions = (stem, caption(scores), "")
        panel = [Tile(shrink_to_width(i, PANEL_WIDTH), c) for i, c in zip(images, captions, strict=True)]
        write_png(self.folder / "panels" / f"{stem}.png", draw_sheet([panel], headings=HEADINGS))
        if self._seen % self._stride == 0:
            self._keep([Tile(shrink_to_width(tile.image, SHEET_WIDTH), tile.caption) for tile in panel])
        self._seen += 1

    def finish(self) -> Path | None:
        """Write the contact sheet; None where no view came."""
        if not self._rows:
            return None
        chosen = np.linspace(0, len(self._rows) - 1, min(SHEET_ROWS, len(self._rows))).round().astype(int)
        path = self.folder / "contact_sheet.png"
        write_png(path, draw_sheet([self._rows[i] for i in chosen], headings=HEADINGS, title=self.title))
        return path

    def _keep(self, row: list[Tile]) -> None:
        # How many views will come is not known: when too many rows are held, every second one goes.
        self._rows.append(row)
        if len(self._rows) >= 4 * SHEET_ROWS:
            self._rows = self._rows[::2]
            self._stride *= 2


def caption(scores: Scores) -> str:
    """Write scores under a picture; what is not defined is left out."""
    units = {"psnr": ("", " dB", 2), "ssim": ("SSIM ", "", 3), "lpips": ("LPIPS ", "", 3)}
    known = (
        (units.get(name, (f"{name} ", "", 3)), value) for name, value in scores.items() if value is not None
    )
    return ", ".join(
        f"{before}{format_cell(value, digits)}{after}" for (before, after, digits), value in known
    )
