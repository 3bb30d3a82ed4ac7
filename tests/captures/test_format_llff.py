import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.geometry.published_paths import nerf_pl_circle, nerf_pl_spiral
from sightline.geometry.treatments import capture_layout, depth_range, recentre_and_scale, spherify


@pytest.fixture
def llff_scene(tmp_path):
    """A folder of four views: row i states the focal length 40 + i at 32x24; its camera is at (i, 0, 5)."""

    def make(folders=(("images", 1),), names=("1.png", "10.png", "11.png", "2.png"), edit=lambda rows: rows):
        rows = []
        for index in range(4):
            # Camera axes (down, right, backward) of a camera that looks along -z with y up.
            matrix = np.array(
                [[0, 1, 0, index, 24], [-1, 0, 0, 0, 32], [0, 0, 1, 5, 40 + index]], dtype=float
            )
            rows.append([*matrix.reshape(-1), 1.0 + index, 10.0 + index])
        np.save(tmp_path / "poses_bounds.npy", edit(np.array(rows)))
        for folder, factor in folders:
            (tmp_path / folder).mkdir()
            for index, name in enumerate(names):
                pixels = np.full((24 // factor, 32 // factor, 3), 10 * index, np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name)
        return tmp_path

    return make


def test_rows_by_hand(llff_scene):
    capture = open_capture(llff_scene(), holdout=2)
    assert (capture.format, capture.background) == ("llff", "photo")
    np.testing.assert_array_equal(capture.cameras.c2w[2], [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 5]])
    np.testing.assert_array_equal(capture.cameras.fx, [40, 41, 42, 43])
    np.testing.assert_array_equal(capture.cameras.cx, [16] * 4)
    np.testing.assert_array_equal(capture.cameras.cy, [12] * 4)
    np.testing.assert_array_equal(capture.near, [1, 2, 3, 4])
    np.testing.assert_array_equal(capture.far, [10, 11, 12, 13])
    assert capture.splits == {"train": (1, 3), "val": (), "test": (0, 2)}


def test_rows_belong_to_names_in_lexicographic_order(llff_scene):
    capture = open_capture(llff_scene())
    assert capture.image_names == ("images/1.png", "images/10.png", "images/11.png", "images/2.png")
    assert [int(image[0, 0, 0]) for image in capture.images] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("folders", "downscale", "used", "size", "warned"),
    [
        ((("images", 1), ("images_4", 4)), 1, "images", (32, 24), False),
        ((("images", 1), ("images_4", 4)), 4, "images_4", (8, 6), False),
        ((("images", 1), ("images_4", 4)), 8, "images", (4, 3), False),
        ((("images_4", 4),), 8, "images_4", (4, 3), False),
        ((("images_4", 4),), 1, "images_4", (8, 6), True),
        ((("images_2", 2), ("images_4", 4)), 3, "images_2", (11, 8), False),
        ((("images", 1), ("images_8x6", 4)), 4, "images_8x6", (8, 6), False),
        ((("images", 1), ("images_4", 4), ("images_8x6", 4)), 4, "images_4", (8, 6), False),
        ((("images_16x12", 2), ("images_20x12", 2)), 4, "images_16x12", (8, 6), False),
    ],
)
def test_choice_of_image_folder(llff_scene, warnings_seen, folders, downscale, used, size, warned):
    capture = open_capture(llff_scene(folders), downscale=downscale)
    assert {name.split("/")[0] for name in capture.image_names} == {used}
    np.testing.assert_array_equal(capture.images.sizes, [size] * 4)
    assert capture.images[3].shape == (size[1], size[0], 3)
    np.testing.assert_allclose(capture.cameras.fx[0], 40 * size[0] / 32)
    np.testing.assert_allclose(capture.cameras.fy[0], 40 * size[1] / 24)
    assert [warning.startswith("Only images smaller by 4") for warning in warnings_seen()] == [True] * warned


def test_reduced_images_in_the_full_size_folder(llff_scene, warnings_seen):
    capture = open_capture(llff_scene((("images", 2),)))
    np.testing.assert_array_equal(capture.images.sizes, [[16, 12]] * 4)
    np.testing.assert_allclose(capture.cameras.fx[0], 20)
    assert "stated for 32x24" in warnings_seen()[0]


