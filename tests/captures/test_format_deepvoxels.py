import numpy as np
import pytest
from PIL import Image

from sightline.captures import detect_format, open_capture
from sightline.foundation.errors import InputError

# x right, y down, z forward, at distance 2 from the origin, which it looks at from the -z side.
AHEAD = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -2], [0, 0, 0, 1]])
INTRINSICS = "48. 16. 12. 0.\n0.1 0.2 0.3\n0.5\n1.5\n24 32\n"


@pytest.fixture
def deepvoxels(tmp_path):
    """A data folder of pictures of 32x24 pixels; pose i is AHEAD moved by i/10 to the right."""

    def make(
        shapes=("vase",), counts=(("train", 3), ("validation", 2), ("test", 9)), intrinsics=INTRINSICS,
        size=(32, 24), as_matrix=False, pose=lambda matrix: matrix,
    ):  # fmt: skip
        for shape in shapes:
            for split, count in counts:
                folder = tmp_path / split / shape
                for part in ("rgb", "pose"):
                    (folder / part).mkdir(parents=True)
                (folder / "intrinsics.txt").write_text(intrinsics)
                for index in range(count):
                    matrix = AHEAD.copy()
                    matrix[0, 3] = index / 10
                    matrix = pose(matrix)
                    rows = [" ".join(map(str, row)) for row in matrix]
                    (folder / "pose" / f"{index:06d}.txt").write_text(("\n" if as_matrix else " ").join(rows))
                    pixels = np.full((size[1], size[0], 3), 20 * index, np.uint8)
                    Image.fromarray(pixels).save(folder / "rgb" / f"{index:06d}.png")
        return tmp_path

    return make


def test_by_hand(deepvoxels):
    root = deepvoxels()
    assert detect_format(root) == "deepvoxels"
    capture = open_capture(root)
    assert (capture.name, capture.format, capture.background) == ("vase", "deepvoxels", "white")
    assert capture.splits == {"train": (0, 1, 2), "val": (3, 4), "test": tuple(range(5, 14))}
    assert capture.image_names[4] == "validation/vase/rgb/000001.png"
    # Axes right, up, backward of a camera that looks along +z with y down.
    np.testing.assert_array_equal(capture.cameras.c2w[4], [[1, 0, 0, 0.1], [0, -1, 0, 0], [0, 0, -1, -2]])
    camera = capture.cameras
    found = [float(values[0]) for values in (camera.fx, camera.fy, camera.cx, camera.cy)]
    assert found == [48, 48, 16, 12]
    assert int(capture.images[2][0, 0, 0]) == 40
    assert capture.extras == {"barycentre": [0.1, 0.2, 0.3], "near_plane": 0.5, "scale": 1.5}


def test_depths_are_the_mean_distance_and_one(deepvoxels):
    capture = open_capture(deepvoxels())
    places = [index / 10 for count in (3, 2, 9) for index in range(count)]
    distance = np.mean(np.hypot(places, 2))
    np.testing.assert_allclose(capture.near, np.full(14, distance - 1))
    np.testing.assert_allclose(capture.far, np.full(14, distance + 1))


@pytest.mark.parametrize("part", ["", "train", "test", "train/vase", "validation/vase"])
def test_any_folder_of_it_opens_all_splits(deepvoxels, part):
    capture = open_capture(deepvoxels() / part)
    assert [len(capture.splits[name]) for name in ("train", "val", "test")] == [3, 2, 9]


def test_several_shapes_need_a_choice(deepvoxels):
    root = deepvoxels(("greek", "vase"))
    with pytest.raises(InputError, match=r"2 shapes \(greek, vase\).*train/greek"):
        open_capture(root)
    assert open_capture(root / "train" / "vase").image_names[0] == "train/vase/rgb/000000.png"


