import numpy as np
import pytest
from memory_captures import make_capture, random_pictures

from sightline.evaluation.views import (
    background_for,
    counted_pixels,
    file_stems,
    safe_name,
    select_views,
    truth_picture,
)
from sightline.foundation.errors import InputError


def test_transparent_truth_is_composited_over_the_chosen_background():
    image = np.zeros((1, 2, 4), np.uint8)
    image[0, 0] = [255, 0, 0, 51]
    capture = make_capture([image])
    white = background_for(capture)
    assert (white.name, white.colour) == ("white", (1, 1, 1))
    assert np.allclose(truth_picture(capture, 0, white)[0], [[1, 0.8, 0.8], [1, 1, 1]])
    black = background_for(capture, "black")
    assert np.allclose(truth_picture(capture, 0, black)[0], [[0.2, 0, 0], [0, 0, 0]])
    assert background_for(capture, "#00ff00").colour == (0, 1, 0)


def test_a_painted_background_cannot_be_changed(caplog):
    capture = make_capture(random_pictures(1), background="black")
    assert background_for(capture).name == "black"
    assert caplog.text == ""
    assert background_for(capture, "white").colour == (0, 0, 0)
    assert "black painted in" in caplog.text
    assert background_for(make_capture(random_pictures(1))).name == "white"
    with pytest.raises(InputError, match="not a colour"):
        background_for(make_capture(random_pictures(1)), "mauve")


def test_views_of_a_split():
    capture = make_capture(random_pictures(6), splits={"train": (0, 2), "val": (), "test": (1, 3, 4, 5)})
    assert select_views(capture) == (1, 3, 4, 5)
    assert select_views(capture, "test", every=3) == (1, 5)
    assert select_views(capture, "train") == (0, 2)
    for split in ("val", "holdout"):
        with pytest.raises(InputError, match=r"train \(2\), test \(4\)"):
            select_views(capture, split)
    with pytest.raises(InputError, match="--every"):
        select_views(capture, "test", every=0)


def test_masks():
    mask = np.zeros((20, 24), np.uint8)
    mask[3, 4] = 255
    assert counted_pixels(make_capture(random_pictures(1)), 0) is None
    counted = counted_pixels(make_capture(random_pictures(1), masks=[mask]), 0)
    assert (~counted).nonzero().tolist() == [[3, 4]]


def test_file_stems():
    assert file_stems(["test/r_0.png", "test/r_1.v2.png"]) == ["r_0", "r_1.v2"]
    assert file_stems(["a/0.png", "b/0.png"]) == ["a_0", "b_0"]
    assert file_stems(["A/x.png", "a/X.png", "b/y.png"]) == ["A_x_0", "a_X_1", "b_y"]
    assert file_stems(["a/b.png", "a_b.png", "c/b.png"]) == ["a_b_0", "a_b_1", "c_b"]
    assert file_stems(["what?.png"]) == ["what_"]
    assert safe_name("chairs/../1a:b") == "chairs_.._1a_b"
