"""Sets of objects on disk: what is written, what readers make of it, and going on after an interruption."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from sightline.captures import Collection, open_capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.synthesis import production
from sightline.synthesis.camera_laws import nmr_ring, srn_spiral
from sightline.synthesis.layouts.nmr import unseen_lists
from sightline.synthesis.object_sets import LAYOUTS, make_objects

TINY = {
    "objects": 2,
    "val_objects": 1,
    "test_objects": 1,
    "views": 3,
    "test_views": 3,
    "size": 16,
    "samples": 1,
    "workers": 0,
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    return {
        layout: make_objects(root / layout.replace("-", "_"), layout=layout, seed=5, **TINY)  # type: ignore[arg-type]
        for layout in LAYOUTS
    }


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.array(opened)


def opened(folder: Path, **options) -> Collection:
    found = open_capture(folder, **options)
    assert isinstance(found, Collection)
    return found


def assert_poses(cameras: Cameras, poses: np.ndarray, focal: float) -> None:
    np.testing.assert_allclose(cameras.c2w.numpy(), poses, atol=1e-6)
    np.testing.assert_allclose(cameras.fx.numpy(), focal, rtol=1e-6)
    np.testing.assert_allclose(cameras.fy.numpy(), focal, rtol=1e-6)
    np.testing.assert_allclose(cameras.cx.numpy(), 8)


def assert_seen(cameras: Cameras, image: np.ndarray, index: int, half: float) -> None:
    """Whatever is not white lies where a ball of the object's size around the origin is seen."""
    rows, columns = np.nonzero((image[..., :3] < 250).any(axis=2))
    assert len(rows) > 3
    centre = -cameras.c2w[index, :, :3].T.numpy() @ cameras.c2w[index, :, 3].numpy()
    focal, reach = float(cameras.fx[index]), half / np.linalg.norm(centre)
    radius = focal * np.tan(np.arcsin(reach)) * 1.2 + 1
    middle = np.array([8 + focal * centre[0] / -centre[2], 8 - focal * centre[1] / -centre[2]])
    assert np.hypot(columns + 0.5 - middle[0], rows + 0.5 - middle[1]).max() <= radius


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_but_the_set_is_left(sets, layout):
    names = files(sets[layout])
    assert not [name for name in names if "partial" in name or name.endswith(".tmp")]
    settings = json.loads(names["synthesis.json"])
    assert (settings["layout"], settings["seed"], settings["size"]) == (layout, 5, 16)


@pytest.mark.parametrize("kind", ["rotation", "translation", "rototranslation"])
def test_sets_of_equivariant_neural_rendering(sets, kind):
    folder = sets[f"enr-{kind}"]
    names = files(folder)
    assert sum(name.endswith(".png") for name in names) == 4 * 3
    params = json.loads(names["train/chair-train-00000/render_params.json"])
    assert list(params) == ["00000", "00001", "00002"]
    assert set(params["00001"]) == {"azimuth", "elevation", "x", "y", "z"}
    assert set(params["00000"].values()) == {0.0}
    turned, shifted = (any(params["00001"][key] for key in keys) for keys in (("azimuth",), ("x", "y", "z")))
    assert (turned, shifted) == ("rot" in kind, "translation" in kind)
    image = picture(folder / "train/chair-train-00000/00000.png")
    assert image.shape == (16, 16, 4)
    assert (image[..., 3] == 255).all()
    assert (image[0] == 255).all()
    collection = opened(folder)
    assert collection.format == "enr"
    assert collection.categories == ("chairs",)
    assert {name: len(ids) for name, ids in collection.splits.items()} == {"train": 2, "val": 1, "test": 1}
    capture = collection["chair-train-00001"].open()
    assert capture.extras["angle_unit"] == "radians"
    assert capture.background == "white"
    np.testing.assert_allclose(capture.cameras.fx.numpy(), 16 * 35 / 32)
    for index in range(3):
        np.testing.assert_array_equal(
            capture.images[index][..., :3],
            picture(folder / f"train/chair-train-00001/{index:05d}.png")[..., :3],
        )
        assert_seen(capture.cameras, capture.images[index], index, 0.5)


