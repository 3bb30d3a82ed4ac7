"""Cameras of the published sets, from their definitions; those of SRN also from the published files."""

import math

import numpy as np
import pytest
import torch

from sightline.geometry.poses import look_at
from sightline.synthesis.camera_laws import (
    ENR_SHIFT,
    facing_rig,
    nmr_ring,
    orbit_poses,
    pair_spiral,
    pair_sweep,
    srn_spiral,
    turntable,
    upper_hemisphere,
)


def angles_of(poses: np.ndarray, target=(0.0, 0.0, 0.0)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = poses[:, :, 3] - target
    distance = np.linalg.norm(offsets, axis=1)
    return np.arctan2(offsets[:, 1], offsets[:, 0]), np.arcsin(offsets[:, 2] / distance), distance


def assert_looking_at(poses: np.ndarray, target) -> None:
    """Each is a rotation, and the target is straight ahead."""
    rotations = poses[:, :, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(len(poses), 0), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    seen = np.einsum("nij,ni->nj", rotations, np.asarray(target) - poses[:, :, 3])
    np.testing.assert_allclose(seen[:, :2], 0, atol=1e-12)
    assert (seen[:, 2] < 0).all()


def test_orbits_agree_with_look_at():
    azimuths, elevations = np.linspace(-3, 3, 7), np.linspace(-1.5, 1.5, 7)
    target = np.array([0.1, -0.2, 0.3])
    poses = orbit_poses(azimuths, elevations, 2.5, target)
    assert_looking_at(poses, target)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    expected = look_at(torch.from_numpy(poses[:, :, 3].copy()), torch.from_numpy(target), up)
    np.testing.assert_allclose(poses, expected, atol=1e-12)
    np.testing.assert_allclose(angles_of(poses, target)[0], azimuths)


def test_at_the_pole_the_azimuth_decides():
    (pose,) = orbit_poses(np.array([0.5]), np.array([math.pi / 2]), 1.0)
    np.testing.assert_allclose(pose[:, 0], [-math.sin(0.5), math.cos(0.5), 0], atol=1e-12)


@pytest.mark.parametrize(("name", "distance"), [("chairs", 2.0), ("cars", 1.3)])
def test_the_spiral_of_srn_is_the_published_one(shared, name, distance):
    folder = shared / "data" / "srn_spiral_poses" / f"camera_spiral_{name}" / "pose"
    files = sorted(folder.glob("*.txt"))
    published = np.stack([np.loadtxt(file).reshape(4, 4) for file in files]) @ np.diag([1, -1, -1, 1])
    assert len(published) == 251
    np.testing.assert_allclose(srn_spiral(251, distance), published[:, :3], atol=4e-6)


def test_the_spiral_of_srn_climbs_from_the_horizon_to_the_zenith():
    _, elevations, distances = angles_of(srn_spiral(251, 2.0))
    np.testing.assert_allclose(np.degrees(elevations), 0.36 * np.arange(251), atol=1e-5)
    np.testing.assert_allclose(distances, 2)
    # View 64 is the usual source: azimuth 42.561 of the set of Equivariant Neural Rendering, 90 degrees less.
    azimuth = np.degrees(angles_of(srn_spiral(251, 2.0))[0][64]) - 90
    assert azimuth % 360 == pytest.approx(42.561, abs=1e-3)


def test_training_views_of_srn_cover_the_upper_hemisphere_evenly():
    poses = upper_hemisphere(np.random.default_rng(0), 4000, 1.3)
    assert_looking_at(poses, (0, 0, 0))
    azimuths, elevations, _ = angles_of(poses)
    heights = np.sin(elevations)
    assert heights.min() >= 0
    np.testing.assert_allclose(np.histogram(heights, 4, (0, 1))[0] / 4000, 0.25, atol=0.03)
    np.testing.assert_allclose(np.histogram(azimuths, 4, (-np.pi, np.pi))[0] / 4000, 0.25, atol=0.03)


def test_a_turntable_begins_at_rest():
    table = turntable(np.random.default_rng(1), 5, turning=True, shifting=True)
    (pose,) = table.poses(2.0)[:1]
    np.testing.assert_allclose(pose, [[-1, 0, 0, 0], [0, 0, 1, 2], [0, 1, 0, 0]], atol=1e-12)
    assert table.params()["00000"] == {"azimuth": 0, "elevation": 0, "x": 0, "y": 0, "z": 0}


def test_azimuth_moves_the_camera_to_its_right_and_elevation_up():
    table = turntable(np.random.default_rng(1), 400, turning=True, shifting=False)
    rest = table.poses(2.0)[0]
    right, up = (table.poses(2.0)[:, :, 3] @ rest[:, axis] for axis in (0, 1))
    np.testing.assert_array_equal(np.sign(up[1:]), np.sign(table.elevations[1:]))
    near = np.abs(table.elevations) < 1.5
    np.testing.assert_array_equal(np.sign(right[near][1:]), np.sign(np.sin(table.azimuths[near][1:])))
    assert np.abs(table.elevations).max() <= math.pi / 2
    assert np.abs(table.azimuths).max() <= math.pi
    assert np.abs(table.azimuths).max() > 3
    assert not table.shifts.any()


def test_shifts_are_those_of_the_object_before_a_resting_camera():
    table = turntable(np.random.default_rng(1), 50, turning=False, shifting=True)
    assert 0.25 < np.abs(table.shifts).max() <= ENR_SHIFT
    pose = table.poses(2.0)
    # The object's middle, the origin of the cameras' frame, as the camera sees it: right, up, and nearer.
    seen = np.einsum("nij,ni->nj", pose[:, :, :3], -pose[:, :, 3])
    for index, params in enumerate(table.params().values()):
        # x = -y, y = z, z = x of the place in the world; +y is towards the camera, +x to its left.
        x, y, z = params["x"], params["y"], params["z"]
        np.testing.assert_allclose(seen[index], [-z, y, -2 - x], atol=1e-12)


def test_the_ring_of_nmr_goes_around_in_even_steps():
    poses = nmr_ring(24)
    assert_looking_at(poses, (0, 0, 0))
    azimuths, elevations, distances = angles_of(poses)
    np.testing.assert_allclose(np.degrees(np.unwrap(azimuths)), 90 + 15 * np.arange(24))
    np.testing.assert_allclose(np.degrees(elevations), 30)
    np.testing.assert_allclose(distances, 2.732)


def test_cameras_of_pairs_turn_three_times():
    target = np.array([0, 0, 0.8])
    poses = pair_spiral(60, 6.0, target)
    assert_looking_at(poses, target)
    azimuths, elevations, distances = angles_of(poses, target)
    assert np.unwrap(azimuths)[-1] - azimuths[0] == pytest.approx(6 * np.pi * 59 / 60)
    np.testing.assert_allclose(np.degrees(elevations[[0, 30]]), [0, 40])
    np.testing.assert_allclose(distances, 6)
    swept = pair_sweep(np.random.default_rng(0), 600, 6.0, target)
    assert_looking_at(swept, target)
    azimuths, elevations, _ = angles_of(swept, target)
    assert elevations.min() >= -1e-12
    assert np.degrees(elevations).max() <= 80
    expected = 6 * np.pi * np.arange(600) / 600
    assert np.abs(np.angle(np.exp(1j * (azimuths - expected)))).max() <= 0.5 * 6 * np.pi / 600 + 1e-9


@pytest.mark.parametrize("count", [2, 7, 20, 40])
def test_a_forward_facing_rig_looks_one_way(count):
    target = np.array([0, -0.4, 0.9])
    poses = facing_rig(np.random.default_rng(3), count, 3.0, target, elevation=0.3)
    assert poses.shape == (count, 3, 4)
    np.testing.assert_allclose(np.linalg.det(poses[:, :, :3]), 1)
    backward = poses[:, :, 2]
    assert (backward @ backward.mean(0) / np.linalg.norm(backward.mean(0)) > np.cos(np.radians(15))).all()
    assert len(np.unique(np.round(poses[:, :, 3], 6), axis=0)) == count
    middle = poses[:, :, 3].mean(0) - target
    assert np.linalg.norm(middle) == pytest.approx(3, rel=0.1)
    assert math.atan2(middle[2], middle[1]) == pytest.approx(0.3, abs=0.1)