def test_sizes_of_reduced_images_may_be_rounded(llff_scene):
    def edit(rows):
        rows[:, [4, 9]] = [25, 33]  # divided by 4 and rounded down, as image tools do
        return rows

    capture = open_capture(llff_scene((("images_4", 4),), edit=edit), downscale=4)
    np.testing.assert_array_equal(capture.images.sizes, [[8, 6]] * 4)
    np.testing.assert_allclose(capture.cameras.fx[0], 40 * 8 / 33)
    np.testing.assert_allclose(capture.cameras.fy[0], 40 * 6 / 25)


def test_images_of_another_size_are_refused(llff_scene):
    # Stated are 32x27 pixels, so images_4 should hold 8x6 or 8x7.
    folder = llff_scene((("images_4", 3),), edit=lambda rows: np.where(rows == 24, 27, rows))
    with pytest.raises(InputError, match=r"10x8 pixels.*32x27.*images_4/1\.png"):
        open_capture(folder, downscale=4)


def test_counts_that_differ_are_refused(llff_scene):
    folder = llff_scene()
    (folder / "images" / "11.png").unlink()
    with pytest.raises(InputError, match="4 rows, but there are 3 images"):
        open_capture(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows[:, :16], r"17 numbers per image, its shape is \(4, 16\)"),
        (lambda rows: np.where(rows == 43, np.nan, rows), r"row 3 \(2\.png\)"),
        (lambda rows: rows * np.where(np.arange(17) % 5 == 0, -1, 1), "mirrored"),
    ],
)
def test_bad_rows(llff_scene, edit, message):
    with pytest.raises(InputError, match=message):
        open_capture(llff_scene(edit=edit))


def test_damaged_arrays(llff_scene):
    folder = llff_scene()
    content = (folder / "poses_bounds.npy").read_bytes()
    for broken in (content[:100], content[:-50], b"", b"text"):
        (folder / "poses_bounds.npy").write_bytes(broken)
        with pytest.raises(InputError, match=r"poses_bounds\.npy"):
            open_capture(folder)