def test_objects_of_one_seed_are_the_same_in_all_sets(sets):
    """At rest all three sets show one picture; what turns is the same whether it is shifted too or not."""
    first = [
        files(sets[f"enr-{kind}"])["train/chair-train-00000/00000.png"]
        for kind in ("rotation", "translation")
    ]
    assert first[0] == first[1]


def test_sets_of_scene_representation_networks(sets):
    folder = sets["srn"]
    names = files(folder)
    assert {name.split("/")[0] for name in names} == {
        *("chairs_train", "chairs_val", "chairs_test", "synthesis.json")
    }
    lines = names["chairs_test/chair-test-00000/intrinsics.txt"].decode().splitlines()
    assert lines == ["16.406250 8.000000 8.000000 0.", "0. 0. 0.", "1.", "16 16"]
    pose = np.array(names["chairs_test/chair-test-00000/pose/000001.txt"].split(), dtype=np.float64).reshape(
        4, 4
    )
    np.testing.assert_allclose(pose @ np.diag([1, -1, -1, 1]), [*srn_spiral(3, 2.0)[1], [0, 0, 0, 1]])
    assert picture(folder / "chairs_test/chair-test-00000/rgb/000000.png").shape == (16, 16, 3)
    collection = opened(folder)
    assert collection.format == "srn"
    assert {name: len(ids) for name, ids in collection.splits.items() if ids} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    (tested,) = collection.split("test")
    capture = tested.open()
    assert_poses(capture.cameras, srn_spiral(3, 2.0), 131.25 / 8)
    assert capture.near is not None
    assert capture.far is not None
    np.testing.assert_allclose([capture.near[0], capture.far[0]], [1.25, 2.75])
    for index in range(3):
        assert_seen(capture.cameras, capture.images[index], index, 0.5)


def test_other_categories_of_srn_are_seen_from_nearer(tmp_path):
    folder = make_objects(tmp_path / "set", layout="srn", categories=["vehicles"], **TINY)
    capture = opened(folder).split("test")[0].open()
    assert_poses(capture.cameras, srn_spiral(3, 1.3), 131.25 / 8)
    assert capture.near is not None
    assert capture.near[0] == pytest.approx(0.8)


def test_sets_of_the_neural_mesh_renderer(tmp_path):
    options = {**TINY, "objects": 7, "val_objects": 7, "test_objects": 7, "views": 2, "test_views": 2}
    folder = make_objects(tmp_path / "set", layout="nmr", **options)
    names = files(folder)
    synsets = {path.name for path in folder.iterdir() if path.is_dir()}
    assert len(synsets) == 7
    assert {"03001627", "02958343", "02691156"} <= synsets
    labels = json.loads(names["metadata.yaml"])
    assert labels["02691156"]["name"].split(",")[0] == "airplane"
    for split in ("train", "val", "test"):
        assert names[f"03001627/softras_{split}.lst"].decode() == f"chair-{split}-00000\n"
    assert names["03001627/gen_train.lst"] == names["03001627/softras_train.lst"]
    assert "03001627/gen_test.lst" not in names
    assert names["04379243/gen_test.lst"].decode() == "table-test-00000\n"  # the first of three
    assert "04379243/gen_train.lst" not in names
    place = "03001627/chair-train-00000"
    with np.load(folder / place / "cameras.npz") as arrays:
        assert sorted(arrays.files) == sorted(
            f"{kind}_{index}"
            for kind in ("world_mat", "world_mat_inv", "camera_mat", "camera_mat_inv")
            for index in range(2)
        )
        np.testing.assert_allclose(arrays["world_mat_1"] @ arrays["world_mat_inv_1"], np.eye(4), atol=1e-12)
        # The world has y up: the camera is above the ground plane by half of its distance.
        assert arrays["world_mat_inv_0"][1, 3] == pytest.approx(2.732 / 2)
    image, mask = picture(folder / place / "image/0000.png"), picture(folder / place / "mask/0000.png")
    assert image.shape == (16, 16, 3)
    assert set(np.unique(mask)) == {0, 255}
    assert (image[mask == 255] < 255).any(axis=1).mean() > 0.9
    collection = opened(folder)
    assert collection.format == "nmr"
    assert {name: len(ids) for name, ids in collection.splits.items()} == {"train": 7, "val": 7, "test": 7}
    entry = next(entry for entry in collection if entry.id.endswith("chair-train-00000"))
    capture = entry.open()
    to_y_up = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert_poses(capture.cameras, to_y_up @ nmr_ring(2), 8 * 2 * 0.5 / np.tan(np.radians(15)))
    np.testing.assert_array_equal(capture.images[0][..., :3], image)


