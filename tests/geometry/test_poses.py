import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from sightline.geometry import (
    average_pose,
    axes_meet,
    focus_point,
    interpolate_poses,
    look_at,
    quaternion_to_rotation,
    recentre,
    rotation_to_quaternion,
    slerp,
    up_direction,
)

UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def random_quaternions(n, seed):
    q = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return q / q.norm(dim=-1, keepdim=True)


def ring(n=12, radius=3.0, height=1.0, target=(0.5, -0.2, 0.1), span=2 * math.pi):
    """Cameras around a target, upright in a world whose z is up."""
    angles = torch.arange(n, dtype=torch.float64) * (span / n)
    target = torch.tensor(target, dtype=torch.float64)
    offsets = torch.stack([radius * torch.cos(angles), radius * torch.sin(angles), height + 0 * angles], -1)
    return look_at(target + offsets, target, UP)


def forward_facing(n=20, seed=0, parallel=True):
    """Cameras side by side that look along -z, with y up."""
    eyes = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    eyes[:, 2] *= 0.1
    target = eyes - torch.tensor([0.0, 0.0, 1.0]) if parallel else torch.tensor([0.1, 0.0, -4.0]).expand(n, 3)
    return look_at(eyes, target, torch.tensor([0.0, 1.0, 0.0]))


def assert_rotations(c2w):
    rotation = c2w[..., :3]
    identity = torch.eye(3, dtype=torch.float64).expand_as(rotation)
    torch.testing.assert_close(rotation.mT @ rotation, identity, atol=1e-9, rtol=0)
    assert (torch.linalg.det(rotation) > 0).all()


def test_look_at_by_hand():
    pose = look_at(torch.tensor([0.0, -2.0, 0.0]), torch.zeros(3), UP)
    # Looking along +y with z up: right is +x, up is +z, backward is -y.
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, -2], [0, 1, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(pose, expected)


@pytest.mark.parametrize("up", [[0.0, 0, 1], [0.0, 0, -1], [1.0, 0, 0]])
def test_look_at_survives_degenerate_views(up):
    eyes = torch.tensor([[0.0, 0, 3], [0.0, 0, -3], [0.0, 0, 0]], dtype=torch.float64)
    poses = look_at(eyes, torch.zeros(3), torch.tensor(up))
    assert_rotations(poses)
    torch.testing.assert_close(poses[:2, :, 2], eyes[:2] / 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_quaternions_are_scipys_and_come_back(seed):
    q = random_quaternions(20, seed)
    q = torch.where(q[:, :1] < 0, -q, q)
    rotation = quaternion_to_rotation(q)
    expected = Rotation.from_quat(q[:, [1, 2, 3, 0]].numpy()).as_matrix()
    torch.testing.assert_close(rotation, torch.from_numpy(expected))
    torch.testing.assert_close(rotation_to_quaternion(rotation), q, atol=1e-12, rtol=0)


def test_quaternions_of_half_turns():
    for axis in range(3):
        signs = -torch.ones(3, dtype=torch.float64)
        signs[axis] = 1.0
        found = rotation_to_quaternion(torch.diag(signs))
        expected = torch.zeros(4, dtype=torch.float64)
        expected[1 + axis] = 1.0
        torch.testing.assert_close(found.abs(), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_slerp_is_scipys(seed):
    start, end = random_quaternions(2, seed)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    found = quaternion_to_rotation(slerp(start.expand(9, 4), end.expand(9, 4), t))
    keys = Rotation.from_quat(torch.stack([start, end])[:, [1, 2, 3, 0]].numpy())
    torch.testing.assert_close(found, torch.from_numpy(Slerp([0, 1], keys)(t.numpy()).as_matrix()))


def test_slerp_between_equal_rotations():
    q = random_quaternions(3, 0)
    torch.testing.assert_close(slerp(q, q, torch.tensor([0.0, 0.5, 1.0])), q)
    torch.testing.assert_close(slerp(q, -q, torch.tensor([0.0, 0.5, 0.9])), q)


def test_average_and_recentre():
    poses = forward_facing(parallel=False)
    average = average_pose(poses)
    torch.testing.assert_close(average[:, 3], poses[:, :, 3].mean(0))
    moved, similarity = recentre(poses)
    assert_rotations(moved)
    torch.testing.assert_close(average_pose(moved), torch.eye(4, dtype=torch.float64)[:3], atol=1e-12, rtol=0)
    torch.testing.assert_close(similarity.apply(poses[:, :, 3]), moved[:, :, 3])
    torch.testing.assert_close(similarity.apply_directions(poses[:, :, 0]), moved[:, :, 0])
    assert similarity.scale == 1.0


def test_average_of_opposite_cameras_is_a_pose():
    poses = ring(4, height=0.0, target=(0.0, 0.0, 0.0))
    average = average_pose(poses)
    assert_rotations(average)
    torch.testing.assert_close(average[:, 3], torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(average[:, 1], UP)


@pytest.mark.parametrize("loop", [False, True])
def test_interpolation_goes_through_its_poses_smoothly(loop):
    poses = ring(6)
    n = len(poses)
    keys = interpolate_poses(poses, torch.arange(n, dtype=torch.float64), loop)
    torch.testing.assert_close(keys, poses)
    fine = interpolate_poses(poses, torch.linspace(0, n if loop else n - 1, 600, dtype=torch.float64), loop)
    assert_rotations(fine)
    velocity = fine[:, :, 3].diff(dim=0)
    # Catmull-Rom has a continuous tangent: from step to step it changes little.
    assert float(velocity.diff(dim=0).norm(dim=-1).max()) < 0.05 * float(velocity.norm(dim=-1).mean())
    if loop:
        torch.testing.assert_close(fine[-1], poses[0])


def test_interpolation_by_hand():
    poses = torch.eye(4, dtype=torch.float64)[:3].repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 1.0, 2.0])
    found = interpolate_poses(poses, torch.tensor([-1.0, 0.25, 1.5, 9.0]))
    torch.testing.assert_close(found[:, 0, 3], torch.tensor([0.0, 0.25, 1.5, 2.0], dtype=torch.float64))
    assert interpolate_poses(poses[:1], torch.tensor([0.0, 0.7])).tolist() == [poses[0].tolist()] * 2
    # Points 0, 1, 5 have knots 1 and 2 apart; the tangents of the first part are 1 and (2 * 1 + 1 * 2) / 3.
    poses[:, 0, 3] = torch.tensor([0.0, 1.0, 5.0])
    middle = interpolate_poses(poses, torch.tensor([0.5]))
    assert float(middle[0, 0, 3]) == pytest.approx(0.5 + (1 - 4 / 3) / 8)
    # Where two poses share their place, the path waits there.
    poses[:, 0, 3] = torch.tensor([0.0, 1.0, 1.0])
    waiting = interpolate_poses(poses, torch.tensor([1.0, 1.3, 1.8]))
    torch.testing.assert_close(waiting[:, 0, 3], torch.ones(3).double())
    two = interpolate_poses(ring(2), torch.tensor([0.5, 1.5]), loop=True)
    assert_rotations(two)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.floats(-2, 2), st.floats(0.5, 10))
def test_focus_of_cameras_that_look_at_a_point(n, height, radius):
    poses = ring(n, radius, height, span=math.pi)
    assert axes_meet(poses)
    torch.testing.assert_close(
        focus_point(poses), torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64), atol=1e-8, rtol=0
    )


