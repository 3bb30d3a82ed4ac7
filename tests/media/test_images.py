import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.media.images import (
    composite_over,
    encode_png,
    parse_colour,
    read_image,
    to_float,
    to_uint8,
    write_png,
)

shapes = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda size: st.sampled_from([size, (*size, 3), (*size, 4)])
)


def test_rounding_is_to_the_nearest_level_and_clips():
    values = np.array([-1.0, 0.0, 0.49 / 255, 0.51 / 255, 254.4 / 255, 254.6 / 255, 1.0, 7.0, np.nan, np.inf])
    expected = [0, 0, 0, 1, 254, 255, 255, 255, 0, 255]
    assert to_uint8(values).tolist() == expected
    assert to_uint8(torch.tensor(values)).tolist() == expected
    assert to_uint8(torch.tensor(values, dtype=torch.float32, requires_grad=True)).dtype == np.uint8


def test_every_level_survives_the_way_through_floats():
    levels = np.arange(256, dtype=np.uint8)
    assert to_float(levels).dtype == np.float32
    assert np.array_equal(to_uint8(to_float(levels)), levels)
    assert np.array_equal(to_uint8(torch.from_numpy(to_float(levels))), levels)
    assert to_float(np.array([0, 65535], dtype=np.uint16)).tolist() == [0.0, 1.0]
    with pytest.raises(TypeError, match="int64"):
        to_float(np.array([1]))


def test_compositing_by_hand():
    image = np.array([[[1.0, 0.0, 0.5, 0.0], [1.0, 0.0, 0.5, 0.25], [1.0, 0.0, 0.5, 1.0]]], dtype=np.float32)
    over_white = composite_over(image, (1.0, 1.0, 1.0))
    assert np.allclose(over_white, [[[1, 1, 1], [1, 0.75, 0.875], [1, 0, 0.5]]])
    assert over_white.dtype == np.float32
    assert np.allclose(composite_over(image, (0.0, 0.0, 0.0))[0, 1], [0.25, 0, 0.125])
    opaque = image[..., :3]
    assert composite_over(opaque, (1.0, 1.0, 1.0)) is opaque


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("white", (1, 1, 1)),
        (" Black ", (0, 0, 0)),
        ("#ff0033", (1, 0, 0.2)),
        ("0.25, 0.5,1", (0.25, 0.5, 1)),
    ],
)
def test_colours(text, colour):
    assert parse_colour(text) == pytest.approx(colour)


@pytest.mark.parametrize("text", ["mauve", "#12345", "#gggggg", "1,2", "0,0,2", "nan,0,0", ""])
def test_what_is_no_colour(text):
    with pytest.raises(InputError, match="is not a colour"):
        parse_colour(text)


@given(image=st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: hnp.arrays(kind, shapes)))
def test_png_round_trip(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("png") / "image.png"
    write_png(path, image)
    found = read_image(path)
    assert found.dtype == image.dtype
    assert np.array_equal(found, image)


def test_png_channels_are_in_the_standard_order(tmp_path):
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    with Image.open(io.BytesIO(encode_png(red))) as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    import cv2

    deep = np.array([[[65535, 256, 1]]], np.uint16)
    decoded = cv2.imdecode(np.frombuffer(encode_png(deep), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded[0, 0].tolist() == [1, 256, 65535]


def test_other_kinds_of_files(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").tolist() == [[[255, 0, 0], [0, 255, 0]]]
    palette.save(tmp_path / "keyed.png", transparency=0)
    assert read_image(tmp_path / "keyed.png").tolist() == [[[255, 0, 0, 0], [0, 255, 0, 255]]]
    Image.new("LA", (1, 1), (7, 9)).save(tmp_path / "grey_alpha.png")
    assert read_image(tmp_path / "grey_alpha.png").tolist() == [[[7, 7, 7, 9]]]
    Image.new("RGB", (8, 8), (200, 200, 200)).save(tmp_path / "photo.jpg")
    assert read_image(tmp_path / "photo.jpg").shape == (8, 8, 3)


@pytest.mark.parametrize("deep", [False, True])
def test_broken_files_are_input_errors(tmp_path, deep):
    kind = np.uint16 if deep else np.uint8
    data = encode_png(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(kind))
    for name, content in [("cut.png", data[: len(data) // 2]), ("text.png", b"hello"), ("empty.png", b"")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="Cannot read the picture") as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "none.png")


def test_what_png_cannot_hold():
    with pytest.raises(TypeError, match="to_uint8"):
        encode_png(np.zeros((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="shape"):
        encode_png(np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="shape"):
        encode_png(np.zeros((0, 2), np.uint8))