def test_arrays_of_objects_are_not_executed(llff_scene):
    folder = llff_scene()
    np.save(folder / "poses_bounds.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="Object arrays"):
        open_capture(folder)


def test_no_image_folder(llff_scene):
    folder = llff_scene()
    shutil.rmtree(folder / "images")
    with pytest.raises(InputError, match=r"no folder with the images.*images_4"):
        open_capture(folder)


def test_the_file_alone_gives_cameras(llff_scene, warnings_seen):
    folder = llff_scene()
    whole = open_capture(folder, downscale=2)
    shutil.rmtree(folder / "images")
    capture = open_capture(folder / "poses_bounds.npy", downscale=2)
    assert capture.cameras.to_json() == whole.cameras.to_json()
    assert capture.splits == whole.splits
    assert capture.near is not None
    np.testing.assert_array_equal(capture.near, [1, 2, 3, 4])
    np.testing.assert_array_equal(capture.images.sizes, [[16, 12]] * 4)
    assert any("enough for camera paths and not for training" in text for text in warnings_seen())
    with pytest.raises(InputError, match="images of this capture are needed"):
        capture.split("train").images[0]


def test_the_file_beside_images_opens_them(llff_scene):
    folder = llff_scene()
    assert open_capture(folder / "poses_bounds.npy").images[3][0, 0, 0] == 30


@pytest.mark.parametrize(
    ("options", "used"),
    [({}, "images_4"), ({"resize_rule": "lanczos"}, "images"), ({"resize_rule": "area"}, "images")],
)
def test_a_resize_rule_is_for_full_size_images(llff_scene, options, used):
    capture = open_capture(llff_scene((("images", 1), ("images_4", 4))), downscale=4, **options)
    assert {name.split("/")[0] for name in capture.image_names} == {used}
    np.testing.assert_array_equal(capture.images.sizes, [(8, 6)] * 4)


def test_a_folder_with_a_model_too_opens_as_llff_unless_told(shared):
    bird = shared / "data" / "llff_bird"
    assert open_capture(bird).format == "llff"
    colmap = open_capture(bird, format="colmap")
    assert colmap.format == "colmap"
    assert colmap.points is not None


def test_fern(shared):
    capture = open_capture(shared / "data" / "llff_fern_504", downscale=8)
    np.testing.assert_array_equal(capture.images.sizes, [[504, 378]] * 20)
    assert capture.splits["test"] == (0, 8, 16)
    np.testing.assert_allclose(capture.cameras.fx, 3260.52633 / 8, rtol=1e-8)
    assert capture.near is not None
    assert capture.near[0] == pytest.approx(17.7470875)


def test_fern_with_the_central_view_for_validation(shared):
    capture = open_capture(shared / "data" / "llff_fern_504", downscale=8, split_rule="central")
    assert capture.splits["val"] == (12,)
    assert capture.splits["test"] == (0, 8, 17)


def test_bird_agrees_with_its_colmap_model(shared):
    llff = open_capture(shared / "data" / "llff_bird", format="llff")
    colmap = open_capture(shared / "data" / "llff_bird", format="colmap")
    assert llff.image_names == colmap.image_names
    np.testing.assert_allclose(llff.cameras.c2w, colmap.cameras.c2w, atol=1e-9)
    assert llff.near is not None
    assert colmap.near is not None
    assert np.abs(np.log(llff.near / colmap.near)).max() < 0.05


def test_bird_through_colmap_is_that_of_the_source(shared):
    """The poses, bounds, focal length, validation view and paths of nerf_pl's loader of COLMAP models."""
    with np.load(shared / "golden" / "nerf" / "colmap_bird.npz") as data:
        golden = {name: data[name] for name in data.files}
    capture = open_capture(shared / "data" / "llff_bird", format="colmap", downscale=2, split_rule="nerf_pl")
    assert [name.removeprefix("images/") for name in capture.image_names] == golden["names"].tolist()
    np.testing.assert_array_equal(capture.images.sizes, [golden["img_wh"]] * 184)
    # The source gives all images the focal length of the first of the 184 cameras.
    assert float(capture.cameras.fx[0]) == pytest.approx(float(golden["focal"]), rel=1e-9)
    assert capture.splits["val"] == (int(golden["val_index"]),)
    assert capture.near is not None
    assert capture.far is not None
    bounds = torch.from_numpy(capture.near), torch.from_numpy(capture.far)
    treated = recentre_and_scale(capture.cameras.c2w, *bounds)
    np.testing.assert_allclose(treated.c2w, golden["poses"], atol=1e-5)
    np.testing.assert_allclose(torch.stack([treated.near, treated.far], -1), golden["bounds"], rtol=1e-6)
    np.testing.assert_allclose(depth_range(treated.near, treated.far), golden["spheric_near_far"], rtol=1e-6)
    np.testing.assert_allclose(nerf_pl_spiral(treated.c2w)[::4], golden["spiral_poses"], atol=1e-5)
    nearest = float(treated.near.min())
    np.testing.assert_allclose(nerf_pl_circle(nearest)[::4], golden["spheric_poses"], atol=1e-5)


def test_fern_is_forward_facing_and_bird_is_not(shared):
    def layout(name):
        return capture_layout(open_capture(shared / "data" / name, downscale=8).cameras)

    assert layout("llff_fern_504") == "forward-facing"
    assert layout("llff_bird") == "360"
    assert layout("nerf_synthetic_lego_400") == "360"


def test_bird_stands_around_its_origin_after_spherifying(shared):
    capture = open_capture(shared / "data" / "llff_bird")
    assert capture.near is not None
    assert capture.far is not None
    treated = spherify(capture.cameras.c2w, torch.from_numpy(capture.near), torch.from_numpy(capture.far))
    distances = treated.c2w[:, :, 3].norm(dim=-1)
    assert float(distances.square().mean()) == pytest.approx(1)
    # A phone led around a figure: every camera is within 0.4 to 1.6 of the mean distance and looks inwards.
    assert 0.4 < float(distances.min()) < float(distances.max()) < 1.6
    assert bool(((treated.c2w[:, :, 3] * treated.c2w[:, :, 2]).sum(-1) > 0).all())


def test_images_of_no_whole_factor_are_not_taken(llff_scene):
    with pytest.raises(InputError, match="no folder with the images"):
        open_capture(llff_scene((("images_20x12", 2),)))


def test_no_rows(llff_scene):
    with pytest.raises(InputError, match=r"0 rows, but there are 4 images"):
        open_capture(llff_scene(edit=lambda rows: rows[:0]))


@pytest.mark.parametrize("edit", [lambda rows: rows[:3], lambda rows: np.concatenate([rows, rows[:1]])])
def test_rows_too_few_or_too_many(llff_scene, edit):
    with pytest.raises(InputError, match=r"\d rows, but there are 4 images.*order of their names"):
        open_capture(llff_scene(edit=edit))


def test_a_file_alone_without_rows(tmp_path):
    np.save(tmp_path / "poses_bounds.npy", np.zeros((0, 17)))
    with pytest.raises(InputError, match="no rows"):
        open_capture(tmp_path / "poses_bounds.npy")
