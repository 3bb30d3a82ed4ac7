"""One step of Adam on the touched entries of a table, in plain PyTorch: the definition."""

import torch
from torch import Tensor


def step(
    parameter: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    rate: float,
    betas: tuple[float, float],
    eps: float,
    corrections: tuple[float, float],
) -> None:
    """Update in place; see `sightline.kernels.adam.step`."""
    touched = gradient != 0
    first.copy_(torch.where(touched, torch.lerp(gradient, first, betas[0]), first))
    second.copy_(torch.where(touched, torch.lerp(gradient * gradient, second, betas[1]), second))
    move = rate / corrections[0] * first / ((second / corrections[1]).sqrt() + eps)
    parameter.sub_(torch.where(touched, move, torch.zeros_like(move)))
    gradient.zero_()
