"""Crops around objects, against those of pixelNeRF's program and by hand."""

import numpy as np
import pytest
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.photos.object_crops import Square, crop_object, fit_ellipse, square_around

PHOTOS = ("model3", "police", "toyota")


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "pixelnerf" / "real_car.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def mask_of(golden, name) -> np.ndarray:
    height, width = golden[f"{name}_mask_shape_hw"].tolist()
    bits = np.unpackbits(golden[f"{name}_mask_packbits"])
    return bits[: height * width].reshape(height, width).astype(bool)


def photo_of(shared, name) -> np.ndarray:
    (file,) = [
        path
        for path in sorted((shared / "data" / "pixelnerf_input").rglob(f"{name}*"))
        if path.suffix in (".jpg", ".jpeg", ".png") and "normalize" not in path.name
    ]
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("name", PHOTOS)
def test_published_squares(golden, name):
    mask = mask_of(golden, name)
    ellipse = fit_ellipse(mask)
    expected = golden[f"{name}_ellipse_cx_cy_ax1_ax2_deg"]
    np.testing.assert_allclose([*ellipse.centre, ellipse.minor, ellipse.major], expected[:4], atol=1e-3)
    for key, settings in (("default", {}), ("constborder", {}), ("S3_s64", {"minor_scale": 3.0})):
        x, y, width, height = golden[f"{name}_{key}_rect_xywh"].tolist()
        assert width == height
        assert square_around(mask, **settings) == Square(x, y, width)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("key", ["default", "constborder", "S3_s64"])
def test_published_crops(shared, golden, name, key):
    expected = golden[f"{name}_{key}_normalized_rgb"]
    square = Square(*golden[f"{name}_{key}_rect_xywh"].tolist()[:3])
    found = crop_object(photo_of(shared, name), mask_of(golden, name), square, len(expected))
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_square_beyond_the_photo_is_white():
    photo = np.full((10, 12, 3), 7, np.uint8)
    mask = np.zeros((10, 12), bool)
    mask[:, :6] = True
    found = crop_object(photo, mask, Square(-4, -4, 16), 16)
    assert (found[4:14, 4:10] == 7).all()
    assert (found[:4] == 255).all()
    assert (found[4:14, 10:] == 255).all()
    assert (crop_object(photo, mask, Square(40, 40, 8), 8) == 255).all()


def test_the_largest_part_of_a_mask_counts():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    alone = square_around(mask)
    mask[2, 2] = mask[50:54, 5:9] = True
    assert square_around(mask) == alone


def test_masks_without_an_object():
    with pytest.raises(InputError, match="shows no object"):
        square_around(np.zeros((5, 5), bool))
    speck = np.zeros((5, 5), bool)
    speck[2, 2] = True
    with pytest.raises(InputError, match="too small"):
        square_around(speck)
    with pytest.raises(InputError, match="5x5 pixels, the photo 6x5"):
        crop_object(np.zeros((5, 6, 3), np.uint8), speck, Square(0, 0, 4))
