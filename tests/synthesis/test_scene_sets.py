"""Rooms and table tops as captures."""

import json

import numpy as np
import pytest

from sightline.captures import Collection, open_capture
from sightline.foundation.errors import InputError
from sightline.synthesis.interiors import Room, TableTop
from sightline.synthesis.layouts.llff import depth_bounds, surface_points
from sightline.synthesis.mitsuba_renderer import View
from sightline.synthesis.object_recipes import bounds
from sightline.synthesis.scene_sets import make_scenes

TINY = {"size": 24, "samples": 1, "workers": 0}


def read(folder):
    capture = open_capture(folder)
    assert not isinstance(capture, Collection)
    return capture


def test_one_scene_is_the_folder_itself(tmp_path):
    folder = make_scenes(tmp_path / "room", views=3, test_views=1, **TINY)
    capture = read(folder)
    assert capture.format == "blender"
    assert capture.background == "alpha"
    assert {name: len(ids) for name, ids in capture.splits.items()} == {"train": 3, "val": 0, "test": 1}
    document = json.loads((folder / "transforms_train.json").read_bytes())
    matrices = np.array([frame["transform_matrix"] for frame in document["frames"]])
    np.testing.assert_allclose(capture.cameras.c2w[:3].numpy(), matrices[:, :3], atol=1e-9)
    for image in capture.images.load(range(4)):
        assert image.shape == (24, 24, 4)
        assert 0.1 < (image[..., 3] > 127).mean() < 0.9


def test_going_on_makes_what_is_missing_of_one_scene(tmp_path):
    folder = make_scenes(tmp_path / "room", views=3, test_views=1, **TINY)
    before = (folder / "train/001.png").read_bytes()
    (folder / "train/001.png").unlink()
    (folder / "transforms_train.json").unlink()
    (folder / "train/000.png").write_bytes(b"kept")
    make_scenes(folder, views=3, test_views=1, **TINY)
    assert (folder / "train/001.png").read_bytes() == before
    assert (folder / "train/000.png").read_bytes() == b"kept"
    assert (folder / "transforms_train.json").is_file()


def test_forward_facing_scenes(tmp_path):
    folder = make_scenes(tmp_path / "set", layout="llff", scenes=2, views=6, size=32, samples=1, workers=0)
    assert sorted(path.name for path in folder.iterdir()) == ["room-0000", "synthesis.json", "table-0001"]
    for name in ("room-0000", "table-0001"):
        capture = read(folder / name)
        assert capture.format == "llff"
        assert len(capture) == 6
        rows = np.load(folder / name / "poses_bounds.npy").reshape(6, 17)
        assert rows.dtype == np.float64
        stored = rows[:, :15].reshape(6, 3, 5)
        # Axes are (down, right, backward) in the file, and right, up, backward in cameras.
        down, right, backward, centre, lens = np.moveaxis(stored, 2, 0)
        cameras = capture.cameras
        np.testing.assert_allclose(
            cameras.c2w.numpy(), np.stack([right, -down, backward, centre], 2), atol=1e-9
        )
        np.testing.assert_allclose(lens, [[24, 32, 0.5 * 32 / np.tan(np.radians(30))]] * 6)
        np.testing.assert_allclose(cameras.fx.numpy(), lens[:, 2])
        assert capture.near is not None
        assert capture.far is not None
        assert (capture.near > 0.2).all()
        assert (capture.far > capture.near).all()
        image = capture.images[0]
        assert image.shape == (24, 32, 3)
        assert (image < 255).any(axis=2).mean() > 0.9  # a scene fills its pictures, up to blinding light


def test_bounds_enclose_the_depths_of_what_is_seen():
    points = np.array([[0, 0, -2.0], [0, 0, -5.0], [9, 0, -5.0], [0, 3.0, -5.0], [0, 0, 4.0]])
    view = View(c2w=np.eye(4)[:3], angle_x=np.pi / 2, width=40, height=20, samples=1)
    # The third point is too far aside, the fourth above the lower picture, the last behind.
    assert depth_bounds(points, view) == pytest.approx((0.95 * 2, 1.05 * 5))


@pytest.mark.parametrize("recipe", [Room(seed=3, closed=True), TableTop(seed=3, wall=True)])
def test_surface_points_lie_in_the_scene(recipe):
    scene = recipe.build()
    points = surface_points(scene)
    low, high = scene.bounds
    assert (points >= low - 1e-4).all()
    assert (points <= high + 1e-4).all()
    np.testing.assert_allclose([points.min(0), points.max(0)], [low, high], atol=1e-4)


@pytest.mark.parametrize("kind", [Room, TableTop])
def test_scenes_fit_their_box(kind):
    for seed in range(4):
        scene = kind(seed=seed, diagonal=2.6).build()
        low, high = bounds(scene.parts)
        assert np.linalg.norm(high - low) == pytest.approx(2.6, abs=1e-4)
        np.testing.assert_allclose(low + high, 0, atol=1e-4)


def test_things_on_a_table_stand_on_it():
    for seed in range(6):
        scene = TableTop(seed=seed).build()
        table = next(part for part in scene.parts if part.name == "table").mesh.bounds
        names = {part.name for part in scene.parts}
        assert len(names) > 6
        low, high = bounds([part for part in scene.parts if part.name not in ("table", "cloth")])
        assert low[2] >= -1e-3
        assert (low[:2] >= table[0, :2] - 0.03).all()
        assert (high[:2] <= table[1, :2] + 0.03).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scenes": 0}, "--scenes is 0"),
        ({"views": 0}, "--views is 0"),
        ({"layout": "llff", "views": 1}, "--views is 1"),
        ({"layout": "llff", "test_views": 3}, "--test-views is 3"),
        ({"samples": 0}, "--samples is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        make_scenes(tmp_path / "set", **{**TINY, **setting})
    assert not (tmp_path / "set").exists()
