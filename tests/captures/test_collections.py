"""Readers of collections: what is found where, and what is said of data that is not as it should be."""

import json
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import open_capture, write_capture
from sightline.captures.formats.dtu import TRAINING_SCANS, VALIDATION_SCANS
from sightline.captures.formats.nmr import read_object
from sightline.captures.frames import ReadOptions
from sightline.foundation.errors import InputError
from sightline.geometry.poses import look_at

SIDE = 8
OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def pose(number: int, distance: float = 2.0) -> np.ndarray:
    """Camera to world (4, 4), axes x right, y up, z backward."""
    eye = torch.tensor([np.cos(number), np.sin(number), 0.5], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    matrix = look_at(distance * eye / eye.norm(), torch.zeros(3, dtype=torch.float64), up).numpy()
    return np.vstack([matrix[:3], [0, 0, 0, 1]])


def save_picture(file: Path, number: int, size: tuple[int, int] = (SIDE, SIDE), mode: str = "RGB") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (10 * number, 50, 90, 255)[: len(mode)]).save(file)


def make_srn(folder: Path, views: int = 3, distance: float = 2.0) -> Path:
    (folder / "pose").mkdir(parents=True)
    for number in range(views):
        save_picture(folder / "rgb" / f"{number:06d}.png", number)
        text = " ".join(map(str, (pose(number, distance) @ OPENCV).reshape(-1)))
        (folder / "pose" / f"{number:06d}.txt").write_text(text)
    (folder / "intrinsics.txt").write_text("9. 4. 4. 0.\n0. 0. 0.\n1.\n8 8\n")
    return folder


def make_nmr(folder: Path, views: int = 3, masks: bool = True) -> Path:
    matrices = {}
    for number in range(views):
        save_picture(folder / "image" / f"{number:04d}.png", number)
        if masks:
            save_picture(folder / "mask" / f"{number:04d}.png", number)
        matrices[f"world_mat_{number}"] = np.linalg.inv(pose(number) @ OPENCV)
        matrices[f"camera_mat_{number}"] = np.diag([2.25, 2.25, 1, 1])
    np.savez(folder / "cameras.npz", **matrices)
    return folder


def make_dtu(folder: Path, views: int = 8) -> Path:
    matrices = {}
    intrinsics = np.array([[9.0, 0, 4, 0], [0, 10, 5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    scale = np.diag([300.0, 300, 300, 1])
    scale[:3, 3] = 40, -20, 620
    for number in range(views):
        save_picture(folder / "image" / f"{number:06d}.png", number)
        metric = pose(number)
        metric[:3, 3] = 300 * metric[:3, 3] + [40, -20, 620]
        # A projection is known up to a factor, which may be negative.
        matrices[f"world_mat_{number}"] = intrinsics @ np.linalg.inv(metric @ OPENCV)
        matrices[f"world_mat_{number}"][:3] *= -2.5
        matrices[f"scale_mat_{number}"] = scale
    np.savez(folder / "cameras.npz", **matrices)
    return folder


def make_scene(folder: Path, views: int = 3) -> Path:
    for number in range(views):
        save_picture(folder / f"view_{number:03d}_obj.png", number, mode="RGBA")
    frames = [
        {"file_path": f"D:\\renders\\view_{number:03d}", "transform_matrix": pose(number, 6.0).tolist()}
        for number in range(views)
    ]
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.9, "frames": frames}))
    return folder


def poses_of(capture) -> np.ndarray:
    return capture.cameras.c2w.numpy()[:, :3]


def test_every_layout_gives_the_same_cameras(tmp_path):
    expected = np.stack([pose(number)[:3] for number in range(3)])
    made = {
        "srn": make_srn(tmp_path / "cars_test" / "a"),
        "nmr": make_nmr(tmp_path / "nmr" / "03001627" / "a"),
        "dtu": make_dtu(tmp_path / "DTU" / "scan8", 3),
    }
    for format, folder in made.items():
        capture = open_capture(folder)
        assert (capture.format, capture.name, len(capture)) == (format, folder.name, 3)
        np.testing.assert_allclose(poses_of(capture), expected, atol=1e-9)
        assert [int(image[0, 0, 0]) for image in capture.images] == [0, 10, 20]
    scene = open_capture(make_scene(tmp_path / "train" / "kind" / "a"))
    np.testing.assert_allclose(poses_of(scene), np.stack([pose(n, 6.0)[:3] for n in range(3)]), atol=1e-9)
    assert (scene.format, scene.background) == ("multi-object", "alpha")


