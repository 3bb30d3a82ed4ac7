"""Small corrections of poses, against what they are by hand and by finite differences."""

import math

import pytest
import torch

from sightline.geometry import look_at
from sightline.geometry.corrections import (
    common_motions,
    correct_poses,
    pose_errors,
    rotation_matrices,
    without_common_motion,
)
from sightline.geometry.poses import fit_similarity, transform_poses
from sightline.geometry.similarity import Similarity


def random_poses(count: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    eyes = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return look_at(3 * eyes, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))


def test_rotations_by_hand() -> None:
    quarter = torch.tensor([[0.0, 0.0, math.pi / 2], [0.0, 0.0, 0.0]], dtype=torch.float64)
    found = rotation_matrices(quarter)
    expected = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(found, torch.stack([expected, torch.eye(3, dtype=torch.float64)]))


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.3, 3.0])
def test_gradients_of_rotations(size: float) -> None:
    vectors = size * torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(rotation_matrices, (vectors.requires_grad_(),))


def test_gradients_of_corrected_poses() -> None:
    poses = random_poses(3)
    generator = torch.Generator().manual_seed(2)
    turns, shifts = 0.1 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    both = turns.requires_grad_(), shifts.requires_grad_()
    assert torch.autograd.gradcheck(lambda t, s: correct_poses(poses, t, s), both)


def test_a_camera_turns_about_its_own_centre() -> None:
    poses = random_poses()
    turns, shifts = torch.zeros(12, 3), torch.zeros(12, 3)
    turns[0, 1], turns[1, 0], shifts[0, 0] = 0.2, 0.1, 1
    found = correct_poses(poses, turns, shifts)
    torch.testing.assert_close(found[:, :, 3] - poses[:, :, 3], shifts.double())
    angles, distances, _ = pose_errors(torch.cat([found[:, :, :3], poses[:, :, 3:]], -1), poses)
    assert float(distances.max()) < 1e-9
    expected = torch.zeros(12, dtype=torch.float64)
    expected[0], expected[1] = math.degrees(0.2), math.degrees(0.1)
    torch.testing.assert_close(angles, expected, rtol=1e-5, atol=1e-5)


def test_the_whole_set_moving_as_one_is_taken_out() -> None:
    poses, size, reach = random_poses(), 1e-4, 2.5
    generator = torch.Generator().manual_seed(3)
    turn, shift = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    # To first order in its size, a small similarity of the world.
    turns = (size * turn).expand(12, 3)
    shifts = size * (torch.linalg.cross(turn.expand(12, 3), poses[:, :, 3]) + shift + 0.7 * poses[:, :, 3])
    common = common_motions(poses, reach)
    assert common.shape == (72, 7)
    torch.testing.assert_close(common.T @ common, torch.eye(7, dtype=torch.float64))
    left = without_common_motion(turns, shifts, common, reach)
    assert max(float(part.abs().max()) for part in left) < 1e-12
    # What is no such motion stays what it is, up to its share of one.
    own = size * torch.randn(2, 12, 3, generator=generator, dtype=torch.float64)
    rest = without_common_motion(*own, common, reach)
    again = without_common_motion(*rest, common, reach)
    for one, other in zip(rest, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-15)
    assert float((torch.cat(rest) - torch.cat(list(own))).norm()) < 0.7 * float(own.norm())
    # The similarity that brings the corrected cameras back to the given ones is next to none.
    corrected = correct_poses(poses, *rest)
    back = fit_similarity(corrected[:, :, 3], poses[:, :, 3])
    whole = fit_similarity(correct_poses(poses, turns, shifts)[:, :, 3], poses[:, :, 3])
    assert abs(whole.scale - 1) > 5e-5
    assert abs(back.scale - 1) < 2e-5


def test_cameras_in_one_place_have_no_scale() -> None:
    poses = random_poses()
    poses[:, :, 3] = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert common_motions(poses).shape[1] == 6


def test_errors_do_not_depend_on_the_frame() -> None:
    poses = random_poses()
    generator = torch.Generator().manual_seed(4)
    turns, shifts = 0.01 * torch.randn(2, 12, 3, generator=generator, dtype=torch.float64)
    found = correct_poses(poses, turns, shifts)
    similarity = Similarity(
        1.7,
        rotation_matrices(torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64))[0],
        torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64),
    )
    first, second = pose_errors(found, poses), pose_errors(transform_poses(found, similarity), poses)
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(first[1], second[1])
    assert float(first[0].mean()) == pytest.approx(math.degrees(0.01) * 1.6, rel=0.2)