def test_the_lists_of_unseen_categories():
    by_split = {"train": ["e", "a", "b"], "val": ["d"], "test": ["c", "f"]}
    assert unseen_lists("03001627", by_split) == {"gen_train": ["e", "a", "b"], "gen_val": ["d"]}
    assert unseen_lists("04379243", by_split) == {"gen_test": ["a", "e"]}


def test_sets_of_two_objects(sets):
    folder = sets["multi-object"]
    document = json.loads((folder / "train/chair-train-00000/transforms.json").read_bytes())
    assert document["camera_angle_x"] == pytest.approx(2 * np.arctan(18 / 50))
    assert [frame["file_path"] for frame in document["frames"]] == ["./view_000", "./view_001", "./view_002"]
    image = picture(folder / "train/chair-train-00000/view_000_obj.png")
    assert image.shape == (16, 16, 4)
    assert set(np.unique(image[..., 3])) >= {0, 255}
    collection = opened(folder)
    assert {name: len(ids) for name, ids in collection.splits.items()} == {"train": 2, "val": 1, "test": 1}
    entry = next(entry for entry in collection if entry.id.endswith("chair-train-00000"))
    capture = entry.open()
    matrices = np.array([frame["transform_matrix"] for frame in document["frames"]])
    assert_poses(capture.cameras, matrices[:, :3], 16 * 50 / 36)
    np.testing.assert_array_equal(capture.images[0], image)


def test_captures_of_objects(sets):
    folder = sets["blender"]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        *("chair-test-00000", "chair-train-00000", "chair-val-00000", "table-train-00000")
    ]
    capture = open_capture(folder / "chair-train-00000")
    assert not isinstance(capture, Collection)
    assert {name: len(ids) for name, ids in capture.splits.items()} == {"train": 3, "val": 0, "test": 3}
    centres = capture.cameras.c2w[:, :, 3].numpy()
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 4, atol=1e-9)
    for image in capture.images.load(range(6)):
        assert image[[0, -1], :, 3].max() == image[:, [0, -1], 3].max() == 0  # nothing is cut off
        assert image[..., 3].max() == 255