def test_intrinsics_are_in_pixels(tmp_path):
    srn = open_capture(make_srn(tmp_path / "cars_test" / "a")).cameras
    assert [float(value[0]) for value in (srn.fx, srn.fy, srn.cx, srn.cy)] == [9, 9, 4, 4]
    nmr = open_capture(make_nmr(tmp_path / "nmr" / "03001627" / "a")).cameras
    assert [float(value[0]) for value in (nmr.fx, nmr.fy, nmr.cx, nmr.cy)] == [9, 9, 4, 4]
    dtu = open_capture(make_dtu(tmp_path / "DTU" / "scan8"), downscale=2).cameras
    assert [round(float(value[0]), 6) for value in (dtu.fx, dtu.fy, dtu.cx, dtu.cy)] == [4.5, 5, 2, 2.5]


def test_splits_of_srn_folders(tmp_path):
    make_srn(tmp_path / "set" / "chairs_train" / "chairs_2.0_train" / "a")
    make_srn(tmp_path / "set" / "chairs_test" / "b")
    make_srn(tmp_path / "set" / "chairs_test" / "c")
    collection = open_capture(tmp_path / "set")
    assert dict(collection.splits) == {"train": ("a",), "val": (), "test": ("b", "c")}
    assert (collection.name, collection.categories) == ("chairs", ("chairs",))
    assert len(open_capture(tmp_path / "set" / "chairs_train")) == 1
    # The same name in two splits, and a second set beside it.
    make_srn(tmp_path / "set" / "chairs_test" / "a")
    assert open_capture(tmp_path / "set").splits["test"] == ("test/a", "b", "c")
    make_srn(tmp_path / "set" / "cars_test" / "d")
    assert open_capture(tmp_path / "set").splits["test"] == (
        "cars/d",
        "chairs/test/a",
        "chairs/b",
        "chairs/c",
    )


@pytest.mark.parametrize(
    ("name", "distance", "expected"),
    [("chairs", 2.0, (1.25, 2.75)), ("cars", 1.3, (0.8, 1.8)), ("cars", 4.0, (2.5, 5.5))],
)
def test_near_and_far_of_srn(tmp_path, name, distance, expected):
    make_srn(tmp_path / f"{name}_test" / "a", distance=distance)
    capture = open_capture(tmp_path)["a"].open()
    np.testing.assert_allclose([capture.near[0], capture.far[0]], expected)


def test_an_object_can_be_moved_and_opened_again(tmp_path):
    make_srn(tmp_path / "cars_test" / "a")
    entry = open_capture(tmp_path, downscale=2, holdout=0).objects[0]
    capture = pickle.loads(pickle.dumps(entry)).open()
    again = open_capture(capture.path, format=capture.format, **capture.options)
    assert capture.images[0].shape == again.images[0].shape == (4, 4, 3)
    assert capture.splits == again.splits == {"train": (0, 1, 2), "val": (), "test": ()}


