"""Scenes in the network's frame, nearest views, and what steps are made of."""

import numpy as np
import pytest
import torch
from gpnr_cases import FAR, NEAR, plane_capture
from gpnr_golden import arrays, facts, folder

from sightline.captures import Capture, open_capture
from sightline.methods.base import Progress
from sightline.methods.gpnr.batches import TrainingScene, draw_step
from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.method import rate_at
from sightline.methods.gpnr.views import SceneViews, rays_through


def capture_of(path, **options) -> Capture:
    found = open_capture(path, **options)
    assert isinstance(found, Capture)
    return found


@pytest.fixture(scope="module")
def fern(shared) -> SceneViews:
    capture = capture_of(shared / "data" / "llff_fern_504", format="llff")
    return SceneViews.of(capture, GpnrConfig(pixel_centre=0.0))


def test_cameras_of_a_scene_are_the_published_ones(shared, fern):
    file = arrays(folder(shared) / "eval_dataset.npz")
    for which in ("train", "test"):
        truth = torch.from_numpy(file[f"{which}_camtoworlds"]).float()
        found = fern.c2w[torch.from_numpy(file[f"{which}_indices"])]
        torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)
    assert (fern.near, fern.far) == pytest.approx(
        (file["min_depth"].item(), file["max_depth"].item()), abs=1e-5
    )
    truth = torch.from_numpy(file["intrinsic"][:, :3])
    torch.testing.assert_close(fern.intrinsics[0], truth, rtol=1e-5, atol=1e-3)


def test_units_by_the_nearest_depth(shared):
    file = arrays(folder(shared) / "eval_dataset.npz")
    capture = capture_of(shared / "data" / "llff_fern_504", format="llff")
    views = SceneViews.of(capture, GpnrConfig(unit="near"))
    assert (views.near, views.far) == pytest.approx(tuple(file["normalize_false_min_max"]), rel=1e-5)
    truth = torch.from_numpy(file["normalize_false_train_camtoworlds"])
    found = views.c2w[torch.from_numpy(file["train_indices"])]
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-4)


def test_either_bound_can_be_given():
    capture = plane_capture(0)
    for given, truth in (({}, (NEAR, FAR)), ({"near": 0.5}, (0.5, FAR)), ({"far": 9.0}, (NEAR, 9.0))):
        views = SceneViews.of(capture, GpnrConfig(**given))
        assert (views.near, views.far) == pytest.approx((truth[0] / truth[1], 1.0))


def test_rays_are_the_published_ones(shared, fern):
    file = arrays(folder(shared) / "eval_dataset.npz")
    pixels = torch.from_numpy(file["ray_pixels_rowcol"]).flip(-1)
    for row, view in enumerate(file["test_indices"]):
        rays = rays_through(pixels, fern.c2w[view], fern.intrinsics[view], (fern.near, fern.far), 0.0)
        for found, name in ((rays.origins, "origins"), (rays.directions, "directions")):
            truth = torch.from_numpy(file[f"test_ray_{name}"][row]).float()
            torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)
    first = file["test_indices"][0]
    rays = rays_through(pixels, fern.c2w[first], fern.intrinsics[first], (fern.near, fern.far), 0.5)
    truth = torch.from_numpy(file["pixel_center_test0_directions"])
    torch.testing.assert_close(rays.directions, truth.float(), rtol=0, atol=1e-5)


def test_nearest_views_are_the_published_ones(shared, fern):
    file = arrays(folder(shared) / "eval_dataset.npz")
    train = file["train_indices"].tolist()
    for row, view in enumerate(file["test_indices"]):
        assert fern.nearest(fern.c2w[view], train)[:10] == file["test_near_dataset_index"][row].tolist()
    # The camera's own photo shows nothing new.
    assert train[0] not in fern.nearest(fern.c2w[train[0]], train)
    assert fern.nearest(fern.c2w[train[0]], train[:1]) == train[:1]


def test_steps_are_drawn_as_published(shared):
    file, said = arrays(folder(shared) / "train_batch.npz"), facts(shared)["train_batch"]
    height, width = said["hw"]
    capture = capture_of(shared / "data" / "llff_bird", format="llff", downscale=4.0)
    views = SceneViews.of(capture, GpnrConfig(pixel_centre=0.0))
    assert views.size(0) == (width, height)
    torch.testing.assert_close(views.c2w, torch.from_numpy(file["camtoworlds"]), rtol=0, atol=1e-4)
    scene = TrainingScene(views, tuple(range(len(views))))
    random = np.random.RandomState(said["np_random_seed"])
    for step in range(3):
        drawn = draw_step(scene, said["batch_size"], 10, 20, random)
        assert drawn.view == int(file[f"b{step}_image_index"])
        assert drawn.pixels.tolist() == file[f"b{step}_ray_indices"].tolist()
        assert drawn.sources == tuple(file[f"b{step}_ref_indices"].tolist())


@pytest.mark.parametrize("schedule", ["linear", "cosine", "step"])
def test_rates_are_the_published_ones(shared, schedule):
    config = GpnrConfig(schedule=schedule, warm_up=5000, learning_rate=3e-4)
    for step, truth in facts(shared)["lr_schedule"][schedule].items():
        rate = config.learning_rate * rate_at(Progress(int(step), int(step) / 250_000), config)
        assert rate == pytest.approx(truth, rel=1e-4, abs=1e-9), step
