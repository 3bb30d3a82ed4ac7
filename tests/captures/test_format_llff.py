import shutil

import numpy as np
import pytest
from PIL import Image

from sightline.captures import open_capture
from sightline.foundation.errors import InputError


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