def test_an_interrupted_set_goes_on(sets, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    calls = []

    def stop_at_second(batch):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return shoot(batch)

    shoot = production.shoot
    monkeypatch.setattr(production, "shoot", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        make_objects(folder, layout="enr-rotation", seed=5, **TINY)
    monkeypatch.setattr(production, "shoot", shoot)
    assert [path.name for path in (folder / "train").iterdir()] == ["chair-train-00000"]
    kept = folder / "train/chair-train-00000/00001.png"
    kept.write_bytes(b"not made again")
    reports = []
    make_objects(
        folder,
        layout="enr-rotation",
        seed=5,
        **TINY,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert reports[:2] == [(0, 12), (3, 12)]
    assert reports[-1] == (12, 12)
    assert kept.read_bytes() == b"not made again"
    expected = files(sets["enr-rotation"])
    found = files(folder)
    assert found.keys() == expected.keys()
    different = [name for name in found if found[name] != expected[name]]
    assert different == ["train/chair-train-00000/00001.png"]


def test_a_part_of_an_object_is_kept_and_not_shown(sets, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(sets["enr-rotation"], folder)
    partial = folder / ".partial/test/chair-test-00000"
    partial.parent.mkdir(parents=True)
    (folder / "test/chair-test-00000").rename(partial)
    (partial / "00002.png").unlink()
    (partial / "render_params.json").unlink()
    reports = []
    make_objects(folder, layout="enr-rotation", seed=5, **TINY, progress=lambda done, _: reports.append(done))
    assert reports[-3:] == [9, 11, 12]
    assert files(folder) == files(sets["enr-rotation"])


def test_worker_processes_make_the_same_set(sets, tmp_path):
    folder = make_objects(tmp_path / "set", layout="enr-rotation", seed=5, **{**TINY, "workers": 1})
    assert files(folder) == files(sets["enr-rotation"])


def test_other_settings_are_refused_by_name(sets):
    with pytest.raises(InputError, match=r"other settings \(seed: 5 there, 6 now\).*synthesis\.json"):
        make_objects(sets["srn"], layout="srn", seed=6, **TINY)
    with pytest.raises(InputError, match=r"views: .*'train': 3.* there, .*'train': 4"):
        make_objects(sets["srn"], layout="srn", seed=5, **{**TINY, "views": 4})
    with pytest.raises(InputError, match="layout: srn there, nmr now"):
        make_objects(sets["srn"], layout="nmr", seed=5, **TINY)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"views": 0}, "--views is 0"),
        ({"test_views": 0}, "--test-views is 0"),
        ({"objects": 0}, "--objects is 0"),
        ({"val_objects": -1}, "--val-objects is -1"),
        ({"size": 4}, "--size is 4"),
        ({"samples": 0}, "--samples is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"layout": "enr"}, "no layout 'enr'.*enr-rotation"),
        ({"categories": ["chairs", "dogs"]}, "no category 'dogs'.*chairs, tables"),
        ({"renderer": "povray"}, "no renderer 'povray'"),
        ({"categories": ["chairs"], "meshes": "."}, "--categories"),
        ({"size": 8192, "views": 90_000}, r"may need \d+\.\d GB"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        make_objects(tmp_path / "set", **{**TINY, **setting})  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_folders_of_something_else_are_refused(tmp_path):
    (tmp_path / "holiday.txt").write_text("sun", encoding="utf-8")
    with pytest.raises(InputError, match="not empty and holds no synthetic set"):
        make_objects(tmp_path, **TINY)


@pytest.fixture
def mesh_folder(tmp_path) -> Path:
    folder = tmp_path / "cups"
    folder.mkdir()
    for index in range(6):
        trimesh.creation.box((1, 2, 1 + index)).export(folder / f"box{index}.ply")
    return folder


def test_meshes_are_shared_out(mesh_folder, tmp_path):
    options = {key: TINY[key] for key in ("views", "test_views", "size", "samples", "workers")}
    folder = make_objects(tmp_path / "set", layout="srn", meshes=mesh_folder, **options)
    collection = opened(folder)
    counts = {name: len(ids) for name, ids in collection.splits.items() if ids}
    assert counts == {"train": 4, "val": 1, "test": 1}
    assert (folder / "cups_train").is_dir()
    other = make_objects(tmp_path / "other", layout="srn", meshes=mesh_folder, seed=1, **options)
    assert sorted(files(other)) != sorted(files(folder))


def test_more_meshes_than_there_are_cannot_be_had(mesh_folder, tmp_path):
    with pytest.raises(
        InputError, match=r"There are 6 meshes, and 7 are asked for \(5 to train, 1 to val, 1 to test\)"
    ):
        make_objects(tmp_path / "set", meshes=mesh_folder, **{**TINY, "objects": 5})


@pytest.mark.parametrize("layout", ["enr-rotation", "multi-object"])
def test_broken_meshes_stop_the_work_or_are_left_out(mesh_folder, tmp_path, layout):
    (mesh_folder / "box3.ply").write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    options = {**TINY, "objects": 4, "layout": layout, "meshes": mesh_folder}
    with pytest.raises(InputError, match=r"box3\.ply"):
        make_objects(tmp_path / "set", **options)
    folder = make_objects(tmp_path / "set", skip_broken=True, **options)
    made = sorted(entry.id for entry in opened(folder))
    lost = {f"box{index}" for index in range(6)} - {name.split("/")[-1] for name in made}
    assert "box3" in lost
    assert len(lost) <= (1 if layout == "enr-rotation" else 2)
    assert not (folder / ".partial").exists()


def test_nothing_but_broken_meshes_is_an_error(tmp_path):
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes/one.obj").write_text("v 0 0 0\n", encoding="utf-8")
    options = {**TINY, "objects": 1, "val_objects": 0, "test_objects": 0}
    with pytest.raises(InputError, match="all broken"):
        make_objects(tmp_path / "set", meshes=tmp_path / "meshes", skip_broken=True, **options)
