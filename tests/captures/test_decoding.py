import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.captures.decoding import decode, read_header
from sightline.captures.resizing import shrink
from sightline.foundation.errors import InputError


def noise(height, width, channels, seed=0):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_header_gives_size_and_alpha_without_decoding(tmp_path):
    cut = tmp_path / "cut.png"
    Image.fromarray(noise(30, 50, 4)).save(cut)
    cut.write_bytes(cut.read_bytes()[:200])  # the pixels are gone, the header is whole
    header = read_header(cut)
    assert (header.width, header.height, header.has_alpha) == (50, 30, True)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_files_are_refused_by_name(tmp_path, suffix, part):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(noise(64, 64, 3)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match=f"photo{suffix}"):
        decode(path, 3)


def test_truncated_progressive_jpeg_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise(64, 64, 3)).save(path, progressive=True)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"photo\.jpg"):
        decode(path, 3)


def test_files_that_are_no_images_are_refused(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture", encoding="utf-8")
    with pytest.raises(InputError, match=r"not an image.*notes\.png"):
        read_header(path)


def test_every_png_kind_becomes_eight_bit_colour(tmp_path):
    grey16 = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    Image.fromarray(grey16).save(tmp_path / "grey16.png")
    np.testing.assert_array_equal(decode(tmp_path / "grey16.png", 3)[0], [[0] * 3, [100] * 3, [255] * 3])

    Image.fromarray(np.array([[7, 200]], dtype=np.uint8)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(decode(tmp_path / "grey.png", 4)[0], [[7, 7, 7, 255], [200, 200, 200, 255]])

    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_header(tmp_path / "palette.png").has_alpha
    np.testing.assert_array_equal(
        decode(tmp_path / "palette.png", 4)[0], [[10, 20, 30, 0], [40, 50, 60, 255]]
    )
    np.testing.assert_array_equal(decode(tmp_path / "palette.png", 3)[0], [[10, 20, 30], [40, 50, 60]])


def test_exif_rotation_is_ignored(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(20, 40, 3)).save(path, exif=exif)
    assert (read_header(path).width, read_header(path).height) == (40, 20)
    assert decode(path, 3).shape == (20, 40, 3)


def test_shrinking_by_hand():
    image = np.array([[[0, 0, 0], [10, 20, 30]], [[20, 40, 60], [30, 60, 91]]], dtype=np.uint8)
    np.testing.assert_array_equal(shrink(image, 1, 1), [[[15, 30, 45]]])
    # Three pixels to two: each new one covers one whole and half of the middle.
    row = np.array([[[0] * 3, [90] * 3, [240] * 3]], dtype=np.uint8)
    np.testing.assert_array_equal(shrink(row, 2, 1)[0, :, 0], [30, 190])


def test_invisible_colour_does_not_bleed():
    image = np.array([[[255, 0, 0, 255], [0, 255, 0, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(shrink(image, 1, 1), [[[255, 0, 0, 128]]])
    # 3:1 mixture of alpha 240 and 80: (3*240*100 + 80*200) / (3*240 + 80) = 110
    image = np.array([[[100] * 3 + [240]] * 2, [[100] * 3 + [240], [200] * 3 + [80]]], dtype=np.uint8)
    np.testing.assert_array_equal(shrink(image, 1, 1), [[[110, 110, 110, 200]]])


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    new=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    channels=st.sampled_from([3, 4]),
    seed=st.integers(0, 99),
)
def test_shrinking_is_the_exact_area_mean(height, width, new, channels, seed):
    new_width, new_height = min(new[0], width), min(new[1], height)
    image = noise(height, width, channels, seed)
    rows, columns = area_weights(height, new_height), area_weights(width, new_width)
    values = image.astype(np.float64)
    if channels == 4:
        values[..., :3] *= values[..., 3:]
    expected = np.einsum("ah,bw,hwc->abc", rows, columns, values)
    off = np.abs(shrink(image, new_width, new_height) - expected)
    if channels == 4:  # the colour of invisible pixels does not matter
        alpha = expected[..., 3:]
        colour = expected[..., :3] / np.maximum(alpha, 1e-9)
        off[..., :3] = np.abs(shrink(image, new_width, new_height)[..., :3] - colour) * (alpha > 0)
    assert off.max() <= 0.5 + 1e-2


def area_weights(size, new):
    """(new, size): the share of each old pixel in each new one."""
    edges = np.arange(new + 1) * size / new
    old = np.arange(size)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.maximum(overlap, 0) * new / size
