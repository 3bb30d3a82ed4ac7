"""Refusal of second derivatives by kernels whose gradients are written by hand."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from sightline.foundation.errors import InputError


def first_order(backward: Callable) -> Callable:
    """Decorate the `backward` of a `torch.autograd.Function` that has no second derivative.

    `torch.autograd.function.once_differentiable` refuses only where the upstream gradient itself is
    differentiable. With a constant one, as from `sum()`, it gives gradients that count as constants, and a
    loss of them quietly learns nothing.

    Raises:
        InputError: the gradient is asked for with `create_graph=True`.
    """

    @functools.wraps(backward)
    def guarded(ctx, *gradients: Any) -> Any:
        # The engine runs backward passes with gradients enabled exactly where `create_graph` is set.
        if torch.is_grad_enabled():
            raise InputError(
                "The compiled kernels have first derivatives only, so a gradient through them cannot be "
                "differentiated again",
                where="create_graph=True",
                fix="Set SIGHTLINE_KERNELS=reference to run the slower definitions, which have derivatives "
                "of every order, or leave create_graph out",
            )
        return backward(ctx, *gradients)

    return guarded
