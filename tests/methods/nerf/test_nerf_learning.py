"""That `nerf` learns, the same in every run, and that what it has learnt survives being saved."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from nerf_cases import Training, ball_capture, small_config, wall_capture
from torch import Tensor, nn

from method_training import held_out_psnr, picture, stop_and_resume
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.methods.base import Progress
from sightline.methods.nerf.method import Nerf

# Held-out PSNR, below what all of five seeds reach.
BALL_FLOOR = 21.0
WALL_FLOOR = 30.0
# Densities that start positive everywhere, so that no seed begins dead.
SOFT: dict[str, Any] = {"density_activation": "softplus", "pixel_centre": 0.5}


@pytest.fixture(scope="module")
def trained() -> Training:
    return Training(ball_capture(), small_config(**SOFT), seed=0, steps=150).advance(150)


def test_a_ball_is_learnt(trained: Training) -> None:
    assert held_out_psnr(trained.method, trained.capture) > BALL_FLOOR
    truth = torch.from_numpy(trained.capture.images[2].copy())[..., 3].float() / 255
    rendering = picture(trained.method, trained.capture, 2)
    assert rendering.opacity is not None
    assert rendering.depth is not None
    assert float((rendering.opacity - truth).abs().mean()) < 0.2
    # The ball's nearest point is 3 units away, its outline sqrt(15).
    inside = (truth > 0.5) & (rendering.opacity > 0.5)
    assert float(rendering.depth[inside].mean()) == pytest.approx(3.4, abs=0.4)


@pytest.mark.parametrize("preset", ["bmild", "nerf_pl"])
def test_a_wall_is_learnt_in_device_coordinates(preset: str) -> None:
    changes = {} if preset == "bmild" else {"schedule_unit": "step", "decay_milestones": (100.0,)}
    training = Training(wall_capture(), small_config(preset, **changes), seed=0, steps=150).advance(150)
    assert training.method.frame.ndc is not None
    assert held_out_psnr(training.method, training.capture) > WALL_FLOOR
    depth = picture(training.method, training.capture, 2).depth
    assert depth is not None
    assert float(depth.median()) == pytest.approx(6.2, abs=0.8)


def test_the_small_model_learns_from_whole_images() -> None:
    capture = ball_capture()
    # Painted on black, as its data is.
    images = [capture.images[view] for view in range(len(capture))]
    images = [(i[..., :3] * (i[..., 3:] / 255.0)).astype(np.uint8) for i in images]
    capture = replace(capture, images=ImageStore.from_arrays(images), background="black")
    changes = {"rays": 0, "one_image": "always", "coarse_samples": 32, "fine_samples": 0, **SOFT}
    training = Training(capture, small_config("tiny", **changes), seed=0, steps=80).advance(80)
    assert list(training.method.networks) == ["coarse"]
    assert np.mean(training.losses[-5:]) < 0.4 * np.mean(training.losses[:3])


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "radam"},
        {"optimiser": "sgd", "learning_rate": 0.3},
        {"background": "random"},
        {"background": "drop_alpha"},
        {"layer_precision": "bfloat16", "rematerialise": True},
        {"view_directions": "none", "disparity": True, "jitter": "onwards"},
        {"ray_directions": "unit", "transmittance_guard": "clip", "histogram_guard": "clip"},
    ],
)
def test_every_switch_learns(changes: dict[str, Any]) -> None:
    config = small_config(**{**SOFT, "rays": 128, "coarse_samples": 12, "fine_samples": 12, **changes})
    losses = Training(ball_capture(), config, seed=0, steps=60).advance(60).losses
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:3])


def test_a_restored_method_gives_the_same_pictures(trained: Training) -> None:
    other = Nerf(small_config(**SOFT))
    other.restore(trained.method.state())
    other.load_state_dict(trained.method.state_dict())
    found, expected = (picture(method, trained.capture, 3) for method in (other, trained.method))
    for name in ("rgb", "depth", "opacity", "depth_sum"):
        ours, theirs = (getattr(rendering, name).nan_to_num(-1) for rendering in (found, expected))
        assert torch.equal(ours, theirs), name
    assert torch.equal(other.encode().bounds, trained.method.encode().bounds)


def test_equal_seeds_give_equal_weights() -> None:
    capture = ball_capture()
    first, second = (Training(capture, small_config(), seed=4, steps=40).advance(6) for _ in range(2))
    assert first.losses == second.losses
    for name, value in first.method.state_dict().items():
        assert torch.equal(value, second.method.state_dict()[name]), name
    assert Training(capture, small_config(), seed=5, steps=40).advance(2).losses != first.losses[:2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batching": "replacement", "background": "random", "optimiser": "ranger"},
        {"one_image": "always", "precrop_steps": 10, "noise": 0.5},
    ],
)
def test_training_goes_on_as_if_never_stopped(changes: dict[str, Any]) -> None:
    capture, config = ball_capture(), small_config(**changes)
    through, resumed = stop_and_resume(lambda seed: Training(capture, config, seed, steps=20), 8, 6)
    for name, value in through.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name


def silence(network: nn.Module) -> None:
    """Leave a network without any density, and so without gradients."""
    layer = network.get_submodule("density")
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, -1.0)


def dead_weights(method: Nerf) -> Tensor:
    return method.networks["fine"].get_parameter("density.bias").detach().clone()


def test_a_dead_network_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    config = small_config(rays=16, coarse_samples=4, fine_samples=4)
    training = Training(ball_capture(), config, seed=0, steps=400)
    silence(training.method.networks["fine"])
    before = deepcopy(training.method.networks["coarse"].state_dict())
    training.advance(100)
    assert float(dead_weights(training.method)) == -1
    with caplog.at_level("WARNING", "sightline"):
        training.advance(1)
    assert "fine network finds nothing" in caplog.text
    assert float(dead_weights(training.method)) != -1
    assert not training.optimisation.optimiser.state[
        training.method.networks["fine"].get_parameter("view.bias")
    ]
    after = training.method.networks["coarse"].state_dict()
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    assert training.method.training_state()["restarts"] == 1


def test_a_dead_network_stays_where_that_is_asked_for_or_right() -> None:
    config = small_config(rays=16, coarse_samples=4, fine_samples=4)
    for capture, changes in ((ball_capture(), {"restart_dead": False}), (_empty(), {})):
        training = Training(capture, replace(config, **changes), seed=0, steps=400)
        silence(training.method.networks["fine"])
        silence(training.method.networks["coarse"])
        training.advance(101)
        assert float(dead_weights(training.method)) == -1


def _empty() -> Any:
    capture = ball_capture()
    return replace(capture, images=ImageStore.from_arrays([np.zeros((20, 20, 4), np.uint8)] * 12))


def test_losses_are_those_of_both_networks() -> None:
    training = Training(ball_capture(), small_config(perturb=0.0), seed=0, steps=10)
    losses = training.method(next(training.batches), Progress(0, 0.0))
    both = 10 ** (-losses["psnr"] / 10) + 10 ** (-losses["psnr_coarse"] / 10)
    torch.testing.assert_close(losses["loss"].detach(), both)
    assert losses["rays"] == 256
    assert losses["samples"] == 256 * (16 + 32)


def test_what_cannot_be_trained_on_is_refused() -> None:
    capture = ball_capture()
    with pytest.raises(InputError, match="no training views"):
        Nerf(small_config()).prepare(replace(capture, splits={"train": (), "test": (0,)}))
    with pytest.raises(InputError, match="no alpha"):
        Nerf(small_config(background="random")).prepare(wall_capture())
