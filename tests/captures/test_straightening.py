"""Photos by lenses that bend light, as pinhole cameras would have taken them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.captures import Capture, ImageStore
from sightline.captures.straightening import bends_light, straightened
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel

WIDTH, HEIGHT = 96, 72
LENSES = {
    "barrel": (LensModel.OPENCV, [-0.25, 0.06, 0.002, -0.001]),
    "pincushion": (LensModel.OPENCV, [0.2, 0.03, -0.001, 0.003]),
    "fisheye": (LensModel.OPENCV_FISHEYE, [0.05, -0.01, 0.0, 0.0]),
}


def sky(directions: torch.Tensor) -> np.ndarray:
    """A colour, uint8 (n, 3), of what lies in each direction, infinitely far away."""
    towards = torch.nn.functional.normalize(directions.double(), dim=-1).numpy()
    waves = np.array([[3.0, -2.0, 1.0], [1.5, 2.5, -2.0], [-2.0, 1.0, 3.0]])
    return np.rint((0.5 + 0.45 * np.sin(towards @ waves.T)) * 255).astype(np.uint8)


def take(cameras: Cameras, view: int) -> np.ndarray:
    return sky(cameras.image_rays(view).directions).reshape(HEIGHT, WIDTH, 3)


def capture_by(lens: LensModel, distortion, count: int = 3, **changes) -> Capture:
    turns = [
        torch.linalg.matrix_exp(torch.tensor([[0, -a, 0], [a, 0, -a], [0, a, 0.0]])) for a in (0, 0.3, 0.7)
    ]
    poses = torch.cat([torch.stack(turns[:count]), torch.ones(count, 3, 1)], -1).double()
    values = {"fx": 80.0, "fy": 84.0, "cx": 50.0, "cy": 34.0} | changes
    cameras = Cameras.create(poses, **values, width=WIDTH, height=HEIGHT, lens=lens, distortion=distortion)
    return Capture(
        name="sky",
        cameras=cameras,
        images=ImageStore.from_arrays([take(cameras, view) for view in range(count)]),
        image_names=tuple(f"{view}.png" for view in range(count)),
        splits={"train": tuple(range(count)), "val": (), "test": ()},
        masks=ImageStore.from_arrays(
            [np.full((HEIGHT, WIDTH), 255 * (view == 1), np.uint8) for view in range(count)]
        ),
    )


@pytest.mark.parametrize("name", sorted(LENSES))
def test_straight_pictures_are_those_of_pinhole_cameras(name):
    capture = capture_by(*LENSES[name])
    straight = straightened(capture)
    cameras = straight.cameras
    assert bends_light(capture.cameras)
    assert not bends_light(cameras)
    assert torch.equal(cameras.c2w, capture.cameras.c2w)
    for kept in ("cx", "cy", "width", "height"):
        assert torch.equal(getattr(cameras, kept), getattr(capture.cameras, kept))
    for view in range(len(capture)):
        apart = np.abs(straight.images[view].astype(int) - take(cameras, view).astype(int))
        assert apart.max() <= 3
        # The photo itself is another picture, by far.
        assert np.abs(capture.images[view].astype(int) - take(cameras, view).astype(int)).max() > 6


@pytest.mark.parametrize("name", sorted(LENSES))
def test_pictures_are_no_narrower_than_needed(name):
    capture = capture_by(*LENSES[name])
    zoom = float(straightened(capture).cameras.fx[0] / capture.cameras.fx[0])
    border = torch.tensor([[x, y] for x in (0.0, WIDTH) for y in (0.0, HEIGHT)], dtype=torch.float64)
    pinhole = replace(straightened(capture).cameras[0])

    def seen(factor: float) -> bool:
        camera = replace(pinhole, fx=pinhole.fx * factor, fy=pinhole.fy * factor)
        directions = camera.rays(0, border).directions.double()
        return bool(capture.cameras.sees(camera.centres[0] + directions, 0).all())

    assert seen(1 + 1e-6)
    assert zoom == 1 or not seen(0.999)
    assert (zoom > 1) == (name == "pincushion")


def test_views_that_are_chosen_or_sent_elsewhere_stay_what_they_are():
    straight = straightened(capture_by(*LENSES["barrel"]))
    part = straight.subset([2, 0])
    assert np.array_equal(part.images[0], straight.images[2])
    assert np.array_equal(part.images[1], straight.images[0])
    sent = pickle.loads(pickle.dumps(straight.images))
    assert np.array_equal(sent[1], straight.images[1])


def test_masks_are_bent_with_the_photos():
    straight = straightened(capture_by(*LENSES["pincushion"]))
    assert straight.masks is not None
    assert straight.masks[0].max() == 0
    assert straight.masks[1].min() == 255


def test_what_is_straight_is_left_alone():
    capture = capture_by(LensModel.PINHOLE, None)
    assert straightened(capture) is capture
    assert straightened(capture_by(LensModel.OPENCV, [0.0, 0.0])) is not None


def test_a_lens_that_shows_nothing_is_refused():
    with pytest.raises(InputError, match=r"0\.png shows nothing") as raised:
        straightened(capture_by(*LENSES["barrel"], cx=4.0 * WIDTH))
    assert "distortion coefficients" in str(raised.value)
