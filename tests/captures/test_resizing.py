import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import open_capture
from sightline.captures.resizing import RESIZE_RULES, area_mean, shrink
from sightline.foundation.errors import InputError


@pytest.fixture(scope="module")
def golden(shared):
    def load(name):
        with np.load(shared / "golden" / "nerf" / f"{name}.npz") as data:
            return {key: data[key] for key in data.files}

    return load


def on_white(rgba):
    """Composite RGBA in [0, 1] on white."""
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]


def as_float(image):
    return image.astype(np.float32) / 255


@pytest.mark.parametrize("size", [48, 25, 24])
def test_lanczos_is_that_of_nerf_pl(golden, size):
    data = golden("image_resize")
    small = shrink(data["rgba"], size, size, "lanczos")
    np.testing.assert_array_equal(small, data[f"nerf_pl_lanczos_rgba_{size}"])
    np.testing.assert_allclose(on_white(as_float(small)), data[f"nerf_pl_white_{size}"], atol=1e-6)


@pytest.mark.parametrize("size", [48, 25, 24])
def test_straight_area_is_that_of_bmild_and_flax_nerf(golden, size):
    data = golden("image_resize")
    expected = data[f"yen_area_white_{size}"]
    np.testing.assert_allclose(on_white(area_mean(data["rgba"], size, size)), expected, atol=1e-6)
    # A capture keeps 8 bits, half a level off at most for colour and as much again for alpha.
    rounded = on_white(as_float(shrink(data["rgba"], size, size, "area-straight")))
    assert np.abs(rounded - expected).max() < 1.01 / 255


def test_box_is_that_of_the_reduced_photos(golden, shared):
    data = golden("krrish94_lego")
    photo = np.asarray(Image.open(shared / "data" / "nerf_synthetic_lego_400" / "test" / "r_0.png"))
    white = np.rint(on_white(as_float(photo)) * 255).astype(np.uint8)
    np.testing.assert_allclose(as_float(shrink(white, 64, 64, "box")), data["photo_64"], atol=1e-6)
    np.testing.assert_allclose(
        on_white(as_float(photo)).reshape(80, 5, 80, 5, 3).mean((1, 3)), data["photo_80"], atol=1e-6
    )


def test_an_item_of_nerf_pl_opens_as_it_did_there(golden, shared):
    item = golden("blender_item_lego")
    capture = open_capture(shared / "data" / "nerf_synthetic_lego_400", downscale=10, resize_rule="lanczos")
    index = capture.image_names.index("test/r_0.png")
    image = as_float(capture.images[index])
    np.testing.assert_allclose(on_white(image).reshape(-1, 3), item["rgbs"], atol=1e-6)
    np.testing.assert_array_equal((image[..., 3] > 0).reshape(-1), item["valid_mask"])
    camera = capture.cameras[index]
    assert float(camera.fx[0]) == pytest.approx(float(item["focal"]), rel=1e-9)
    np.testing.assert_allclose(camera.c2w[0], item["c2w"], atol=1e-6)
    # nerf_pl's rays go through the corners of pixels.
    y, x = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    rays = camera.rays(0, torch.from_numpy(np.stack([x, y], -1).reshape(-1, 2)))
    np.testing.assert_allclose(rays.origins, item["rays"][:, :3], atol=1e-5)
    np.testing.assert_allclose(rays.directions, item["rays"][:, 3:6], atol=1e-5)


def test_straight_area_lets_invisible_colour_bleed_and_the_default_does_not():
    image = np.array([[[255, 0, 0, 255], [0, 255, 0, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(shrink(image, 1, 1, "area-straight"), [[[128, 128, 0, 128]]])
    np.testing.assert_array_equal(shrink(image, 1, 1, "area"), [[[255, 0, 0, 128]]])
    np.testing.assert_array_equal(shrink(image, 1, 1), shrink(image, 1, 1, "area"))


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("channels", [3, 4])
def test_flat_images_stay_flat(rule, channels):
    image = np.full((9, 12, channels), 200, np.uint8)
    np.testing.assert_array_equal(shrink(image, 5, 4, rule), np.full((4, 5, channels), 200))


def test_unknown_rules_list_the_names(transforms_scene):
    with pytest.raises(InputError, match=r"--resize-rule.*area, area-straight, lanczos, box"):
        open_capture(transforms_scene(), resize_rule="cubic")


def test_captures_use_the_rule_and_remember_it(transforms_scene):
    folder = transforms_scene(channels=4)
    capture = open_capture(folder, downscale=3, resize_rule="lanczos")
    pixels = np.asarray(Image.open(folder / capture.image_names[1]))
    np.testing.assert_array_equal(capture.images[1], shrink(pixels, 5, 4, "lanczos"))
    assert not np.array_equal(capture.images[1], open_capture(folder, downscale=3).images[1])
    np.testing.assert_array_equal(
        capture.split("train").images[0], capture.images[capture.splits["train"][0]]
    )
    assert open_capture(folder, **capture.options).options == capture.options
    assert capture.options["resize_rule"] == "lanczos"
