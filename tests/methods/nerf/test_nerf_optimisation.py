"""Optimisers and schedules of `nerf`."""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from nerf_cases import ball_capture, small_config
from torch import Tensor

from sightline.methods.base import Progress
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.optimisation import Ranger, build_optimiser, rate_factor


def test_exponential_decay_is_that_of_bmild() -> None:
    config = small_config("bmild")
    for step in (0.0, 1e3, 2.5e5, 5e5):
        assert rate_factor(config, step) == pytest.approx(0.1 ** (step / 250_000))


def test_milestones_are_those_of_nerf_pl() -> None:
    config = small_config("nerf_pl")
    positions = [0.0, 1.99, 2.0, 3.5, 4.0, 7.99, 8.0, 100.0]
    factors = [rate_factor(config, position) for position in positions]
    assert factors == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_epochs_are_whole_and_steps_are_not() -> None:
    by_epoch = small_config("nerf_pl", schedule="cosine", decay_span=16.0)
    assert rate_factor(by_epoch, 3.9) == rate_factor(by_epoch, 3.0)
    by_step = small_config("bmild", schedule="cosine", decay_span=16.0)
    assert rate_factor(by_step, 3.9) < rate_factor(by_step, 3.0)


def test_cosine_and_polynomial_end_where_they_should() -> None:
    cosine = small_config(schedule="cosine", decay_span=10.0, learning_rate=5e-4)
    assert rate_factor(cosine, 0.0) == pytest.approx(1)
    assert rate_factor(cosine, 5.0) == pytest.approx(0.5, abs=1e-4)
    assert rate_factor(cosine, 10.0) * 5e-4 == pytest.approx(1e-8)
    assert rate_factor(cosine, 25.0) == rate_factor(cosine, 10.0)
    polynomial = small_config(schedule="polynomial", decay_span=10.0, decay_power=0.9)
    assert rate_factor(polynomial, 4.0) == pytest.approx(0.6**0.9)
    assert rate_factor(polynomial, 11.0) == 0
    assert rate_factor(small_config(schedule="constant"), 1e6) == 1


def test_warm_up_comes_before_the_schedule() -> None:
    config = small_config(warm_up=100.0, decay_span=1000.0)
    assert [rate_factor(config, step) for step in (0.0, 50.0, 100.0)] == pytest.approx([0, 0.5, 1])
    assert rate_factor(config, 1100.0) == pytest.approx(0.1)
    raised = small_config(warm_up=100.0, warm_up_multiplier=3.0, decay_span=1000.0)
    assert [rate_factor(raised, step) for step in (0.0, 50.0, 100.0, 1100.0)] == pytest.approx([1, 2, 3, 0.3])


def make_method(**changes: Any) -> Nerf:
    method = Nerf(small_config(**changes))
    method.batches(method.prepare(ball_capture()), torch.Generator())
    return method


def test_schedules_count_steps_epochs_or_the_training() -> None:
    method = make_method(preset="nerf_pl", rays=100)
    # 10 training views of 20 x 20 pixels.
    assert method.steps_per_epoch == 40
    schedule = method.optimisers()[0].schedule
    assert [schedule(Progress(step, 0.0)) for step in (0, 79, 80, 160, 320)] == [1, 1, 0.5, 0.25, 0.125]
    by_part = make_method(schedule_unit="training", decay_span=1.0).optimisers()[0].schedule
    assert by_part(Progress(7, 0.5)) == pytest.approx(math.sqrt(0.1))
    whole_images = make_method(rays=0, one_image="always")
    assert whole_images.steps_per_epoch == 10


def test_processes_share_an_epoch() -> None:
    capture = ball_capture()
    method = Nerf(small_config("nerf_pl", rays=100))
    method.batches(method.prepare(capture), torch.Generator(), rank=1, world=4)
    assert method.steps_per_epoch == 10


@pytest.mark.parametrize("name", ["adam", "sgd", "radam", "ranger"])
def test_every_optimiser_finds_a_minimum(name: str) -> None:
    torch.manual_seed(0)
    target = torch.randn(20)
    x = torch.zeros(20, requires_grad=True)
    optimiser = build_optimiser(small_config(optimiser=name, learning_rate=0.05), [x])
    for _ in range(1000):
        optimiser.zero_grad()
        (x - target).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(x, target, atol=0.02, rtol=0)


def test_settings_reach_the_optimiser() -> None:
    x = torch.zeros(2, requires_grad=True)
    adam = build_optimiser(small_config("bmild", weight_decay=0.1), [x])
    assert (adam.defaults["eps"], adam.defaults["weight_decay"]) == (1e-7, 0.1)
    sgd = build_optimiser(small_config(optimiser="sgd", momentum=0.7), [x])
    assert sgd.defaults["momentum"] == 0.7


def ranger_steps(x: Tensor, optimiser: torch.optim.Optimizer, count: int) -> list[Tensor]:
    path = []
    for _ in range(count):
        optimiser.zero_grad()
        x.square().sum().backward()
        optimiser.step()
        path.append(x.detach().clone())
    return path


def test_lookahead_goes_half_of_the_way_every_sixth_step() -> None:
    start = torch.tensor([1.0, -2.0])
    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    ranger = ranger_steps(x, Ranger([x], lr=0.1), 6)
    fast = ranger_steps(y, torch.optim.RAdam([y], lr=0.1, betas=(0.95, 0.999)), 6)
    for k in range(5):
        torch.testing.assert_close(ranger[k], fast[k])
    torch.testing.assert_close(ranger[5], start + 0.5 * (fast[5] - start))


def test_ranger_goes_on_as_if_never_stopped() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    optimiser = Ranger([x], lr=0.1)
    ranger_steps(x, optimiser, 8)
    y = x.detach().clone().requires_grad_()
    other = Ranger([y], lr=0.1)
    other.load_state_dict(deepcopy(optimiser.state_dict()))
    for a, b in zip(ranger_steps(x, optimiser, 7), ranger_steps(y, other, 7), strict=True):
        assert torch.equal(a, b)


def test_gradients_are_limited() -> None:
    x = torch.zeros(4, requires_grad=True)
    optimiser = build_optimiser(small_config(optimiser="sgd", momentum=0.0, clip_gradient=0.5), [x])
    (x * torch.tensor([3.0, 0, 0, 4])).sum().backward()
    optimiser.step()
    torch.testing.assert_close(x.grad, torch.tensor([0.3, 0, 0, 0.4]), atol=1e-6, rtol=0)