def test_rows_of_a_matrix_and_world_to_camera(deepvoxels):
    root = deepvoxels(intrinsics=INTRINSICS + "1\n", as_matrix=True, pose=np.linalg.inv)
    np.testing.assert_allclose(
        open_capture(root).cameras.c2w[1], [[1, 0, 0, 0.1], [0, -1, 0, 0], [0, 0, -1, -2]], atol=1e-12
    )


def test_square_pictures_of_a_wider_sensor(deepvoxels):
    # Stated for 32x24; the pictures are its middle 24x24, at twice the size.
    camera = open_capture(
        deepvoxels(size=(48, 48), intrinsics=INTRINSICS.replace("16. 12.", "17. 11."))
    ).cameras
    found = [float(values[0]) for values in (camera.fx, camera.fy, camera.cx, camera.cy)]
    assert found == [96, 96, 26, 22]


def test_published_split(deepvoxels):
    capture = open_capture(deepvoxels(), split_rule="bmild")
    assert capture.splits == {"train": (0, 1, 2), "val": (3,), "test": (5, 13)}


def test_downscale(deepvoxels):
    capture = open_capture(deepvoxels(), downscale=2)
    np.testing.assert_array_equal(capture.images.sizes, [[16, 12]] * 14)
    assert float(capture.cameras.fx[0]) == 24


def test_absent_pictures_are_skipped_and_poseless_ones_named(deepvoxels, warnings_seen):
    root = deepvoxels()
    (root / "train/vase/rgb/000001.png").unlink()
    (root / "test/vase/pose/000004.txt").unlink()
    assert len(open_capture(root)) == 12
    assert any("1 pictures have no pose" in text and "000004.png" in text for text in warnings_seen())
    assert any("1 of 13 listed images do not exist" in text for text in warnings_seen())
    with pytest.raises(InputError, match="1 of 13 listed images"):
        open_capture(root, strict=True)


@pytest.mark.parametrize(
    ("intrinsics", "message"),
    [
        ("48. 16.\n0 0 0\n0\n1\n24 32\n", "Line 1 of the intrinsics should hold 3 numbers, it holds 2"),
        ("48. 16. 12. 0.\n0 0 0\n0\n1\n", "Line 5 of the intrinsics should hold 2 numbers, it holds 0"),
        ("f 16. 12. 0.\n", "does not hold numbers"),
        (INTRINSICS.replace("24 32", "0 32"), "size of 32x0.*line 5"),
        (INTRINSICS.replace("48.", "nan"), "NaN or infinite"),
        (INTRINSICS.replace("48.", "-48."), "not positive"),
    ],
)
def test_bad_intrinsics(deepvoxels, intrinsics, message):
    with pytest.raises(InputError, match=message):
        open_capture(deepvoxels(intrinsics=intrinsics))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0 0 1 0", "16 numbers, the file holds 6"),
        ("", "16 numbers, the file holds 0"),
        ("a b", "does not hold numbers"),
        (" ".join(["nan"] * 16), "NaN or infinite"),
        (" ".join(["1"] * 16), "not a rotation"),
    ],
)
def test_bad_poses(deepvoxels, text, message):
    root = deepvoxels()
    (root / "train/vase/pose/000001.txt").write_text(text)
    with pytest.raises(InputError, match=message + r".*000001\.txt"):
        open_capture(root)


def test_poses_that_cannot_be_inverted(deepvoxels):
    root = deepvoxels(intrinsics=INTRINSICS + "1\n")
    (root / "train/vase/pose/000001.txt").write_text(" ".join(["1"] * 16))
    with pytest.raises(InputError, match=r"cannot be inverted.*000001\.txt"):
        open_capture(root)


def test_folders_without_a_shape(tmp_path, deepvoxels):
    (tmp_path / "other" / "train" / "vase" / "rgb").mkdir(parents=True)
    with pytest.raises(InputError, match="train/SHAPE with rgb, pose and intrinsics"):
        open_capture(tmp_path / "other")
    with pytest.raises(InputError, match="There is no shape"):
        open_capture(tmp_path / "other", format="deepvoxels")
