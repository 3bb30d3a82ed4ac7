import json
import math
import pickle

import numpy as np
import pytest
from PIL import Image

from sightline.captures import Capture, Collection, detect_format, open_capture
from sightline.foundation.errors import InputError


def angles_of(count, unit="radians"):
    factor = 180 / math.pi if unit == "degrees" else 1
    return {f"{k:05d}": {"azimuth": factor * 0.7 * k, "elevation": factor * 0.1 * k} for k in range(count)}


@pytest.fixture
def enr_set(tmp_path):
    """Write objects: name of the folder below the set → entries of its parameter file."""

    def make(objects, size=8, facts=None, alpha=255):
        root = tmp_path / "things"
        for name, entries in objects.items():
            folder = root / name
            folder.mkdir(parents=True)
            for key in entries:
                if key.isdecimal():
                    pixels = np.full((size, size, 4), 200, np.uint8)
                    pixels[..., 3] = alpha
                    Image.fromarray(pixels).save(folder / f"{key}.png")
            (folder / "render_params.json").write_text(json.dumps(entries))
        if facts is not None:
            (root / "sightline.json").write_text(json.dumps(facts))
        return root

    return make


def test_a_set_is_a_collection(enr_set, warnings_seen):
    root = enr_set({"b": angles_of(9), "a": angles_of(9)}, facts={"angle_unit": "radians", "category": "cup"})
    (root / "notes.txt").write_text("a stray file")
    assert detect_format(root) == "enr"
    collection = open_capture(root)
    assert isinstance(collection, Collection)
    assert [entry.id for entry in collection] == ["a", "b"]
    assert collection.categories == ("cup",)
    assert collection.splits == {"train": ("a", "b"), "val": (), "test": ("a", "b")}
    capture = pickle.loads(pickle.dumps(collection["a"])).open()
    assert capture.image_names[:2] == ("a/00000.png", "a/00001.png")
    assert capture.splits == {"train": tuple(range(1, 8)), "val": (), "test": (0, 8)}
    assert capture.per_view["azimuth"].tolist() == [0.7 * k for k in range(9)]
    assert not capture.per_view["x"].any()
    assert capture.extras == {"angle_unit": "radians", "distance": 2.0, "upright": True}
    assert capture.background == "white"
    assert warnings_seen() == []


def test_cameras_look_at_the_shifted_middle(enr_set):
    entries = angles_of(4, "degrees")
    for entry, shift in zip(entries.values(), np.eye(4, 3) / 4, strict=True):
        entry |= dict(zip("xyz", shift.tolist(), strict=True))
    root = enr_set({"a": entries}, facts={"angle_unit": "degrees", "distance": 1.5, "focal": 2})
    capture = open_capture(root)["a"].open()
    targets = capture.cameras.centres + 1.5 * capture.cameras.forward
    # Towards the resting camera, down, to the right of its picture.
    wanted = np.array([[0, 0.25, 0], [0, 0, -0.25], [-0.25, 0, 0], [0, 0, 0]])
    assert np.abs(targets.numpy() - wanted).max() < 1e-12
    assert capture.cameras.fx.tolist() == pytest.approx([16] * 4)
    assert capture.cameras.centres[1, 2] == pytest.approx(1.5 * math.sin(0.1) - 0.25)


@pytest.mark.parametrize("unit", ["degrees", "radians"])
def test_the_unit_is_told_by_the_whole_set_with_a_warning(enr_set, warnings_seen, unit):
    root = enr_set({"a": angles_of(5, unit), "b": angles_of(9, unit)})
    capture = open_capture(root)["b"].open()
    assert capture.extras["angle_unit"] == unit
    assert capture.cameras.centres[3, 2] == pytest.approx(2 * math.sin(0.3))
    (warning,) = warnings_seen()
    assert "not stated" in warning
    assert f"taken as {unit}" in warning


def test_who_states_the_unit(enr_set, warnings_seen):
    stated = {**angles_of(3), "unit": "rad"}
    root = enr_set({"a": stated, "b": stated})
    assert open_capture(root)["a"].open().extras["angle_unit"] == "radians"
    assert warnings_seen() == []
    (root / "sightline.json").write_text('{"angle_unit": "deg"}')
    assert open_capture(root)["a"].open().extras["angle_unit"] == "degrees"
    assert "as if they were radians" in warnings_seen()[-1]
    # As the published networks misread it.
    wrong = open_capture(root, angle_unit="degrees")["a"].open()
    assert wrong.cameras.centres[2, 2] == pytest.approx(2 * math.sin(math.radians(0.2)))
    assert open_capture(root, angle_unit="radians")["a"].open().extras["angle_unit"] == "radians"


