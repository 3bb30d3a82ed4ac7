import numpy as np
import pytest
import torch

from sightline.synthesis.scenes import FIELD_OF_VIEW, hemisphere_splits
from sightline.synthesis.still_life import PLINTH_HALF, PLINTH_HEIGHT, StillLife
from sightline.synthesis.views import cameras_around, fitting_distance, hemisphere_directions


def test_directions_cover_the_zone_evenly():
    directions = hemisphere_directions(400, elevations=(10, 60))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)
    elevations = np.degrees(np.arcsin(directions[:, 2]))
    assert elevations.min() > 10
    assert elevations.max() < 60
    # Equal areas hold equal numbers: quarters of azimuth and halves of height, 50 each.
    azimuth = (np.arctan2(directions[:, 1], directions[:, 0]) % (2 * np.pi)) // (np.pi / 2)
    middle = (np.sin(np.radians(10)) + np.sin(np.radians(60))) / 2
    counts = np.bincount((azimuth * 2 + (directions[:, 2] > middle)).astype(int), minlength=8)
    assert counts.min() >= 48
    assert counts.max() <= 52


def test_sets_with_another_turn_do_not_meet():
    train, test = hemisphere_directions(60), hemisphere_directions(10, turn=1.3)
    nearest = np.degrees(np.arccos(np.clip(test @ train.T, -1, 1))).min(1)
    assert nearest.min() > 2


def test_fitting_distance_of_one_point():
    # From +x at 90 degrees of view a point 1 above fits from distance 1, with a margin of 0.5 from 2.
    point, target = np.array([[2.0, 0.0, 1.0]]), np.array([2.0, 0.0, 0.0])
    direction = np.array([[1.0, 0.0, 0.0]])
    assert fitting_distance(point, target, direction, np.pi / 2, margin=0.0) == pytest.approx(1)
    assert fitting_distance(point, target, direction, np.pi / 2, margin=0.5) == pytest.approx(2)


def test_cameras_look_at_the_target():
    target = np.array([0.3, -0.2, 0.5])
    cameras = cameras_around(target, hemisphere_directions(9), 4.0, angle=np.pi / 3, size=100)
    for index in range(9):
        pixels, depth = cameras.project(torch.from_numpy(target)[None], index)
        np.testing.assert_allclose(pixels, [[50, 50]], atol=1e-9)
        assert float(depth) == pytest.approx(4)
        above, _ = cameras.project(torch.from_numpy(target + np.array([0, 0, 0.1]))[None], index)
        assert float(above[0, 1]) < 50
        assert float(above[0, 0]) == pytest.approx(50)
    assert cameras.fx[0].item() == pytest.approx(50 / np.tan(np.pi / 6))


@pytest.mark.parametrize("seed", range(6))
def test_every_view_shows_the_whole_still_life(seed):
    scene = StillLife(seed=seed).build()
    splits = hemisphere_splits(scene, {"train": 20, "test": 5}, 200)
    vertices = torch.from_numpy(scene.vertices)
    nearest = 200.0
    for cameras in splits.values():
        assert cameras.fx[0].item() == pytest.approx(100 / np.tan(FIELD_OF_VIEW / 2))
        for index in range(len(cameras)):
            pixels, depth = cameras.project(vertices, index)
            assert depth.min() > 0
            nearest = min(nearest, pixels.min().item(), 200 - pixels.max().item())
    assert nearest == pytest.approx(4, abs=1e-4)  # 4 % of 100 pixels, reached by the view that decides


@pytest.mark.parametrize("seed", range(6))
def test_still_lifes_stand_on_their_plinth(seed):
    scene = StillLife(seed=seed).build()
    assert [part.name for part in scene.parts[:2]] == ["plinth", "vase"]
    assert len(scene.parts) >= 4
    for part in scene.parts[1:]:
        low, high = part.mesh.bounds
        assert low[2] == pytest.approx(PLINTH_HEIGHT, abs=1e-6)
        assert np.abs([low[:2], high[:2]]).max() < PLINTH_HALF
    np.testing.assert_allclose(scene.bounds[:, :2], [[-PLINTH_HALF] * 2, [PLINTH_HALF] * 2], rtol=1e-6)


def test_solids_do_not_touch():
    for seed in range(6):
        circles = []
        for part in StillLife(seed=seed).build().parts[1:]:
            middle = part.mesh.bounds.mean(0)[:2]
            radius = np.linalg.norm(part.mesh.vertices[:, :2] - middle, axis=1).max()
            circles.append((middle, radius))
        for index, (first, a) in enumerate(circles):
            for second, b in circles[:index]:
                assert np.linalg.norm(first - second) > a + b


def test_seeds_decide_everything():
    first, again, other = (StillLife(seed=seed).build() for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.vertices, again.vertices)
    for one, two in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(one.material.texture, two.material.texture)
    assert first.vertices.shape != other.vertices.shape or (first.vertices != other.vertices).any()
