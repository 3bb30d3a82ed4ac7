"""Shiny scenes: LLFF's poses with a lens of their own."""

import numpy as np
import pytest
from PIL import Image

from sightline.captures import open_capture
from sightline.foundation.errors import InputError

LENS = [24.0, 32.0, 40.0, 42.0, 15.0, 13.0]


@pytest.fixture
def shiny_scene(tmp_path):
    """A folder of four views; the camera of row i is at (i, 0, 5) and looks along -z with y up."""

    def make(lens=LENS, columns=14, folders=(("images", 1),)):
        matrix = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 5]], dtype=float)
        rows = []
        for index in range(4):
            matrix[0, 3] = index
            rows.append([*matrix.reshape(-1), 1.0 + index, 10.0 + index][:columns])
        np.save(tmp_path / "poses_bounds.npy", np.array(rows))
        np.save(tmp_path / "hwf_cxcy.npy", np.array(lens)[:, None])
        for folder, factor in folders:
            (tmp_path / folder).mkdir()
            for index in range(4):
                pixels = np.full((24 // factor, 32 // factor, 3), 10 * index, np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
        return tmp_path

    return make


def test_rows_and_the_lens_by_hand(shiny_scene):
    capture = open_capture(shiny_scene(), holdout=2)
    assert (capture.format, capture.background) == ("shiny", "photo")
    np.testing.assert_array_equal(capture.cameras.c2w[2], [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 5]])
    for name, value in (("fx", 40), ("fy", 42), ("cx", 15), ("cy", 13)):
        np.testing.assert_array_equal(getattr(capture.cameras, name), [value] * 4)
    np.testing.assert_array_equal(capture.near, [1, 2, 3, 4])
    np.testing.assert_array_equal(capture.far, [10, 11, 12, 13])
    assert capture.splits == {"train": (1, 3), "val": (), "test": (0, 2)}


def test_smaller_copies_are_used(shiny_scene):
    capture = open_capture(shiny_scene(folders=(("images", 1), ("images_4", 4))), downscale=4)
    assert capture.image_names[0] == "images_4/0.png"
    cameras = capture.cameras
    lens = [float(value[0]) for value in (cameras.fx, cameras.fy, cameras.cx, cameras.cy)]
    assert lens == [10, 10.5, 3.75, 3.25]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": 13}, "14 numbers per image"),
        ({"lens": LENS[:5]}, "six numbers"),
        ({"lens": [24.0, 32.0, 0.0, 42.0, 15.0, 13.0]}, "above 0"),
        ({"lens": [24.0, 32.0, 40.0, 42.0, float("nan"), 13.0]}, "six numbers"),
    ],
)
def test_broken_files_are_refused(shiny_scene, changes, message):
    with pytest.raises(InputError, match=message):
        open_capture(shiny_scene(**changes))
