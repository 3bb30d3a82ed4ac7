import numpy as np
import pytest

from sightline.media.panels import Tile, cut_row, draw_sheet, shrink_to_width

RED = np.tile(np.array([255, 0, 0], np.uint8), (20, 30, 1))
BLUE = np.tile(np.array([0, 0, 255], np.uint8), (10, 40, 1))


def positions(sheet, colour):
    rows, columns = np.nonzero((sheet == colour).all(-1))
    return rows.min(), columns.min(), len(rows)


def test_tiles_stand_whole_in_rows_and_columns():
    sheet = draw_sheet([[Tile(RED), Tile(BLUE)], [Tile(BLUE)]])
    assert sheet.shape == (6 + 20 + 6 + 10 + 6, 6 + 40 + 6 + 40 + 6, 3)
    assert np.array_equal(sheet[6:26, 6:36], RED)
    assert np.array_equal(sheet[6:16, 52:92], BLUE)
    assert np.array_equal(sheet[32:42, 6:46], BLUE)
    rest = sheet.copy()
    rest[6:26, 6:36] = rest[6:16, 52:92] = rest[32:42, 6:46] = 255
    assert np.all(rest == 255)


def test_texts_take_room_and_leave_ink_outside_the_pictures():
    plain = draw_sheet([[Tile(RED)]])
    labelled = draw_sheet([[Tile(RED, "25.1 dB")]], headings=["truth"], title="fox")
    assert labelled.shape[0] == plain.shape[0] + 3 * 18
    top, left, count = positions(labelled, (255, 0, 0))
    assert (top, left, count) == (42, 6, 600)
    ink = (labelled < 100).all(-1)
    assert ink[:24].any()
    assert ink[24:42].any()
    assert ink[62:80].any()


@pytest.mark.parametrize("text", ["w" * 300, "ψ 深度 é", "two\nlines"])
def test_any_text_stays_inside_its_column(text):
    sheet = draw_sheet([[Tile(RED, text), Tile(BLUE)]], headings=[text, text], title=text)
    assert sheet.shape[1] == 6 + 30 + 6 + 40 + 6
    gaps = [sheet[18:, :5], sheet[18:, -5:]]
    assert all(np.all(gap == 255) for gap in gaps)


def test_shrinking_averages_areas():
    checks = np.indices((40, 40)).sum(0) % 2 * 255
    image = np.repeat(checks[..., None], 3, -1).astype(np.uint8)
    small = shrink_to_width(image, 20)
    assert small.shape == (20, 20, 3)
    assert np.all(np.abs(small.astype(int) - 127.5) < 1)
    assert shrink_to_width(image, 40) is image
    assert shrink_to_width(np.zeros((1, 100, 3), np.uint8), 10).shape == (1, 10, 3)


def test_an_empty_sheet_is_refused():
    for rows in ([], [[]]):
        with pytest.raises(ValueError, match="at least one"):
            draw_sheet(rows)


def test_pictures_are_taken_out_of_a_row_again():
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (30, 140, 3), dtype=np.uint8) for _ in range(4)]
    sheet = draw_sheet([[Tile(picture, "caption") for picture in pictures]], headings=["a", "b", "c", "d"])
    found = cut_row(sheet, (30, 140))
    assert found is not None
    assert all(np.array_equal(a, b) for a, b in zip(found, pictures, strict=True))
    assert cut_row(sheet, (30, 139)) is None
    assert cut_row(sheet, (300, 140)) is None
