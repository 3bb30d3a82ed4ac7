import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sightline.captures import require_training_views
from sightline.captures.checks import check_pose, resolve_inside, size_ratio
from sightline.foundation.errors import InputError

GOOD = np.array([[0.0, 0, 1, 5], [1, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])


def test_good_poses_pass_unchanged():
    np.testing.assert_array_equal(check_pose(GOOD.tolist(), "here"), GOOD[:3])
    np.testing.assert_array_equal(check_pose(GOOD[:3], "here"), GOOD[:3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m * [[np.nan, 1, 1, 1]], "NaN"),
        (lambda m: m + np.array([0, 0, 0, np.inf]), "infinite"),
        (lambda m: m * [[-1, 1, 1, 1]], "mirrored"),
        (lambda m: m * [[2, 2, 2, 1]], "not a rotation"),
        (lambda m: m + np.array([0, 0.02, 0, 0]), "not a rotation"),
        (lambda m: m[:2], "shape"),
        (lambda m: [["a"]], "not a matrix of numbers"),
    ],
)
def test_bad_poses_name_the_frame(change, message):
    with pytest.raises(InputError, match=f"{message}.*frame 7"):
        check_pose(change(GOOD), "frame 7")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("images/1.png", "images/1.png"),
        ("./images//1.png", "images/1.png"),
        ("images\\deep\\1.png", "images/deep/1.png"),
        ("images/../1.png", "1.png"),
    ],
)
def test_paths_inside(tmp_path, text, name):
    assert resolve_inside(tmp_path, text, "here") == (name, tmp_path / name)


def test_absolute_paths_inside_are_fine(tmp_path):
    assert resolve_inside(tmp_path, str(tmp_path / "a.png"), "here") == ("a.png", tmp_path / "a.png")


def test_the_data_folder_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_inside(Path("data"), "a/b.png", "here") == ("a/b.png", Path("data/a/b.png"))
    assert resolve_inside(Path("."), "a/b.png", "here") == ("a/b.png", Path("a/b.png"))
    assert resolve_inside(Path("data"), str(tmp_path / "data/c.png"), "here") == ("c.png", Path("data/c.png"))
    with pytest.raises(InputError, match="leads out"):
        resolve_inside(Path("."), "../b.png", "here")


@pytest.mark.parametrize(
    "text", ["../secret.png", "images/../../secret.png", "..\\secret.png", "/etc/secret", "."]
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"leads out.*frames\[3\]"):
        resolve_inside(tmp_path, text, "frames[3]")


@pytest.mark.skipif(os.name == "nt", reason="drives exist there")
def test_drives_are_refused_where_there_are_none(tmp_path):
    with pytest.raises(InputError, match="leads out"):
        resolve_inside(tmp_path, "C:\\photos\\1.png", "here")


@pytest.mark.parametrize("value", [None, "", "  ", 3])
def test_paths_that_are_no_text(tmp_path, value):
    with pytest.raises(InputError, match="missing or not a text"):
        resolve_inside(tmp_path, value, "here")


@pytest.mark.parametrize(
    ("stated", "actual", "ratio"),
    [
        ((800, 600), (800, 600), Fraction(1)),
        ((800, 600), (400, 300), Fraction(1, 2)),
        ((400, 300), (800, 600), Fraction(2)),
    ],
)
def test_whole_factors_between_sizes(stated, actual, ratio):
    assert size_ratio(stated, actual, "here") == ratio


@pytest.mark.parametrize("actual", [(600, 800), (801, 600), (400, 301), (600, 450)])
def test_other_sizes_are_refused_with_both(actual):
    with pytest.raises(InputError, match=f"{actual[0]}x{actual[1]}.*800x600.*1.png"):
        size_ratio((800, 600), actual, "1.png")


def test_training_needs_two_views(capture_in_memory):
    require_training_views(capture_in_memory(4))
    with pytest.raises(InputError, match=r"1 training views of 3.*--holdout 0"):
        require_training_views(capture_in_memory(3))
    with pytest.raises(InputError, match=r"0 training views of 1.*more photos"):
        require_training_views(capture_in_memory(2).view(0))