def test_broken_srn_objects(tmp_path, warnings_seen):
    make_srn(tmp_path / "cars_test" / "good")
    bad = {name: make_srn(tmp_path / "cars_test" / name) for name in ("a", "b", "c", "d", "e", "f", "g")}
    shutil.rmtree(bad["a"] / "pose")
    shutil.rmtree(bad["b"] / "rgb")
    (bad["c"] / "pose" / "000001.txt").unlink()
    (bad["d"] / "pose" / "000001.txt").write_text("1 2 3")
    (bad["e"] / "rgb" / "000001.png").write_bytes(b"not a picture")
    save_picture(bad["f"] / "rgb" / "000001.png", 1, (16, 8))
    (bad["g"] / "intrinsics.txt").write_text("9. 4.\n")
    collection = open_capture(tmp_path)
    assert len(collection) == 8
    assert len(collection["good"].open()) == 3
    for name, message in {
        "a": r"no poses.*cars_test/a/pose",
        "b": r"no pictures.*cars_test/b/rgb",
        "d": r"16 numbers, the file holds 3.*000001\.txt",
        "g": r"Line 1 of the intrinsics should hold 3 numbers or more, it holds 2.*intrinsics\.txt",
    }.items():
        with pytest.raises(InputError, match=message):
            collection[name].open()
    assert collection["c"].open().image_names == ("rgb/000000.png", "rgb/000002.png")
    assert "3 pictures and 2 poses; the 2 whose names agree are used" in warnings_seen()[-1]
    with pytest.raises(InputError, match="3 pictures and 2 poses"):
        open_capture(tmp_path, strict=True)["c"].open()
    for name, message in {
        "e": r"cannot be decoded.*000001\.png",
        "f": r"16x8 pixels, the first one.*8x8",
    }.items():
        capture = collection[name].open()
        assert capture.images[0].shape == (SIDE, SIDE, 3)
        with pytest.raises(InputError, match=message):
            capture.images[1]


def test_nmr_views_go_by_their_numbers(tmp_path, warnings_seen):
    folder = make_nmr(tmp_path / "set" / "03001627" / "a", views=4)
    (folder / "image" / "0001.png").unlink()
    (folder / "mask" / "0002.png").unlink()
    capture = open_capture(folder)
    np.testing.assert_allclose(poses_of(capture), np.stack([pose(n)[:3] for n in (0, 2, 3)]), atol=1e-9)
    assert "3 pictures and 4 poses" in warnings_seen()[0]
    assert [bool(mask.any()) for mask in capture.silhouettes] == [True, False, True]
    with pytest.raises(InputError, match="3 pictures and 4 poses"):
        open_capture(folder, strict=True)
    assert open_capture(make_nmr(tmp_path / "set" / "03001627" / "b", masks=False)).silhouettes is None


def test_nmr_lists_and_their_gaps(tmp_path, warnings_seen):
    for category, name in (("02691156", "a"), ("03001627", "b"), ("04379243", "c"), ("04379243", "d")):
        make_nmr(tmp_path / category / name)
    (tmp_path / "03001627" / "empty" / "image").mkdir(parents=True)
    empty = open_capture(tmp_path)["03001627/empty"]
    with pytest.raises(InputError, match="no poses"):
        empty.open()
    shutil.rmtree(tmp_path / "03001627" / "empty")
    held_out = open_capture(tmp_path, holdout=2)
    assert "no lists softras_train.lst" in warnings_seen()[-1]
    assert held_out.splits["test"] == ("02691156/a", "04379243/c")
    assert held_out.categories == ("airplane", "chair", "table")
    for category, text in {"02691156": "a\n", "03001627": "b\ngone\n", "04379243": "c\nd\n"}.items():
        (tmp_path / category / "softras_train.lst").write_text(text)
        (tmp_path / category / "softras_test.lst").write_text(text.replace("gone\n", ""))
    collection = open_capture(tmp_path)
    assert collection.splits["train"] == ("02691156/a", "03001627/b", "04379243/c", "04379243/d")
    assert "1 of 9 listed objects have no folder (gone)" in warnings_seen()[-1]
    with pytest.raises(InputError, match="1 of 9 listed objects"):
        open_capture(tmp_path, strict=True)
    unseen = open_capture(tmp_path, format="nmr-unseen")
    assert (unseen.splits["train"], unseen.splits["test"]) == (("02691156/a", "03001627/b"), ("04379243/c",))
    assert open_capture(tmp_path, format="nmr-unseen").format == "nmr-unseen"


