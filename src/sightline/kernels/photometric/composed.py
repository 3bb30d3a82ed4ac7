"""A photometric step made of the other operations, each with the backend of its device: the definition."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels.compositing import composite
from sightline.kernels.first_order import first_order
from sightline.kernels.hash_encoding import encode
from sightline.kernels.marching import contract, locate
from sightline.kernels.mlp import perceptron
from sightline.kernels.packed import Samples
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
    if rays.move:
        encoded = _encode_moving(table, rays, visible, settings)
    else:
        encoded = encode(points[kept], table, settings.levels)
    features = perceptron(encoded, density, narrow=narrow)
    if rays.move:
        # Shared inputs count as constants.
        inputs = torch.cat([features, rays.features[visible.ray_indices]], -1)
        raw = perceptron(inputs, colour, narrow=narrow)
    else:
        raw = perceptron(features, colour, rays.features, visible.ray_indices, narrow=narrow)
    found = truncated_exp(features[:, 0], largest)
    result = composite(found, torch.sigmoid(raw), visible)
    seen = result.colour
    if rays.transforms is not None:
        assert rays.views is not None
        matter = torch.cat([seen, result.opacity[:, None]], -1)
        seen = (rays.transforms[rays.views] @ matter[:, :, None])[:, :, 0]
    rgb = seen + (1 - result.opacity[:, None]) * rays.behind
    return PhotometricStep((rgb - rays.target).square().mean(), len(visible), points, sigmas)


def _encode_moving(
    table: Tensor, rays: PhotometricRays, samples: Samples, settings: PhotometricSettings
) -> Tensor:
    """Encode samples at constant distances of rays that may move."""
    index = samples.ray_indices
    points = rays.origins[index] + samples.distances[:, None] * rays.directions[index]
    points = contract(points, settings.marching.contracted)
    if settings.position_shares is None:
        return encode(points, table, settings.levels)
    shares = points.new_tensor(settings.position_shares).repeat_interleave(settings.levels.features)
    still = encode(points.detach(), table, settings.levels)
    moving = encode(points, table.detach(), settings.levels)
    # The value of the first alone, the gradient to the positions by the share of each level.
    return still + shares * (moving - moving.detach())
