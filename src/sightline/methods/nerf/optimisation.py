"""Optimisers of `nerf` and how their learning rate moves."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from sightline.methods.nerf.config import NerfConfig
from sightline.networks.fused_adam import fused_adam
from sightline.networks.gradient_limits import limit_gradients

_COSINE_END = 1e-8
"""learning rate at the end of the cosine"""


def build_optimiser(config: NerfConfig, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Make the optimiser that the configuration names for parameters (of any shape)."""
    parameters = list(parameters)
    rate, decay, eps = config.learning_rate, config.weight_decay, config.optimiser_eps
    optimiser: torch.optim.Optimizer
    if config.optimiser == "sgd":
        optimiser = torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay)
    elif config.optimiser == "radam":
        optimiser = torch.optim.RAdam(parameters, lr=rate, eps=eps, weight_decay=decay)
    elif config.optimiser == "ranger":
        optimiser = Ranger(parameters, lr=rate, eps=eps, weight_decay=decay)
    else:
        optimiser = fused_adam(parameters, lr=rate, eps=eps, weight_decay=decay)
    limit_gradients(optimiser, config.clip_gradient)
    return optimiser


class Ranger(torch.optim.RAdam):
    """Rectified Adam (Liu et al. 2020) with lookahead (Zhang et al. 2019).

    Every sixth step, slow weights go half of the way to the fast ones, which then begin from there.
    """

    _EVERY, _PART = 6, 0.5

    def __init__(self, parameters: Iterable[Tensor], **settings: Any):
        super().__init__(parameters, betas=(0.95, 0.999), **settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        updated = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        # Slow weights begin where the fast ones do. RAdam makes its own state only where there is none yet.
        begun = {p: p.clone() for p in updated if "slow" not in self.state[p]}
        loss = super().step(closure)
        for parameter in updated:
            state = self.state[parameter]
            if parameter in begun:
                state["slow"] = begun[parameter]
            if int(state["step"]) % self._EVERY == 0:
                state["slow"] += self._PART * (parameter - state["slow"])
                parameter.copy_(state["slow"])
        return loss


def rate_factor(config: NerfConfig, position: float) -> float:
    """Give the factor of the learning rate where training stands.

    Args:
        position: in units of `config.schedule_unit`; epochs count with their fraction here.
    """
    if position < config.warm_up:
        part = position / config.warm_up
        more = config.warm_up_multiplier - 1
        return 1 + more * part if more > 0 else part
    raised = max(1.0, config.warm_up_multiplier) if config.warm_up else 1.0
    position -= config.warm_up
    # Published programs move the rate between epochs, never within one.
    position = float(math.floor(position + 1e-9)) if config.schedule_unit == "epoch" else position
    return raised * _decay(config, position)


def _decay(config: NerfConfig, position: float) -> float:
    part = position / config.decay_span
    if config.schedule == "exponential":
        return config.decay_rate**part
    if config.schedule == "steps":
        return config.decay_rate ** sum(position >= milestone for milestone in config.decay_milestones)
    if config.schedule == "cosine":
        end = _COSINE_END / config.learning_rate
        return end + (1 - end) * (1 + math.cos(math.pi * min(part, 1.0))) / 2
    if config.schedule == "polynomial":
        return max(0.0, 1 - part) ** config.decay_power
    return 1.0