def test_unit_is_not_asked_for_where_nothing_turns(enr_set, warnings_seen):
    root = enr_set({"a": {f"{k:05d}": {"azimuth": 0, "elevation": 0, "z": 0.1 * k} for k in range(3)}})
    assert len(open_capture(root)["a"].open()) == 3
    assert warnings_seen() == []


def test_mixed_units_are_refused(enr_set):
    root = enr_set({"a": angles_of(9, "degrees"), "b": angles_of(9)})
    with pytest.raises(InputError, match=r"mixed: in 1 of 2 .*for example b"):
        open_capture(root)
    assert len(open_capture(root, angle_unit="degrees")) == 2
    with pytest.raises(InputError, match="said to be radians, but reach"):
        open_capture(root, angle_unit="radians")["a"].open()


def test_cameras_beyond_the_pole_stay_upright_or_turn_over(enr_set):
    entries = {"00000": {"azimuth": 0.1, "elevation": 2.5}, "00001": {"azimuth": 0, "elevation": 0}}
    root = enr_set({"a": entries}, facts={"angle_unit": "radians"})
    upright = open_capture(root)["a"].open().cameras.c2w
    (root / "sightline.json").write_text('{"angle_unit": "radians", "upright": false}')
    turned = open_capture(root)["a"].open().cameras.c2w
    assert turned[0, 2, 1] < 0 < upright[0, 2, 1]
    assert np.abs(turned[0, :, 2:] - upright[0, :, 2:]).max() == 0
    assert np.abs(turned[1] - upright[1]).max() == 0


def test_splits_by_folders(enr_set):
    names = ("train/a", "train/b", "val/b", "chairs_test/c")
    root = enr_set({name: angles_of(3) for name in names}, facts={"angle_unit": "radians"})
    collection = open_capture(root)
    assert collection.splits == {"train": ("a", "b"), "val": ("b",), "test": ("c",)}
    both = collection["b"].open()
    assert both.image_names == tuple(f"{split}/b/0000{k}.png" for split in ("train", "val") for k in range(3))
    assert both.splits == {"train": (0, 1, 2), "val": (3, 4, 5), "test": ()}
    assert open_capture(root / "chairs_test").splits["test"] == ("c",)
    undivided = open_capture(root, split_rule="holdout")
    assert undivided.splits["train"] == ("a", "b", "c")
    assert undivided["c"].open().splits == {"train": (1, 2), "val": (), "test": (0,)}


def test_one_object_alone(enr_set):
    root = enr_set({"train/a": angles_of(3, "degrees")}, facts={"angle_unit": "degrees", "distance": 3})
    capture = open_capture(root / "train" / "a")
    assert isinstance(capture, Capture)
    assert capture.image_names == ("00000.png", "00001.png", "00002.png")
    assert capture.cameras.centres.norm(dim=1).tolist() == pytest.approx([3, 3, 3])


def test_missing_and_further_entries_are_skipped_and_told(enr_set, warnings_seen):
    entries = {**angles_of(5), "patch_0": {"azimuth": 1, "elevation": 1, "epsilon": 0.05}}
    root = enr_set({"a": entries}, facts={"angle_unit": "radians", "made_by": "somebody"})
    changed = {**entries, "00099": entries["00004"], "00001": {"azimuth": 0.2}}
    del changed["00003"]
    (root / "a" / "render_params.json").write_text(json.dumps(changed))
    (root / "b").mkdir()
    Image.new("RGB", (8, 8)).save(root / "b" / "00000.png")
    capture = open_capture(root)["a"].open()
    assert capture.image_names == ("a/00000.png", "a/00002.png", "a/00004.png")
    assert capture.per_view["azimuth"].tolist() == [0, 1.4, 2.8]
    lacking, views = warnings_seen()
    assert "1 folders with pictures lack render_params.json and are skipped: b" in lacking
    assert (
        "2 of 5 pictures have no angles (1 of them have an entry that lacks an angle): 00001, 00003" in views
    )
    assert "1 of 4 entries have no picture: 00099" in views
    with pytest.raises(InputError, match="2 of 5 pictures have no angles"):
        open_capture(root, strict=True)["a"].open()


