"""Up directions and the frame that is kept, of cameras whose truth is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sightline.photos.levelling import find_up, level


def looking(directions: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotations (camera to world, OpenGL axes) of cameras that look somewhere, held level."""
    backward = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
    right = np.cross(up, backward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(backward, right), backward], 2)


def degrees_between(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


@pytest.fixture
def turned() -> np.ndarray:
    return Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()


def test_up_of_cameras_around_that_all_look_down(turned):
    """The mean of their y axes is right only where they stand evenly; level x axes always are."""
    angles = np.linspace(0, 1.5, 20)
    directions = np.stack([np.cos(angles), np.sin(angles), np.full(20, -1.0)], 1)
    rotations = turned @ looking(directions, np.array([0.0, 0, 1]))
    mean = rotations[:, :, 1].mean(0)
    assert degrees_between(mean / np.linalg.norm(mean), turned[:, 2]) > 20
    assert degrees_between(find_up(rotations), turned[:, 2]) < 5


def test_up_of_cameras_that_look_one_way(turned):
    """Their x axes are all alike, and any direction across these would do."""
    directions = np.array([[1.0, 0.02 * k, 0.01 * k] for k in range(-5, 6)])
    rotations = turned @ looking(directions, np.array([0.0, 0, 1]))
    assert degrees_between(find_up(rotations), turned[:, 2]) < 1


def test_photos_on_their_side_and_upright_agree(turned):
    angles = np.linspace(0, 6, 24)
    directions = np.stack([np.cos(angles), np.sin(angles), np.full(24, -0.3)], 1)
    rotations = turned @ looking(directions, np.array([0.0, 0, 1]))
    shaken = rotations @ Rotation.from_rotvec(np.random.default_rng(0).normal(0, 0.05, (24, 3))).as_matrix()
    assert degrees_between(find_up(shaken), turned[:, 2]) < 2


def test_the_frame_is_upright_centred_and_of_size_one(turned):
    angles = np.linspace(0, 6, 24)
    outward = np.stack([np.cos(angles), np.sin(angles), np.full(24, 0.5)], 1)
    rotations = turned @ looking(-outward, np.array([0.0, 0, 1]))
    shift = np.array([5.0, -3, 2])
    centres = (7 * outward) @ turned.T + shift
    points = np.random.default_rng(0).normal(0, 0.1, (500, 3)) + shift
    found = level(rotations, centres, points)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    moved = found.scale * centres @ found.rotation.T + found.translation
    np.testing.assert_allclose(found.rotation @ turned[:, 2], [0, 0, 1], atol=0.02)
    assert np.median(np.linalg.norm(moved, axis=1)) == pytest.approx(1, abs=0.01)
    placed = found.scale * points @ found.rotation.T + found.translation
    np.testing.assert_allclose(np.median(placed, axis=0), 0, atol=1e-3)