def test_focus_is_found_far_from_the_origin():
    poses = ring()
    poses[:, :, 3] += 1e6
    expected = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64) + 1e6
    torch.testing.assert_close(focus_point(poses), expected, atol=1e-6, rtol=0)


def test_focus_of_parallel_or_outward_axes_is_ahead():
    poses = forward_facing()
    assert not axes_meet(poses)
    focus = focus_point(poses)
    centres = poses[:, :, 3]
    spread = (centres - centres.mean(0)).square().sum(-1).mean().sqrt()
    torch.testing.assert_close(focus, centres.mean(0) - 4 * spread * torch.tensor([0.0, 0.0, 1.0]))
    one = poses[:1]
    assert not axes_meet(one)
    torch.testing.assert_close(focus_point(one), one[0, :, 3] - one[0, :, 2])
    outward = ring()
    outward[:, :, 0] *= -1
    outward[:, :, 2] *= -1
    assert not axes_meet(outward)
    assert torch.isfinite(focus_point(outward)).all()


def rolled(poses, degrees, seed):
    """Turn each camera about its own axis by a random angle of that standard deviation."""
    angles = torch.randn(len(poses), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    angles = torch.deg2rad(degrees * angles)
    right, up = poses[:, :, 0], poses[:, :, 1]
    c, s = torch.cos(angles)[:, None], torch.sin(angles)[:, None]
    return torch.stack([c * right + s * up, c * up - s * right, poses[:, :, 2], poses[:, :, 3]], -1)


@pytest.mark.parametrize("span", [2 * math.pi, math.pi, math.pi / 3])
@pytest.mark.parametrize("height", [-1.0, 0.5, 6.0])
def test_up_of_level_cameras(span, height):
    found = up_direction(ring(40, height=height, span=span))
    torch.testing.assert_close(found, UP, atol=1e-6, rtol=0)


def test_up_bears_rolls_and_the_other_way_up():
    assert float(up_direction(rolled(ring(60), 5.0, 0)) @ UP) > math.cos(math.radians(3))
    upside_down = ring()
    upside_down[:, :, :2] *= -1
    torch.testing.assert_close(up_direction(upside_down), -UP)


def test_up_of_forward_facing_and_single_cameras():
    y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(up_direction(forward_facing()), y)
    tilted = ring(1, height=2.0)
    torch.testing.assert_close(up_direction(tilted), tilted[0, :, 1])


def test_up_of_cameras_that_look_straight_down():
    angles = torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)[:8]
    heading = torch.stack([torch.cos(angles), torch.sin(angles), 0 * angles], -1)
    eyes = 10 * UP + heading
    poses = look_at(eyes, eyes - UP, heading)
    torch.testing.assert_close(up_direction(poses), UP)


def test_fox_has_its_subject_in_the_middle(shared):
    frames = json.loads((shared / "data" / "fox" / "transforms.json").read_text(encoding="utf-8"))["frames"]
    poses = torch.tensor([f["transform_matrix"] for f in frames], dtype=torch.float64)[:, :3]
    assert axes_meet(poses)
    # All cameras have the point that their axes meet at within 20 degrees of the middle of their view.
    arms = focus_point(poses) - poses[:, :, 3]
    cosines = (arms * -poses[:, :, 2]).sum(-1) / arms.norm(dim=-1)
    assert float(cosines.min()) > math.cos(math.radians(20))
    # That capture is stored with z up.
    assert float(up_direction(poses) @ UP) > math.cos(math.radians(10))
