"""What is learnt of photos besides the scene: that it is found, has no common part, and is resumed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ngp_cases import BALL_CENTRE, BALL_RADIUS, SMALL, Training, ball_capture

from method_training import held_out_psnr, stop_and_resume
from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.geometry.corrections import (
    common_motions,
    correct_poses,
    pose_errors,
    without_common_motion,
)
from sightline.methods.base import Progress
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.method import Ngp
from sightline.methods.ngp.refinement import Refinement

FINE = replace(SMALL, finest=128, batch_samples=2048)
BOTH = replace(FINE, refine="exposure,poses", pose_from=0.05)


def exposed(capture: Capture, spread: float = 0.12) -> tuple[Capture, torch.Tensor]:
    """Change the training photos' colours by known gains, whose mean is 1; the others stay."""
    train = list(capture.splits["train"])
    gains = np.exp(np.random.default_rng(0).normal(0, spread, (len(train), 3)))
    gains /= gains.mean(0)
    images = [capture.images[view].copy() for view in range(len(capture))]
    for view, gain in zip(train, gains, strict=True):
        images[view][..., :3] = (images[view][..., :3] * gain).clip(0, 255).round()
    return replace(capture, images=ImageStore.from_arrays(images)), torch.from_numpy(gains)


def shaken(capture: Capture, degrees: float = 0.6, shift: float = 0.03) -> Capture:
    """Move the training cameras by chance, not as a whole; the images and the other cameras stay."""
    train = list(capture.splits["train"])
    generator = torch.Generator().manual_seed(1)
    turns = math.radians(degrees) * torch.randn(len(train), 3, generator=generator, dtype=torch.float64)
    shifts = shift * torch.randn(len(train), 3, generator=generator, dtype=torch.float64)
    poses = capture.cameras.c2w.clone()
    turns, shifts = without_common_motion(turns, shifts, common_motions(poses[train], 4.0), 4.0)
    poses[train] = correct_poses(poses[train], turns, shifts)
    return replace(capture, cameras=replace(capture.cameras, c2w=poses))


def test_names_are_checked() -> None:
    assert NgpConfig(refine=" poses , exposure").refined == ("poses", "exposure")
    assert NgpConfig().refined == ()
    with pytest.raises(InputError, match=r"no 'focus' to refine.*exposure, poses"):
        NgpConfig(refine="exposure,focus")


def test_the_first_loss_is_that_without() -> None:
    capture = ball_capture()
    plain = Training(capture, FINE, seed=3, steps=40).advance(1)
    both = Training(capture, BOTH, seed=3, steps=40).advance(1)
    assert both.losses[0] == pytest.approx(plain.losses[0], rel=1e-6)


def test_coarse_levels_move_poses_first() -> None:
    refinement = Refinement(replace(BOTH, pose_from=0.1, pose_fine=0.5), photos=3)
    # Four levels: halfway to 0.5, the third has just joined in, and the last not yet.
    assert refinement.shares(Progress(0, 0.1)) == pytest.approx((1, 0, 0, 0))
    assert refinement.shares(Progress(0, 0.25)) == pytest.approx((1, 1, 0.5, 0))
    assert refinement.shares(Progress(0, 0.3)) == pytest.approx((1, 1, 1, 0))
    assert refinement.shares(Progress(0, 0.5)) is None
    assert Refinement(replace(SMALL, refine="exposure"), photos=3).shares(Progress(0, 0.2)) is None


def test_nothing_of_it_is_kept_where_it_is_off() -> None:
    method = Training(ball_capture(8, 16), SMALL, seed=0, steps=4).advance(1).method
    assert not [name for name in method.state_dict() if "refinement" in name]
    assert "photos" not in method.state()
    assert method.fitted == ()
    assert method.refined_cameras(ball_capture(8, 16).cameras) is None


def pixels_apart(found: Cameras, truth: Cameras) -> float:
    """Mean distance in pixels of points of the ball in pictures by both cameras."""
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator).double(), dim=-1)
    points = BALL_RADIUS * normals + torch.from_numpy(BALL_CENTRE)
    apart = [found.project(points, k)[0] - truth.project(points, k)[0] for k in range(len(found))]
    return float(torch.stack(apart).norm(dim=-1).mean())


def test_gains_are_found() -> None:
    clean = ball_capture(count=28, waves=8)
    capture, gains = exposed(clean)
    plain = Training(capture, FINE, seed=0, steps=200).advance(200)
    refined = Training(capture, replace(FINE, refine="exposure"), seed=0, steps=200).advance(200)
    found = 1 + refined.method.refinement.gains.detach().double()
    torch.testing.assert_close(found.mean(0), torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    before, after = (float((gains - g).square().mean().sqrt()) for g in (torch.ones_like(gains), found))
    scores = [held_out_psnr(training.method, clean) for training in (plain, refined)]
    assert before == pytest.approx(0.111, abs=0.001)
    assert after < 0.05
    assert scores[1] > scores[0] + 0.3


def test_poses_are_found() -> None:
    clean = ball_capture(count=28, waves=8)
    capture, train = shaken(clean), list(clean.splits["train"])
    given, truth = capture.cameras[train], clean.cameras[train]
    plain = Training(capture, FINE, seed=0, steps=200).advance(200)
    refined = Training(capture, replace(BOTH, refine="poses"), seed=0, steps=200).advance(200)
    cameras = refined.method.refined_cameras(given)
    assert cameras is not None
    # On the mean, points appear 1.2 pixels from where they belong in the photos.
    assert pixels_apart(given, truth) == pytest.approx(1.24, abs=0.01)
    scores = [held_out_psnr(training.method, clean) for training in (plain, refined)]
    assert pixels_apart(cameras, truth) < 0.35
    assert scores[1] > scores[0] + 4
    # The whole set has not moved, so that held-out cameras still fit.
    _, _, similarity = pose_errors(cameras.c2w, given.c2w)
    assert similarity.scale == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(cameras.centres.mean(0), given.centres.mean(0), atol=1e-6, rtol=0)


def test_training_goes_on_as_if_never_stopped() -> None:
    capture = ball_capture()
    through, resumed = stop_and_resume(lambda seed: Training(capture, BOTH, seed, steps=40), 20, 18)
    for name, value in through.method.state_dict().items():
        assert torch.equal(resumed.method.state_dict()[name], value), name
    refinement = through.method.refinement
    for changes in (refinement.gains, refinement.turns, refinement.shifts):
        assert float(changes.detach().abs().max()) > 0


def test_a_restored_method_corrects_the_same() -> None:
    capture = ball_capture(12, 24)
    method = Training(capture, BOTH, seed=0, steps=24).advance(24).method
    other = Ngp(BOTH)
    other.restore(method.state())
    other.load_state_dict(method.state_dict())
    train = list(capture.splits["train"])
    ours, theirs = (m.refined_cameras(capture.cameras[train]) for m in (method, other))
    assert ours is not None
    assert theirs is not None
    assert torch.equal(ours.c2w, theirs.c2w)
    assert not torch.allclose(ours.c2w, capture.cameras.c2w[train], atol=1e-6)
    assert other.fitted == ("exposure",)
