"""That `ngp` learns, the same in every run, and that what it has learnt survives being saved."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ngp_cases import SMALL, Training, ball_capture

from method_training import held_out_psnr, picture, stop_and_resume
from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.kernels import parallel
from sightline.methods.base import Progress
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.method import Ngp

# Held-out PSNR, 2 dB below the median of five seeds; where seeds differ by more than that, below them all.
BALL_FLOOR = 28.5
SURROUNDINGS_FLOOR = 21.0
FOX_FLOOR = 24.4
FINE = replace(SMALL, levels=6, finest=256, log2_entries=14)


@pytest.fixture(scope="module")
def trained() -> Training:
    return Training(ball_capture(), SMALL, seed=0, steps=150).advance(150)


def test_a_ball_is_learnt(trained: Training) -> None:
    psnr = held_out_psnr(trained.method, trained.capture)
    assert psnr > BALL_FLOOR
    truth = torch.from_numpy(trained.capture.images[3].copy())[..., 3].float() / 255
    opacity = picture(trained.method, trained.capture, 3).opacity
    assert opacity is not None
    assert float((opacity - truth).abs().mean()) < 0.08


def test_the_sample_budget_is_kept(trained: Training) -> None:
    losses = trained.method(next(trained.batches), Progress(150, 1.0))
    assert losses["samples"] == pytest.approx(SMALL.batch_samples, rel=0.25)
    assert losses["rays"] > 2 * SMALL.batch_samples / SMALL.samples_per_ray


def test_a_ball_before_far_surroundings_is_learnt() -> None:
    training = Training(ball_capture(surroundings=True), FINE, seed=0, steps=150).advance(150)
    assert training.method.frame.contracted
    assert held_out_psnr(training.method, training.capture) > SURROUNDINGS_FLOOR


def test_a_restored_method_gives_the_same_pictures(trained: Training) -> None:
    expected = picture(trained.method, trained.capture, 3)
    other = Ngp(SMALL)
    other.restore(trained.method.state())
    other.load_state_dict(trained.method.state_dict())
    found = picture(other, trained.capture, 3)
    for name in ("rgb", "depth", "opacity", "depth_sum"):
        ours, theirs = (getattr(rendering, name).nan_to_num(-1) for rendering in (found, expected))
        assert torch.equal(ours, theirs), name
    assert torch.equal(other.encode().bounds, trained.method.encode().bounds)


def test_equal_seeds_give_equal_weights() -> None:
    capture = ball_capture()
    first, second = (Training(capture, SMALL, seed=4, steps=40).advance(20) for _ in range(2))
    assert first.losses == second.losses
    for name, value in first.method.state_dict().items():
        assert torch.equal(value, second.method.state_dict()[name]), name
    other = Training(capture, SMALL, seed=5, steps=40).advance(3)
    assert other.losses != first.losses[:3]


def test_the_number_of_threads_changes_nothing() -> None:
    capture, found = ball_capture(), []
    try:
        for threads in (1, 2, 5):
            parallel.set_thread_count(threads)
            found.append(Training(capture, SMALL, seed=4, steps=40).advance(34))
    finally:
        parallel.set_thread_count(None)
    for other in found[1:]:
        assert other.losses == found[0].losses
        for name, value in found[0].method.state_dict().items():
            assert torch.equal(value, other.method.state_dict()[name]), name


def test_training_goes_on_as_if_never_stopped() -> None:
    capture = ball_capture()
    through, resumed = stop_and_resume(lambda seed: Training(capture, SMALL, seed, steps=40), 20, 18)
    assert torch.equal(resumed.method.field.table, through.method.field.table)
    assert torch.equal(resumed.method.grid.opacity, through.method.grid.opacity)


def test_captures_without_training_views_are_refused() -> None:
    capture = ball_capture(4, 8)
    with pytest.raises(InputError, match="no training views"):
        Ngp(SMALL).prepare(replace(capture, splits={"train": (), "test": (0,)}))


@pytest.mark.slow
def test_photos_are_learnt(shared: Path) -> None:
    capture = open_capture(shared / "data" / "fox", downscale=8)
    training = Training(capture, NgpConfig(), seed=0, steps=300).advance(300)
    assert held_out_psnr(training.method, training.capture) > FOX_FLOOR
