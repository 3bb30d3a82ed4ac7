import json
import shutil

import numpy as np
import pytest

from sightline.captures import CaptureRecord, Points, capture_to_json, open_capture
from sightline.foundation.errors import InputError


def test_a_record_survives_json(capture_in_memory):
    capture = capture_in_memory(per_view={"sharpness": np.array([1, np.nan, 3, 4, 5, 6.0])})
    text = json.dumps(capture_to_json(capture, with_thumbnails=8), allow_nan=False)
    again = CaptureRecord.from_json(json.loads(text)).as_capture()
    for name in ("c2w", "fx", "cy", "distortion", "width", "lens"):
        np.testing.assert_array_equal(getattr(again.cameras, name), getattr(capture.cameras, name))
    assert again.splits == capture.splits
    assert again.image_names == capture.image_names
    assert (again.name, again.background, again.format) == ("made", "photo", "memory")
    np.testing.assert_array_equal(again.near, capture.near)
    np.testing.assert_array_equal(again.points.positions, capture.points.positions)
    np.testing.assert_array_equal(again.points.colours, capture.points.colours)
    np.testing.assert_array_equal(again.per_view["sharpness"], capture.per_view["sharpness"])
    np.testing.assert_array_equal(again.images.sizes, capture.images.sizes)


def test_images_are_absent_from_a_record(capture_in_memory):
    capture = CaptureRecord.from_capture(capture_in_memory()).as_capture()
    with pytest.raises(InputError, match=r"only its record is here.*--data"):
        capture.images[0]
    with pytest.raises(InputError, match="only its record is here"):
        capture.split("test").images[0]


@pytest.mark.parametrize("channels", [3, 4])
def test_thumbnails_keep_the_shape(capture_in_memory, channels):
    record = CaptureRecord.from_capture(capture_in_memory(channels=channels), with_thumbnails=8)
    again = CaptureRecord.from_json(json.loads(json.dumps(record.to_json())))
    thumbnail = again.thumbnail(3)
    assert thumbnail.shape == (6, 8, channels)
    assert thumbnail[0, 7, 0] > 200 > 60 > thumbnail[0, 0, 0]  # bright on the right, as the picture
    assert CaptureRecord.from_capture(capture_in_memory()).thumbnail(3) is None


def test_points_are_thinned(capture_in_memory):
    many = Points(np.zeros((30_000, 3)), np.zeros((30_000, 3), np.uint8))
    record = CaptureRecord.from_capture(capture_in_memory(points=many))
    assert len(record.points) == 10_000


def test_the_data_is_opened_again_as_it_was(transforms_scene, tmp_path):
    folder = transforms_scene(5)
    capture = open_capture(folder, downscale=2, holdout=2)
    record = CaptureRecord.from_json(capture_to_json(capture))
    again = record.reopen()
    assert again.splits == capture.splits
    np.testing.assert_array_equal(again.images[4], capture.images[4])
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    with pytest.raises(InputError, match="no such folder"):
        record.reopen()
    assert record.reopen(moved).images.sizes.tolist() == [[8, 6]] * 5


def test_newer_and_damaged_records(capture_in_memory):
    data = capture_to_json(capture_in_memory())
    with pytest.raises(InputError, match=r"schema 99.*capture\.json.*newer version"):
        CaptureRecord.from_json(data | {"schema": 99}, where="capture.json")
    for broken in ({}, data | {"cameras": None}, data | {"splits": 3}, data | {"points": [1]}):
        with pytest.raises(InputError):
            CaptureRecord.from_json(broken, where="capture.json")
