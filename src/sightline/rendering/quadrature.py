"""NeRF's quadrature over a fixed number of samples per ray, with the guards that published programs use.

Notation: t (rays, samples) are depths in rising order, deltas the lengths that samples stand for, alphas the
part of the light that each takes, weights what of it reaches the eye (Mildenhall et al. 2020, eq. 3). Plain
PyTorch, differentiable in densities and colours. For samples of varying number there is
`sightline.kernels.compositing`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Guard = Literal["add", "clip", "none"]


@dataclass(frozen=True)
class Quadrature:
    """What rays see."""

    colour: Float[Tensor, "rays 3"]
    """sum of weight times colour, without background"""
    opacity: Float[Tensor, "rays"]
    """sum of weights"""
    depth_sum: Float[Tensor, "rays"]
    """sum of weight times depth"""
    weights: Float[Tensor, "rays samples"]


def segment_lengths(
    t: Float[Tensor, "rays samples"], last: float, scale: Float[Tensor, "rays"] | None = None
) -> Float[Tensor, "rays samples"]:
    """Give the length that each sample stands for: up to the next one, and `last` for the last.

    Args:
        scale: length of each ray's direction, where depths are in multiples of it.
    """
    deltas = torch.cat([t[:, 1:] - t[:, :-1], torch.full_like(t[:, :1], last)], -1)
    return deltas if scale is None else deltas * scale[:, None]


def weigh(
    alphas: Float[Tensor, "rays samples"], guard: Guard = "add", epsilon: float | None = None
) -> Float[Tensor, "rays samples"]:
    """Give the weight of each sample: its alpha times the transmittance up to it.

    Args:
        guard: what keeps the gradient of opaque samples finite: the part 1 - alpha that passes gets `epsilon`
            (1e-10) added, or is at least `epsilon` (1e-5), which lets some light through, or is as it is.
    """
    passed = 1 - alphas
    if guard == "add":
        passed = passed + (1e-10 if epsilon is None else epsilon)
    elif guard == "clip":
        passed = passed.clamp(1e-5 if epsilon is None else epsilon, 1)
    transmittance = torch.cumprod(passed, -1)
    return alphas * torch.cat([torch.ones_like(passed[:, :1]), transmittance[:, :-1]], -1)


def integrate(
    sigmas: Float[Tensor, "rays samples"],
    colours: Float[Tensor, "rays samples 3"],
    t: Float[Tensor, "rays samples"],
    deltas: Float[Tensor, "rays samples"],
    guard: Guard = "add",
) -> Quadrature:
    """Integrate colour, opacity and depth along rays.

    Args:
        sigmas: density at the samples, at least 0.
        colours: radiance at the samples.
        deltas: see `segment_lengths`.
        guard: see `weigh`.
    """
    weights = weigh(1 - torch.exp(-sigmas * deltas), guard)
    return Quadrature(
        colour=(weights[..., None] * colours).sum(1),
        opacity=weights.sum(-1),
        depth_sum=(weights * t).sum(-1),
        weights=weights,
    )


def disparity(
    depth_sum: Float[Tensor, "rays"], opacity: Float[Tensor, "rays"], guard: Guard = "add"
) -> Float[Tensor, "rays"]:
    """Give the inverse of the mean depth, as published programs write it.

    Args:
        guard: `add`: at most 1e10, NaN where a ray meets nothing; `clip`: at most 1e5, defined everywhere.
    """
    if guard == "clip":
        return 1 / (depth_sum / opacity.clamp_min(1e-5)).clamp_min(1e-5)
    mean = depth_sum / opacity
    return 1 / torch.maximum(mean, torch.full_like(mean, 1e-10))