def test_sizes_that_differ_are_told(enr_set, warnings_seen):
    root = enr_set({"a": angles_of(3)}, facts={"angle_unit": "radians"})
    Image.new("RGB", (12, 10)).save(root / "a" / "00001.png")
    capture = open_capture(root)["a"].open()
    assert capture.images.sizes.tolist() == [[8, 8], [12, 10], [8, 8]]
    assert capture.cameras.fx.tolist() == pytest.approx([8.75, 13.125, 8.75])
    assert warnings_seen() == ["The views of a have 2 sizes: 8x8, 12x10."]


def test_transparent_pictures(enr_set):
    root = enr_set({"a": angles_of(3)}, facts={"angle_unit": "radians"}, alpha=100)
    assert open_capture(root)["a"].open().background == "alpha"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"00000": {"azimuth": "north", "elevation": 0}}, "'north' is not a finite number.*'00000', azimuth"),
        ({"00000": {"azimuth": 0, "elevation": 0, "x": float("nan")}}, "nan is not a finite number"),
        ({"00000": [1, 2]}, "does not hold names and values"),
        ({"00000": {}}, "None of the 1 pictures has its angles"),
    ],
)
def test_bad_entries(enr_set, entries, message):
    root = enr_set({"a": entries}, facts={"angle_unit": "degrees"})
    with pytest.raises(InputError, match=message):
        open_capture(root)["a"].open()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"angle_unit": "turns"}, "'turns' is no unit of angles"),
        ({"distance": 0}, "'distance' is 0, not a number above 0"),
        ({"upright": "yes"}, "'upright' is 'yes', not true or false"),
        ([1], "does not hold names and values"),
    ],
)
def test_bad_facts(enr_set, facts, message):
    with pytest.raises(InputError, match=message):
        open_capture(enr_set({"a": angles_of(2)}, facts=facts))


def test_several_sets_in_one_folder_are_refused(enr_set):
    root = enr_set({"chairs/a": angles_of(2), "cars/b": angles_of(2)})
    assert detect_format(root) == "enr"
    with pytest.raises(InputError, match="several sets: cars, chairs"):
        open_capture(root)


def test_published_sets(shared):
    root = shared / "data" / "enr_chairs"
    original = open_capture(root / "original")
    assert len(original) == 20
    capture = original.objects[0].open()
    assert len(capture) == 251
    assert capture.extras["angle_unit"] == "degrees"
    assert capture.cameras.fx[0] == pytest.approx(131.25)
    patches = open_capture(root / "rototranslation").objects[0].open()
    assert len(patches) == 175
    assert patches.per_view["z"].any()
    shifts = open_capture(root / "translation").objects[0].open()
    assert not shifts.per_view["azimuth"].any()
    looked_at = shifts.cameras.centres + 2 * shifts.cameras.forward
    assert looked_at[1].tolist() == pytest.approx(
        [-shifts.per_view["z"][1], shifts.per_view["x"][1], -shifts.per_view["y"][1]]
    )


@pytest.mark.parametrize("upright", [True, False])
def test_silhouettes_agree_with_upright_cameras_only(shared, tmp_path, upright):
    """A hull carved from half of the silhouettes of a chair, seen by the other cameras."""
    source = shared / "data" / "enr_chairs" / "rotation"
    folder = next(iter(sorted(source.iterdir())))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "sightline.json").write_text(
        json.dumps({"angle_unit": "radians", "upright": upright})
    )
    (tmp_path / "set" / folder.name).symlink_to(folder)
    capture = open_capture(tmp_path / "set")[folder.name].open()
    inside = [np.asarray(image)[..., :3].min(-1) < 250 for image in capture.images]
    grid = (np.arange(56) + 0.5) / 56 - 0.5
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3)

    def cells(view):
        import torch

        pixels, _ = capture.cameras.project(torch.from_numpy(points), view)
        return tuple(np.clip(pixels.numpy().astype(int), 0, 63).T[::-1])

    missed = sum((~inside[view][cells(view)]).astype(int) for view in range(0, 40, 2))
    hull = missed <= 1
    overlaps = []
    for view in range(1, 40, 2):
        seen = np.zeros((64, 64), bool)
        rows, columns = cells(view)
        seen[rows[hull], columns[hull]] = True
        overlaps.append((seen & inside[view]).sum() / (seen | inside[view]).sum())
    assert (np.mean(overlaps) > 0.8) == upright
