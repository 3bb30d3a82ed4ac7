"""A photometric step made of the other operations, each with the backend of its device: the definition."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels.compositing import composite
from sightline.kernels.first_order import first_order
from sightline.kernels.hash_encoding import encode
from sightline.kernels.marching import locate
from sightline.kernels.mlp import perceptron
from sightline.kernels.photometric.problem import PhotometricRays, PhotometricSettings, PhotometricStep
from sightline.kernels.sampling import sample
from sightline.kernels.visibility import drop_invisible


class _TruncatedExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, largest: float) -> Tensor:
        value = torch.exp(x.clamp(-largest, largest))
        ctx.save_for_backward(value)
        return value

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        (value,) = ctx.saved_tensors
        return gradients[0] * value, None


def truncated_exp(x: Tensor, largest: float) -> Tensor:
    """exp(x) with x clamped to ± `largest`, whose gradient stays alive where it is clamped."""
    return _TruncatedExp.apply(x, largest)


def step(
    table: Tensor,
    density: list[Tensor],
    colour: list[Tensor],
    rays: PhotometricRays,
    opacity: Tensor,
    coarse: Tensor | None,
    marks: Tensor | None,
    settings: PhotometricSettings,
) -> PhotometricStep:
    """Loss of a batch of rays; see `sightline.kernels.photometric.photometric_step`."""
    march, narrow, largest = settings.marching, settings.narrow, settings.largest_log_density
    with torch.no_grad():
        samples = sample(
            rays.origins, rays.directions, opacity, coarse, march, settings.sampling, settings.seed, marks
        )
        points = locate(rays.origins, rays.directions, samples, march.contracted)
        first = perceptron(encode(points, table, settings.levels), density, narrow=narrow)[:, 0]
        sigmas = truncated_exp(first, largest)
        visible, kept = drop_invisible(samples, sigmas, settings.least_weight)
    features = perceptron(encode(points[kept], table, settings.levels), density, narrow=narrow)
    raw = perceptron(features, colour, rays.features, visible.ray_indices, narrow=narrow)
    found = truncated_exp(features[:, 0], largest)
    result = composite(found, torch.sigmoid(raw), visible)
    rgb = result.colour + (1 - result.opacity[:, None]) * rays.behind
    return PhotometricStep((rgb - rays.target).square().mean(), len(visible), points, sigmas)
