import subprocess
import sys

import numpy as np
import pytest

from sightline.captures import Points
from sightline.foundation.errors import InputError


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, sightline.captures as c; "
        "assert not {'torch', 'numpy', 'cv2', 'matplotlib'} & set(sys.modules); "
        "assert all(name in c.__all__ for name in c._PUBLIC); [getattr(c, name) for name in c.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_subset_keeps_rows_together(capture_in_memory):
    capture = capture_in_memory()
    part = capture.subset([4, 0, 2])
    assert part.image_names == ("images/004.png", "images/000.png", "images/002.png")
    assert part.splits == {"train": (0, 2), "val": (), "test": (1,)}
    np.testing.assert_array_equal(part.cameras.c2w, capture.cameras.c2w[[4, 0, 2]])
    np.testing.assert_array_equal(part.images[1], capture.images[0])
    np.testing.assert_array_equal(part.near, capture.near[[4, 0, 2]])
    np.testing.assert_array_equal(part.per_view["sharpness"], [4, 0, 2])
    with pytest.raises(IndexError):
        capture.subset([6])


def test_one_view_and_one_split(capture_in_memory):
    capture = capture_in_memory()
    assert capture.view(-1).image_names == ("images/005.png",)
    assert capture.split("train").image_names == capture.image_names[2:]
    with pytest.raises(InputError, match=r"'extra'.*train \(4\), val \(1\), test \(1\)"):
        capture.split("extra")


def test_parts_of_different_length_are_refused(capture_in_memory):
    with pytest.raises(ValueError, match="6 cameras but 2 of near"):
        capture_in_memory(near=np.ones(2))
    with pytest.raises(ValueError, match="'test' names views outside"):
        capture_in_memory(splits={"train": (), "val": (), "test": (6,)})


def test_points_are_subsampled_evenly():
    points = Points(np.arange(30.0).reshape(10, 3), np.zeros((10, 3), np.uint8))
    np.testing.assert_array_equal(points.subsampled(4).positions[:, 0], [0, 9, 18, 27])
    assert points.subsampled(10) is points
    with pytest.raises(ValueError, match="points of shape"):
        Points(np.zeros((2, 3)), np.zeros((3, 3), np.uint8))
