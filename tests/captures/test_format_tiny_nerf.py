import numpy as np
import pytest

from sightline.captures import detect_format, open_capture, write_capture
from sightline.foundation.errors import InputError


def arrays(count=5, channels=3, dtype=np.float32):
    """Images of 8x6 pixels, black at the edges, (i + 0.4) / 255 in the middle; camera i is at (i, 0, 4)."""
    images = np.zeros((count, 6, 8, channels), np.float64)
    images[:, 2:4, 3:5] = ((np.arange(count) + 0.4) / 255)[:, None, None, None]
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = np.arange(count)
    poses[:, 2, 3] = 4
    return {"images": images.astype(dtype), "poses": poses.astype(np.float32), "focal": np.array(11.5)}


@pytest.fixture
def tiny(tmp_path):
    def make(edit=lambda data: data, name="tiny_nerf_data.npz", **changes):
        np.savez(tmp_path / name, **edit(arrays(**changes)))
        return tmp_path / name

    return make


def test_by_hand(tiny):
    path = tiny()
    assert detect_format(path) == detect_format(path.parent) == "tiny_nerf"
    capture = open_capture(path)
    assert (capture.name, capture.format, capture.background) == ("tiny_nerf_data", "tiny_nerf", "black")
    np.testing.assert_array_equal(capture.cameras.c2w[2], [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 4]])
    assert [float(v[0]) for v in (capture.cameras.fx, capture.cameras.cx, capture.cameras.cy)] == [11.5, 4, 3]
    # Rounded to the nearest of 256 levels.
    assert [int(image[2, 3, 0]) for image in capture.images] == [0, 1, 2, 3, 4]
    assert capture.images[0].dtype == np.uint8
    assert capture.near is None


def test_the_first_hundred_train(tiny):
    capture = open_capture(tiny(count=106))
    assert capture.splits == {"train": tuple(range(100)), "val": (), "test": tuple(range(100, 106))}
    assert open_capture(tiny(count=106), split_rule="testskip3").splits["test"] == (100, 103)


def test_fewer_are_held_out(tiny):
    assert open_capture(tiny(), holdout=2).splits["test"] == (0, 2, 4)


def test_downscale(tiny):
    capture = open_capture(tiny(), downscale=2)
    np.testing.assert_array_equal(capture.images.sizes, [[4, 3]] * 5)
    assert capture.images[4].shape == (3, 4, 3)
    assert float(capture.cameras.fx[0]) == 5.75


@pytest.mark.parametrize("name", ["tiny_nerf_data.npz", "other.npz"])
def test_files_are_known_by_their_arrays(tiny, name):
    assert detect_format(tiny(name=name)) == "tiny_nerf"


def test_other_npz_files_are_not_taken(tmp_path):
    np.savez(tmp_path / "cameras.npz", world_mat=np.eye(4))
    with pytest.raises(InputError, match="No known format"):
        open_capture(tmp_path / "cameras.npz")
    with pytest.raises(InputError, match=r"lacks the array 'images'.*world_mat"):
        open_capture(tmp_path / "cameras.npz", format="tiny_nerf")


def test_bytes_and_opacity(tiny):
    capture = open_capture(
        tiny(lambda data: {**data, "images": np.full((5, 6, 8, 4), 200, np.uint8)}, dtype=np.float64)
    )
    assert (capture.background, capture.images.channels) == ("alpha", 4)
    np.testing.assert_array_equal(capture.images[1], np.full((6, 8, 4), 200))


@pytest.mark.parametrize(("level", "background"), [(1.0, "white"), (0.5, "photo")])
def test_background_is_read_off_the_edges(tiny, level, background):
    path = tiny(lambda data: {**data, "images": np.full_like(data["images"], level)})
    assert open_capture(path).background == background


def test_it_can_be_written_in_another_format(tiny, tmp_path):
    capture = open_capture(tiny())
    write_capture(capture, tmp_path / "out", "transforms")
    again = open_capture(tmp_path / "out")
    np.testing.assert_allclose(again.cameras.c2w, capture.cameras.c2w, atol=1e-9)
    np.testing.assert_array_equal(again.images[3], capture.images[3])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: {"images": d["images"], "poses": d["poses"]}, "lacks the array 'focal'.*images, poses"),
        (lambda d: {**d, "images": d["images"][..., :1]}, r"shape \(n, height, width, 3 or 4\)"),
        (lambda d: {**d, "images": d["images"][0]}, r"not \(6, 8, 3\)"),
        (lambda d: {**d, "images": d["images"] * 200}, r"in \[0, 1\], these are from 0 to 3"),
        (lambda d: {**d, "images": d["images"] * np.nan}, "finite"),
        (lambda d: {**d, "images": d["images"].astype(np.int32)}, "floating-point numbers, or bytes"),
        (lambda d: {**d, "poses": d["poses"][:3]}, r"5 images, and the poses have the shape \(3, 4, 4\)"),
        (lambda d: {**d, "poses": 2 * d["poses"]}, r"not a rotation.*poses\[0\]"),
        (lambda d: {**d, "focal": np.array([1.0, 2.0])}, "one positive number.*focal"),
        (lambda d: {**d, "focal": np.array(-1.0)}, "one positive number.*focal"),
        (lambda d: {**d, "focal": np.array("f")}, "one positive number.*focal"),
        (lambda d: {**d, "images": d["images"][:0], "poses": d["poses"][:0]}, "shape"),
    ],
)
def test_bad_arrays(tiny, edit, message):
    with pytest.raises(InputError, match=message):
        open_capture(tiny(edit))


def test_damaged_files(tiny):
    path = tiny()
    content = path.read_bytes()
    for broken in (
        content[:100],
        content[: len(content) // 2],
        b"",
        b"text",
        content[:200] + b"?" + content[201:],
    ):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"tiny_nerf_data\.npz"):
            open_capture(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").replace(path)
    with pytest.raises(InputError, match="that can be read"):
        open_capture(path)


def test_arrays_of_objects_are_not_executed(tiny):
    path = tiny(lambda data: {**data, "focal": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(InputError, match="Object arrays"):
        open_capture(path)
