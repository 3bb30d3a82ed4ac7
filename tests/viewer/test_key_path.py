"""Key cameras, and the paths that are saved of them."""

import math

import numpy as np
import pytest

from sightline.foundation.errors import InputError
from sightline.geometry.trajectories import frames_per_second, from_file
from sightline.viewer.key_path import Key, KeyPath


def key(x: float, fov: float = 0.8) -> Key:
    pose = np.eye(4)[:3].copy()
    pose[0, 3] = x
    return Key(pose, fov)


def places(path: KeyPath) -> list[float]:
    return [float(entry.c2w[0, 3]) for entry in path.keys]


def test_keys_are_added_moved_exchanged_and_removed():
    path = KeyPath().add(key(0)).add(key(1)).add(key(3))
    assert places(path.add(key(2), 1)) == [0, 1, 2, 3]
    assert places(path.move(0, 1)) == [1, 0, 3]
    assert places(path.move(0, -1)) == [0, 1, 3]
    assert places(path.exchange(1, key(9))) == [0, 9, 3]
    assert places(path.remove(1)) == [0, 3]


def test_the_path_goes_through_its_keys_and_their_fields_of_view():
    path = KeyPath((key(0, 0.6), key(2, 1.2)), seconds=1.0, fps=5, size=(64, 48))
    cameras = path.cameras()
    assert len(cameras) == path.frames == 5
    assert np.allclose(cameras.centres[:, 0].numpy(), [0, 0.5, 1, 1.5, 2], atol=1e-3)
    fov = 2 * np.arctan(24 / cameras.fy.numpy())
    assert np.allclose(fov[[0, -1]], [0.6, 1.2], atol=1e-6)
    # Focal lengths change by even factors.
    assert np.allclose(np.diff(np.log(cameras.fy.numpy()), 2), 0, atol=1e-3)


def test_a_loop_comes_back():
    path = KeyPath((key(0), key(1), key(2)), seconds=1.0, fps=12, loop=True)
    gaps = np.diff(path.cameras().centres[:, 0].numpy(), append=0.0)
    assert abs(gaps[-1]) == pytest.approx(abs(gaps[0]), rel=0.2)


def test_duration_follows_the_number_of_keys_until_it_is_chosen():
    path = KeyPath((key(0), key(1), key(2)))
    assert (path.duration, path.frames) == (4.0, 120)
    assert KeyPath((key(0), key(1)), seconds=1.5).frames == 45


def test_what_is_saved_is_what_is_read(tmp_path):
    path = KeyPath((key(0, 0.6), key(1, 0.9), key(1.5, 0.7)), seconds=2.0, fps=24, size=(320, 180))
    saved = path.save(tmp_path / "paths", "round the corner")
    assert saved == tmp_path / "paths" / "round the corner.json"
    read, made = from_file(saved), path.cameras()
    assert (read.c2w == made.c2w).all()
    assert (read.fx == made.fx).all()
    assert (read.fy == made.fy).all()
    assert (int(read.width[0]), int(read.height[0]), len(read)) == (320, 180, 48)
    assert frames_per_second(saved) == 24
    assert math.isclose(float(read.cx[0]), 160)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../up", "C:x", ".hidden"])
def test_names_stay_in_the_folder(tmp_path, name):
    path = KeyPath((key(0), key(1)))
    with pytest.raises(InputError, match="name of a file"):
        path.save(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_one_key_is_no_path(tmp_path):
    with pytest.raises(InputError, match="two key cameras"):
        KeyPath((key(0),)).save(tmp_path, "path")
