"""Trivial predictors of views of a scene."""

import numpy as np
import pytest
import torch

from sightline.captures import Capture, ImageStore, Points
from sightline.evaluation.scene_baselines import SceneBaselines, plane_depth, warp
from sightline.evaluation.views import background_for
from sightline.geometry import Cameras

WIDTH, HEIGHT, FOCAL, DEPTH = 24, 18, 20.0, 2.0


def wall(places: list[float], **changes) -> Capture:
    """A striped wall at a depth of 2, seen by cameras beside each other."""
    poses = torch.eye(3, 4, dtype=torch.float64).repeat(len(places), 1, 1)
    poses[:, 0, 3] = torch.tensor(places)
    cameras = Cameras.create(poses, FOCAL, width=WIDTH, height=HEIGHT)
    pictures = []
    for place in places:
        x = place + (np.arange(WIDTH) + 0.5 - WIDTH / 2) / FOCAL * DEPTH
        stripes = np.stack([np.sin(3 * x), np.cos(2 * x), np.sin(x + 1)], -1) * 0.5 + 0.5
        pictures.append((np.tile(stripes, (HEIGHT, 1, 1)) * 255).round().astype(np.uint8))
    values = {
        "name": "wall",
        "cameras": cameras,
        "images": ImageStore.from_arrays(pictures),
        "image_names": tuple(f"{k}.png" for k in range(len(places))),
        "splits": {"train": tuple(range(1, len(places))), "val": (), "test": (0,)},
    }
    return Capture(**(values | changes))  # type: ignore[arg-type]


def points_at(depth: float, count: int = 50) -> Points:
    draw = np.random.default_rng(0)
    where = np.column_stack([*draw.uniform(-0.5, 0.5, (2, count)), np.full(count, -depth)])
    return Points(where, np.zeros((count, 3), np.uint8))


def test_a_wall_is_warped_to_what_it_is() -> None:
    capture = wall([0.0, 0.13, 0.6], points=points_at(DEPTH))
    found = SceneBaselines(2).of("wall", capture, (1, 2), background_for(capture, None))
    truth = torch.from_numpy(capture.images[0]).float() / 255
    assert found.keys() == {"white", "nearest_photo", "mean_of_nearest", "warped_nearest"}
    warped = found["warped_nearest"](0)
    # What both see, but for the rounding of pixels between pixels.
    assert float((warped - truth)[:, 3:-3].abs().max()) < 0.02
    nearest = found["nearest_photo"](0)
    assert torch.equal(nearest, torch.from_numpy(capture.images[1]).float() / 255)
    assert float((nearest - truth).abs().max()) > 0.1
    both = torch.stack([torch.from_numpy(capture.images[k]).float() / 255 for k in (1, 2)]).mean(0)
    torch.testing.assert_close(found["mean_of_nearest"](0), both)
    assert torch.equal(
        SceneBaselines(1).of("wall", capture, (1, 2), background_for(capture, None))["mean_of_nearest"](0),
        nearest,
    )
    assert bool((found["white"](0) == 1).all())


def test_at_a_wrong_depth_it_is_not() -> None:
    capture = wall([0.0, 0.5], points=points_at(1.0))
    truth = torch.from_numpy(capture.images[0]).float() / 255
    warped = warp(capture, torch.from_numpy(capture.images[1]).float() / 255, 1, 0)
    assert float((warped - truth).abs().mean()) > 0.1


def test_the_depth_of_the_plane() -> None:
    assert plane_depth(wall([0.0, 0.1], points=points_at(1.7)), 0) == pytest.approx(1.7)
    bounds = {"near": np.array([1.0, 1.0]), "far": np.array([4.0, 4.0])}
    assert plane_depth(wall([0.0, 0.1], **bounds), 0) == pytest.approx(1.6)
    few = wall([0.0, 0.1], points=points_at(1.7, count=3), **bounds)
    assert plane_depth(few, 0) == pytest.approx(1.6)
