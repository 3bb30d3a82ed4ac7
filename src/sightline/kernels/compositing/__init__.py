"""Volume compositing of packed samples with analytic gradients (NeRF, eq. 3; mip-NeRF 360, eq. 15)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.compositing import reference
from sightline.kernels.first_order import first_order
from sightline.kernels.packed import Samples

__all__ = ["Composite", "composite"]


@dataclass(frozen=True)
class Composite:
    """What rays see."""

    colour: Tensor
    """(rays, 3) sum of weight times colour, without background"""
    opacity: Tensor
    """(rays,) sum of weights"""
    depth_sum: Tensor
    """(rays,) sum of weight times distance"""
    distortion: Tensor
    """(rays,) distortion loss; zeros where no warped distances were given"""
    weights: Tensor
    """(n,) weight of each sample; not differentiable"""


def composite(
    sigmas: Tensor, colours: Tensor, samples: Samples, warped: tuple[Tensor, Tensor] | None = None
) -> Composite:
    """Integrate colour, opacity and depth along rays by quadrature.

    Args:
        sigmas: (n,) density at each sample, per unit of distance.
        colours: (n, 3) radiance.
        samples: where the samples are and what length each stands for.
        warped: (n,) positions and (n,) lengths in the metric in which the distortion loss is measured.

    Returns:
        Sums per ray, differentiable in `sigmas` and `colours`.
    """
    if not use_compiled(sigmas):
        values = reference.composite(sigmas, colours, samples, warped)
        return Composite(*values[:4], values[4].detach())
    middles, sizes = warped if warped is not None else (None, None)
    return Composite(*_Composite.apply(sigmas, colours, samples, middles, sizes))


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, sigmas: Tensor, colours: Tensor, samples: Samples, middles, sizes) -> Any:
        from sightline.kernels.compositing import cpu

        sigmas, columns = sigmas.contiguous(), colours.T.contiguous()
        result = cpu.forward(sigmas, columns, samples, middles, sizes)
        ctx.save_for_backward(sigmas, columns, result[-1])
        ctx.constants = samples, middles, sizes
        ctx.mark_non_differentiable(result[-1])
        return result

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        from sightline.kernels.compositing import cpu

        sigmas, columns, weights = ctx.saved_tensors
        to_sigmas, to_columns = cpu.backward(sigmas, columns, weights, gradients[:4], *ctx.constants)
        return to_sigmas, to_columns.T, None, None, None
