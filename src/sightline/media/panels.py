"""Panels and contact sheets: labelled rows of pictures in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_PAPER = (255, 255, 255)
_INK = (32, 32, 32)
_GAP = 6
_ELLIPSIS = "..."


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet with the caption under it."""

    image: UInt8[np.ndarray, "height width 3"]
    caption: str = ""


def shrink_to_width(
    image: UInt8[np.ndarray, "height width 3"], width: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Make a picture at most `width` wide by averaging areas; proportions and smaller pictures stay."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def draw_sheet(
    rows: Sequence[Sequence[Tile]],
    *,
    headings: Sequence[str] = (),
    title: str = "",
    font_size: int = 13,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw rows of pictures with captions, column headings and a title on white paper.

    Columns are as wide as their widest picture, rows as high as their highest; text that does not fit is cut.

    Args:
        rows: at least one tile; rows may have different lengths.
        headings: a text over each column.
        font_size: height of the letters, pixels.
    """
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("a sheet needs at least one picture")
    font = ImageFont.load_default(font_size)
    line = font_size + 5
    widths = [max(row[i].image.shape[1] for row in rows if i < len(row)) for i in range(columns)]
    heights = [_row_height(row, line) for row in rows]
    top = _GAP + (line if title else 0) + (line if headings else 0)
    size = (sum(widths) + _GAP * (columns + 1), top + sum(heights) + _GAP * len(rows))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        _write(draw, (_GAP, _GAP // 2), title, size[0] - 2 * _GAP, font)
    lefts = [_GAP + sum(widths[:i]) + _GAP * i for i in range(columns)]
    for left, width, heading in zip(lefts, widths, headings, strict=False):
        _write(draw, (left, top - line), heading, width, font)
    for row, height in zip(rows, heights, strict=True):
        for left, width, tile in zip(lefts, widths, row, strict=False):
            sheet.paste(Image.fromarray(tile.image), (left, top))
            _write(draw, (left, top + tile.image.shape[0] + 1), tile.caption, width, font)
        top += height + _GAP
    return np.array(sheet)


def cut_row(
    sheet: UInt8[np.ndarray, "height width 3"],
    tile: tuple[int, int],
    *,
    font_size: int = 13,
) -> list[UInt8[np.ndarray, "tile_height tile_width 3"]] | None:
    """Take the pictures out of a sheet of one row with headings and no title, all of one size.

    Args:
        tile: their height and width.

    Returns:
        The pictures from left to right; None where the sheet has no place for pictures of that size.
    """
    height, width = tile
    count, rest = divmod(sheet.shape[1] - _GAP, width + _GAP)
    top = _GAP + font_size + 5
    if rest or count < 1 or sheet.shape[0] < top + height:
        return None
    lefts = [_GAP + (width + _GAP) * k for k in range(count)]
    return [sheet[top : top + height, left : left + width] for left in lefts]


def _row_height(row: Sequence[Tile], line: int) -> int:
    return max((tile.image.shape[0] + (line if tile.caption else 0) for tile in row), default=0)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, width: int, font: Any) -> None:
    text = " ".join(text.split())
    if isinstance(font, ImageFont.ImageFont):
        # Pillow without FreeType has a bitmap font of Latin-1 letters only.
        text = text.encode("latin-1", "replace").decode("latin-1")
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(text + _ELLIPSIS, font=font) > width:
            text = text[:-1]
        text = text.rstrip() + _ELLIPSIS
    draw.text(place, text, fill=_INK, font=font)
