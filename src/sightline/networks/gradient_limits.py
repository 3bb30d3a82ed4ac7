"""Gradients that are cut before a step."""

from typing import Any

import torch
from torch import nn


def limit_gradients(optimiser: torch.optim.Optimizer, norm: float | None, value: float | None = None) -> None:
    """Cut the gradients of an optimiser's parameters before each of its steps.

    Args:
        norm: largest norm of all of them together (Pascanu et al. 2013, section 3.2); as it is if not given.
        value: largest magnitude of their numbers, which are cut first.
    """
    if norm is None and value is None:
        return
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]

    def limit(*_: Any) -> None:
        if value is not None:
            nn.utils.clip_grad_value_(parameters, value)
        if norm is not None:
            nn.utils.clip_grad_norm_(parameters, norm)

    optimiser.register_step_pre_hook(limit)
