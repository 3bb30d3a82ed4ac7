import json

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import ImageStore, open_capture, writable_formats, write_capture
from sightline.foundation.errors import InputError, RunError
from sightline.geometry import LensModel

DISTORTION = (0.1, 0.02, 1e-3, 2e-3, 5e-3, 0.0, 0.0, 0.0)
RATIONAL = (0.1, 0.02, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 3e-3)
FISHEYE = (0.1, 0.02, 1e-3, 2e-3, 0.0, 0.0, 0.0, 0.0)


def by_stem(capture):
    """View indices in the order of their file names; writers keep those, orders may change."""
    return sorted(range(len(capture)), key=lambda index: capture.image_names[index].split("/")[-1])


def assert_equal(before, after, what=("cameras", "splits", "bounds", "points")):
    first, second = by_stem(before), by_stem(after)
    one, two = before.cameras[first], after.cameras[second]
    np.testing.assert_allclose(two.c2w, one.c2w, atol=1e-6)
    np.testing.assert_allclose(two.centres, one.centres, atol=1e-12)
    for name in ("fx", "fy", "cx", "cy", "distortion"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-12, atol=1e-12)
    for name in ("width", "height", "lens"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name))
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(after.images[right], before.images[left])
    if "splits" in what:
        for split, members in before.splits.items():
            assert {second.index(index) for index in after.splits[split]} == {
                first.index(index) for index in members
            }
    if "bounds" in what:
        np.testing.assert_allclose(after.near[second], before.near[first], rtol=1e-12)
        np.testing.assert_allclose(after.far[second], before.far[first], rtol=1e-12)
    if "points" in what:
        np.testing.assert_array_equal(after.points.positions, before.points.positions)
        np.testing.assert_array_equal(after.points.colours, before.points.colours)