def test_damaged_matrices(tmp_path):
    folder = make_nmr(tmp_path / "set" / "03001627" / "a")
    good = dict(np.load(folder / "cameras.npz"))
    for change, message in (
        ({"world_mat_1": np.full((4, 4), np.nan)}, r"NaN.*world_mat_1"),
        ({"world_mat_1": np.eye(3)}, r"3x4 or 4x4, its shape is \(3, 3\).*world_mat_1"),
        ({"world_mat_1": np.diag([2.0, 2, 2, 1])}, r"not a rotation.*world_mat_1"),
        ({"camera_mat_2": np.array([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])}, r"skewed.*camera_mat_2"),
    ):
        np.savez(folder / "cameras.npz", **{**good, **change})
        with pytest.raises(InputError, match=message):
            open_capture(folder)
    (folder / "cameras.npz").write_bytes((folder / "cameras.npz").read_bytes()[:200])
    with pytest.raises(InputError, match=r"cannot be read.*cameras\.npz"):
        read_object(folder, ReadOptions())


def test_dtu_scans_without_lists_follow_the_published_ones(tmp_path):
    for name in ("scan8", "scan3", "scan110", "scan1", "scan24"):
        make_dtu(tmp_path / "rs" / "DTU" / name)
    collection = open_capture(tmp_path / "rs")
    assert [entry.id for entry in collection] == ["scan1", "scan3", "scan8", "scan24", "scan110"]
    assert dict(collection.splits) == {
        "train": ("scan3", "scan24"),
        "val": ("scan8", "scan110"),
        "test": ("scan8", "scan110"),
    }
    capture = collection["scan8"].open()
    assert capture.per_view["overexposed"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert (capture.near[0], capture.far[0]) == (0.1, 5.0)
    assert (len(TRAINING_SCANS), len(VALIDATION_SCANS)) == (88, 15)
    assert not set(TRAINING_SCANS) & set(VALIDATION_SCANS)


def test_scenes_with_missing_pictures(tmp_path, warnings_seen):
    folder = make_scene(tmp_path / "set" / "test" / "two" / "b")
    make_scene(tmp_path / "set" / "val" / "one")
    (folder / "view_001_obj.png").unlink()
    collection = open_capture(tmp_path / "set")
    assert dict(collection.splits) == {"train": (), "val": ("one",), "test": ("two/b",)}
    assert [entry.category for entry in collection] == ["set", "two"]
    assert len(collection["two/b"].open()) == 2
    assert "1 of 3 listed pictures do not exist, such as view_001_obj.png" in warnings_seen()[-1]
    with pytest.raises(InputError, match="1 of 3 listed pictures"):
        open_capture(tmp_path / "set", strict=True)["two/b"].open()
    (folder / "transforms.json").write_text(json.dumps({"frames": []}))
    with pytest.raises(InputError, match=r"camera_angle_x is None.*transforms\.json"):
        collection["two/b"].open()


def test_an_object_can_be_written_as_srn(tmp_path):
    scene = open_capture(make_scene(tmp_path / "train" / "a"))
    write_capture(scene, tmp_path / "own_test" / "a", "srn")
    (entry,) = open_capture(tmp_path / "own_test").split("test")
    again = entry.open()
    np.testing.assert_allclose(poses_of(again), poses_of(scene), atol=1e-12)
    np.testing.assert_allclose(again.cameras.fx.numpy(), scene.cameras.fx.numpy())
    np.testing.assert_array_equal(again.images[1], scene.images[1][..., :3])


def test_thousands_of_objects_open_without_reading_them(tmp_path):
    first = make_srn(tmp_path / "cars_train" / "000000", views=1)
    text = (first / "intrinsics.txt").read_text()
    for number in range(1, 2000):
        folder = tmp_path / "cars_train" / f"{number:06d}"
        folder.mkdir()
        (folder / "intrinsics.txt").write_text(text)
    started = time.perf_counter()
    collection = open_capture(tmp_path)
    assert time.perf_counter() - started < 2
    assert len(collection) == 2000
    with pytest.raises(InputError, match=r"no pictures.*000017"):
        collection["000017"].open()
