"""What is learnt of photos besides the scene: that it is found, fixed to the identity on the mean, and resumed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ngp_cases import SMALL, Training, ball_capture

from method_training import held_out_psnr, stop_and_resume
from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry.corrections import (
    common_motions,
    correct_poses,
    pose_errors,
    without_common_motion,
)
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.method import Ngp

BOTH = replace(SMALL, refine="exposure,poses", pose_from=0.05, pose_every=2)


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
    with pytest.raises(InputError, match="no 'focus' to refine.*exposure, poses"):
        NgpConfig(refine="exposure,focus")


def test_the_first_loss_is_that_without() -> None:
    capture = ball_capture()
    plain = Training(capture, SMALL, seed=3, steps=40).advance(1)
    both = Training(capture, BOTH, seed=3, steps=40).advance(1)
    assert both.losses[0] == pytest.approx(plain.losses[0], rel=1e-6)


def test_nothing_of_it_is_kept_where_it_is_off() -> None:
    method = Training(ball_capture(8, 16), SMALL, seed=0, steps=4).advance(1).method
    assert not [name for name in method.state_dict() if "refinement" in name]
    assert "photos" not in method.state()
    assert method.fitted == ()
    assert method.refined_cameras(ball_capture(8, 16).cameras) is None


def test_gains_are_found() -> None:
    clean = ball_capture(count=28)
    capture, gains = exposed(clean)
    config = replace(SMALL, refine="exposure", exposure_rate=2e-2)
    plain = Training(capture, SMALL, seed=0, steps=200).advance(200)
    refined = Training(capture, config, seed=0, steps=200).advance(200)
    assert held_out_psnr(refined.method, clean) > held_out_psnr(plain.method, clean) + 0.8
    found = 1 + refined.method.refinement.gains.detach().double()
    torch.testing.assert_close(found.mean(0), torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    before, after = (gains - 1).square().mean().sqrt(), (gains - found).square().mean().sqrt()
    assert float(after) < 0.7 * float(before)
    assert np.corrcoef(found.flatten().numpy(), gains.flatten().numpy())[0, 1] > 0.75


def test_poses_are_found() -> None:
    clean = ball_capture(count=28)
    capture = shaken(clean)
    train = list(clean.splits["train"])
    truth = clean.cameras.c2w[train]
    config = replace(BOTH, refine="poses", pose_rate=2e-3)
    plain = Training(capture, SMALL, seed=0, steps=300).advance(300)
    refined = Training(capture, config, seed=0, steps=300).advance(300)
    cameras = refined.method.refined_cameras(capture.cameras[train])
    assert cameras is not None
    before, after = pose_errors(capture.cameras.c2w[train], truth), pose_errors(cameras.c2w, truth)
    print(before[0].mean(), after[0].mean(), before[1].mean(), after[1].mean())
    print(held_out_psnr(refined.method, clean), held_out_psnr(plain.method, clean))
    # Nothing has moved as a whole.
    _, _, similarity = pose_errors(cameras.c2w, capture.cameras.c2w[train])
    assert abs(similarity.scale - 1) < 1e-3
    assert float(after[0].mean()) < 0.5 * float(before[0].mean())


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
    method = Training(capture, BOTH, seed=0, steps=20).advance(12).method
    other = Ngp(BOTH)
    other.restore(method.state())
    other.load_state_dict(method.state_dict())
    train = list(capture.splits["train"])
    ours, theirs = (m.refined_cameras(capture.cameras[train]) for m in (method, other))
    assert ours is not None
    assert torch.equal(ours.c2w, theirs.c2w)
    assert not torch.allclose(ours.c2w, capture.cameras.c2w[train], atol=1e-6)
    assert other.fitted == ("exposure",)
