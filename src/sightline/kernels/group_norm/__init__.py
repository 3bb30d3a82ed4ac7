"""Group normalisation (Wu and He 2018, eqs. 1, 2 and 7) with the leaky ReLU that follows it."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.first_order import first_order
from sightline.kernels.formats import FORMATS
from sightline.kernels.group_norm import reference

_LAID_OUT = {4: torch.channels_last, 5: torch.channels_last_3d}


def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, groups: int, slope: float, epsilon: float = 1e-5
) -> Tensor:
    """Normalise groups of channels, scale and shift each channel, multiply negative values by `slope`.

    Compiled kernels serve tensors whose channels lie side by side (`torch.channels_last`), with one pass
    after the other over each picture while it is in cache.

    Args:
        x: (n, channels, height, width) or (n, channels, depth, height, width), float32 or bfloat16.
        weight, bias: (channels,) float32.
        groups: of neighbouring channels that share mean and variance; divides their number.
        epsilon: added to the variance.

    Returns:
        A tensor of the shape, type and layout of x; differentiable once in x, weight and bias.
    """
    side_by_side = x.dim() in _LAID_OUT and x.is_contiguous(memory_format=_LAID_OUT[x.dim()])
    # A picture of one place lies in both ways at once.
    fits = side_by_side and x.dtype in FORMATS and x.numel() > 0
    if fits and weight.dtype == torch.float32 and use_compiled(x):
        return _Normalise.apply(x, weight, bias, groups, slope, epsilon)
    return reference.normalise(x, weight, bias, groups, slope, epsilon)


def _rows(x: Tensor) -> Tensor:
    """View (n, channels, …) whose channels lie side by side as (n, places, channels)."""
    return x.flatten(2).transpose(1, 2)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, groups: int, slope: float, epsilon: float
    ) -> Any:
        from sightline.kernels.group_norm import cpu

        # Views of tensors made in the right layout: of a single picture, a view cannot tell its layout.
        y = torch.empty_like(x, memory_format=_LAID_OUT[x.dim()])
        lines = cpu.forward(_rows(x), _rows(y), weight, bias, groups, slope, epsilon)
        ctx.save_for_backward(x, weight, lines)
        ctx.constants = groups, slope
        return y

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        from sightline.kernels.group_norm import cpu

        x, weight, lines = ctx.saved_tensors
        upstream = gradients[0].to(x.dtype).contiguous(memory_format=_LAID_OUT[x.dim()])
        found = torch.empty_like(upstream)
        others = cpu.backward(_rows(x), _rows(upstream), _rows(found), weight, lines, *ctx.constants)
        return found, *others, None, None, None