@pytest.mark.parametrize(
    ("format", "lens", "distortion", "what"),
    [
        ("blender", LensModel.PINHOLE, (0.0,) * 8, ("splits", "bounds")),
        ("llff", LensModel.PINHOLE, (0.0,) * 8, ("bounds",)),
        ("transforms", LensModel.PINHOLE, (0.0,) * 8, ("splits", "bounds", "points")),
        ("transforms", LensModel.OPENCV, DISTORTION, ("splits", "bounds", "points")),
        ("transforms", LensModel.OPENCV_FISHEYE, FISHEYE, ("splits", "bounds", "points")),
        ("colmap", LensModel.PINHOLE, (0.0,) * 8, ("splits", "points")),
        ("colmap", LensModel.OPENCV, DISTORTION, ("splits", "points")),
        ("colmap", LensModel.OPENCV, RATIONAL, ("splits", "points")),
        ("colmap-text", LensModel.OPENCV, RATIONAL, ("splits", "points")),
        ("colmap", LensModel.OPENCV_FISHEYE, FISHEYE, ("splits", "points")),
        ("colmap-text", LensModel.OPENCV_FISHEYE, FISHEYE, ("splits", "points")),
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_written_is_read_again(capture_in_memory, tmp_path, format, lens, distortion, what, channels):
    capture = capture_in_memory(lens=lens, distortion=distortion, channels=channels)
    write_capture(capture, tmp_path / "out", format)
    again = open_capture(tmp_path / "out")
    assert again.format == format.removesuffix("-text")
    assert again.background == ("alpha" if channels == 4 else "photo")
    assert_equal(capture, again, what)


def test_lenses_that_differ_from_view_to_view(capture_in_memory, tmp_path):
    one = capture_in_memory(lens=LensModel.OPENCV, distortion=DISTORTION)
    two = capture_in_memory(lens=LensModel.OPENCV_FISHEYE, distortion=FISHEYE, off_centre=1.5)
    cameras = one.cameras.concatenate([one.cameras[:3], two.cameras[3:]])
    capture = capture_in_memory(cameras=cameras)
    for format in ("transforms", "colmap"):
        write_capture(capture, tmp_path / format, format)
        assert_equal(capture, open_capture(tmp_path / format), ("splits", "points"))


@pytest.mark.parametrize("format", ["blender", "llff"])
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"lens": LensModel.OPENCV, "distortion": DISTORTION}, "lens distortion"),
        ({"lens": LensModel.OPENCV_FISHEYE}, "lens distortion"),
        ({"off_centre": 0.5}, "principal point"),
    ],
)
def test_pinhole_formats_refuse_other_lenses(capture_in_memory, tmp_path, format, changes, what):
    with pytest.raises(InputError, match=rf"cannot hold .*{what}.*6 of 6.*Write transforms or colmap"):
        write_capture(capture_in_memory(**changes), tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_transforms_refuses_rational_distortion(capture_in_memory, tmp_path):
    capture = capture_in_memory(lens=LensModel.OPENCV, distortion=RATIONAL)
    with pytest.raises(InputError, match=r"k4, k5, k6.*Write colmap"):
        write_capture(capture, tmp_path / "out", "transforms")


def test_fox_through_two_formats(shared, tmp_path):
    fox = open_capture(shared / "data" / "fox", downscale=8).subset(range(9))
    with pytest.raises(InputError, match="lens distortion"):
        write_capture(fox, tmp_path / "blender", "blender")
    write_capture(fox, tmp_path / "colmap", "colmap")
    colmap = open_capture(tmp_path / "colmap")
    assert_equal(fox, colmap, ("splits",))
    write_capture(colmap, tmp_path / "transforms", "transforms")
    assert_equal(fox, open_capture(tmp_path / "transforms"), ("splits",))


def test_lego_to_llff_guesses_bounds(shared, tmp_path, warnings_seen):
    lego = open_capture(shared / "data" / "nerf_synthetic_lego_400").subset(range(0, 100, 20))
    write_capture(lego, tmp_path / "out", "llff")
    again = open_capture(tmp_path / "out")
    assert_equal(lego, again, ())
    # Lego's cameras look at the origin from a distance of 4.03.
    np.testing.assert_allclose(again.near, 2.0155, rtol=1e-3)
    np.testing.assert_allclose(again.far, 6.0466, rtol=1e-3)
    assert any("guessed" in warning for warning in warnings_seen())


def test_llff_takes_bounds_from_points(capture_in_memory, tmp_path):
    capture = capture_in_memory(near=None, far=None)
    write_capture(capture, tmp_path / "out", "llff")
    again = open_capture(tmp_path / "out")
    _, depth = capture.cameras.project(torch.from_numpy(capture.points.positions), 2)
    assert again.near[2] == pytest.approx(float(depth.min()), rel=1e-2)
    assert again.far[2] == pytest.approx(float(depth.max()), rel=1e-2)


def test_files_are_copied_and_shrunk_ones_become_png(transforms_scene, tmp_path):
    folder = transforms_scene(3, suffix=".jpg")
    write_capture(open_capture(folder), tmp_path / "whole", "transforms")
    copied = tmp_path / "whole" / "images" / "001.jpg"
    assert copied.read_bytes() == (folder / "images" / "001.jpg").read_bytes()
    half = open_capture(folder, downscale=2)
    write_capture(half, tmp_path / "half", "transforms")
    assert sorted(file.name for file in (tmp_path / "half" / "images").iterdir()) == [
        "000.png",
        "001.png",
        "002.png",
    ]
    assert_equal(half, open_capture(tmp_path / "half"), ("splits",))


def test_masks_and_extras_survive_in_transforms(capture_in_memory, tmp_path):
    masks = [np.zeros((12, 16), np.uint8) for _ in range(6)]
    masks[2][3:5, 1:9] = 255
    extras = {"aabb_scale": 4}
    box = np.array([[-1.0, -1, -1], [1, 1, 2]])
    capture = capture_in_memory(
        masks=ImageStore.from_arrays(masks), extras=extras, box=box, background="white"
    )
    write_capture(capture, tmp_path / "out", "transforms")
    again = open_capture(tmp_path / "out")
    for index in range(6):
        np.testing.assert_array_equal(again.masks[index], masks[index])
    assert again.extras == extras
    assert again.background == "white"
    np.testing.assert_array_equal(again.box, box)
    np.testing.assert_array_equal(again.per_view["sharpness"], capture.per_view["sharpness"])


def test_what_is_lost_is_said_once(capture_in_memory, tmp_path, warnings_seen):
    capture = capture_in_memory(masks=ImageStore.from_arrays([np.zeros((12, 16), np.uint8)] * 6))
    write_capture(capture, tmp_path / "llff", "llff")
    assert len(warnings_seen()) == 1
    for word in ("masks", "points", "splits"):
        assert word in warnings_seen()[0]


def test_a_capture_that_holds_nothing_out_stays_so(capture_in_memory, tmp_path):
    capture = capture_in_memory(splits={"train": tuple(range(6)), "val": (), "test": ()})
    for format in ("blender", "transforms", "colmap"):
        write_capture(capture, tmp_path / format, format)
        assert open_capture(tmp_path / format).splits == capture.splits


def test_equal_file_names_of_different_folders_stay_apart(capture_in_memory, tmp_path):
    names = ("a/1.png", "b/1.png", "a/2.png", "b/2.png", "c/1.png", "c/2.png")
    capture = capture_in_memory(image_names=names)
    write_capture(capture, tmp_path / "out", "transforms")
    again = open_capture(tmp_path / "out")
    assert again.image_names[:3] == ("images/a_1.png", "images/a_2.png", "images/b_1.png")
    np.testing.assert_array_equal(again.images[2], capture.images[1])


def test_blender_stores_a_view_of_two_splits_once(capture_in_memory, tmp_path):
    capture = capture_in_memory(splits={"train": (2, 3, 4, 5), "val": (0, 1), "test": (0, 1)})
    write_capture(capture, tmp_path / "out", "blender")
    data = json.loads((tmp_path / "out" / "transforms_test.json").read_text(encoding="utf-8"))
    assert [frame["file_path"] for frame in data["frames"]] == ["./val/000", "./val/001"]
    assert open_capture(tmp_path / "out").splits == {"train": (0, 1, 2, 3), "val": (4, 5), "test": (4, 5)}


def test_blender_refuses_several_fields_of_view(capture_in_memory, tmp_path):
    cameras = capture_in_memory().cameras
    cameras = type(cameras).create(cameras.c2w, [20.0, 20, 20, 20, 20, 21], width=16, height=12)
    with pytest.raises(InputError, match=r"one field of view.*differ by up to 1 pixels"):
        write_capture(capture_in_memory(cameras=cameras), tmp_path / "out", "blender")


def test_output_folders_must_be_new(capture_in_memory, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        write_capture(capture_in_memory(), tmp_path, "transforms")
    with pytest.raises(InputError, match=r"no format 'obj'.*multi-object, transforms, shiny, llff, colmap"):
        write_capture(capture_in_memory(), tmp_path / "out", "obj")


def test_formats_that_can_be_written():
    assert writable_formats()[:5] == ("blender", "transforms", "llff", "colmap", "colmap-text")


def test_a_damaged_image_stops_the_writer(transforms_scene, tmp_path):
    folder = transforms_scene(3)
    path = folder / "images" / "001.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"001\.png"):
        write_capture(open_capture(folder, downscale=2), tmp_path / "out", "colmap")
    assert [entry.name for entry in tmp_path.iterdir()] == ["scene"]  # nothing half-written stays


def test_a_place_that_cannot_be_written(capture_in_memory, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="Cannot write the capture"):
        write_capture(capture_in_memory(), tmp_path / "file" / "out", "transforms")
