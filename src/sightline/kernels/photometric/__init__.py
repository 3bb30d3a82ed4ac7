"""One training step of a hash-grid radiance field on a batch of rays: the photometric loss and its gradients.

Sampling, encoding, networks, compositing, loss and the way back to the encoding are one pass over a part of
the rays, whose samples stay in the second-level cache throughout. Only what has to meet the other parts
leaves it: the gradients to the encoded features, which are then added to the table level by level.
"""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.first_order import first_order
from sightline.kernels.photometric import composed
from sightline.kernels.photometric.composed import truncated_exp
from sightline.kernels.photometric.problem import PhotometricRays, PhotometricSettings, PhotometricStep

__all__ = ["PhotometricRays", "PhotometricSettings", "PhotometricStep", "photometric_step", "truncated_exp"]


def photometric_step(
    table: Tensor,
    density: list[Tensor],
    colour: list[Tensor],
    rays: PhotometricRays,
    opacity: Tensor,
    coarse: Tensor | None,
    marks: Tensor | None,
    settings: PhotometricSettings,
) -> PhotometricStep:
    """Compute the mean squared error of rays' colours, with gradients to the field.

    Samples are placed by an opacity grid. The density network is asked at all of them; those that carry
    weight go through the colour network, and are composited (NeRF, equation 3).

    Args:
        table: (entries, features) of the hash encoding (Müller et al. 2022).
        density: matrices of the density network; its first output is the density's logarithm, all of its
            outputs go on to the colour network.
        colour: matrices of the colour network, whose inputs are these and the rays' features; its three
            outputs pass a sigmoid.
        rays: where to look, and what should be seen.
        opacity: (side, side, side) grid, see `sightline.kernels.sampling.sample`.
        coarse, marks: its maxima and marks (`sightline.kernels.occupancy.summarise`); found where None.
        settings: see `PhotometricSettings`.

    Returns:
        The loss, differentiable once in `table`, the weights and what of the rays requires a gradient
        (`PhotometricStep.loss`), and the samples' densities.
    """
    if not use_compiled(table) or table.dtype != torch.float32:
        return composed.step(table, density, colour, rays, opacity, coarse, marks, settings)
    from sightline.kernels.photometric import cpu

    work = cpu.run_parts(table, density, colour, rays, opacity, coarse, marks, settings)
    extra = (rays.transforms, rays.origins, rays.directions, rays.features) if work.refined else ()
    loss = _Photometric.apply(work, table, *extra, *density, *colour)
    return PhotometricStep(loss, work.samples, *work.placed())


class _Photometric(torch.autograd.Function):
    """Hands the gradients, which are there already, on to autograd."""

    @staticmethod
    def forward(ctx, work: Any, table: Tensor, *others: Tensor | None) -> Tensor:
        ctx.work = work
        return table.new_tensor(work.loss)

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        factor = float(gradients[0])
        to_table, to_weights = ctx.work.table_gradient(), ctx.work.weight_gradients()
        extra = ctx.work.refined.gradients() if ctx.work.refined else ()
        if factor != 1:
            for gradient in (to_table, *extra, *to_weights):
                if gradient is not None:
                    gradient.mul_(factor)
        return None, to_table, *extra, *to_weights
