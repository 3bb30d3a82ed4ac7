"""Volume compositing of packed samples in Numba.

With τᵢ = σᵢδᵢ and wᵢ = Tᵢ(1 - exp(-τᵢ)): ∂wᵢ/∂τᵢ = Tᵢ exp(-τᵢ), and ∂wⱼ/∂τᵢ = -wⱼ for every j behind i.
So for an upstream gradient gᵢ per weight, ∂L/∂τᵢ = Tᵢ exp(-τᵢ) gᵢ - Σ_{j>i} wⱼgⱼ: one walk from the far end.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel
from sightline.kernels.packed import Samples


@kernel(
    "void(T[::1], T[:,::1], int64[::1], T[::1], T[::1], T[::1], T[::1], boolean,"
    " T[:,::1], T[::1], T[::1], T[::1], T[::1], int64, int64)"
)
def _forward(
    sigmas, colours, offsets, distances, lengths, middles, sizes, distort,
    colour, opacity, depth, distortion, weights, first, last,
):  # fmt: skip
    number = sigmas.dtype.type
    zero, one, two, three = number(0), number(1), number(2), number(3)
    for ray in range(first, last):
        transmittance = one
        red, green, blue, total, far, spread, moment = zero, zero, zero, zero, zero, zero, zero
        for n in range(offsets[ray], offsets[ray + 1]):
            keep = math.exp(-sigmas[n] * lengths[n])
            w = transmittance * (one - keep)
            transmittance *= keep
            weights[n] = w
            red += w * colours[0, n]
            green += w * colours[1, n]
            blue += w * colours[2, n]
            far += w * distances[n]
            if distort:
                spread += two * w * (middles[n] * total - moment) + w * w * sizes[n] / three
                moment += w * middles[n]
            total += w
        colour[ray, 0], colour[ray, 1], colour[ray, 2] = red, green, blue
        opacity[ray], depth[ray], distortion[ray] = total, far, spread


@kernel(
    "void(T[::1], T[:,::1], int64[::1], T[::1], T[::1], T[::1], T[::1], boolean, T[::1],"
    " T[:,::1], T[::1], T[::1], T[::1], T[::1], T[:,::1], int64, int64)"
)
def _backward(
    sigmas, colours, offsets, distances, lengths, middles, sizes, distort, weights,
    to_colour, to_opacity, to_depth, to_distortion, to_sigmas, to_colours, first, last,
):  # fmt: skip
    number = sigmas.dtype.type
    zero, one, two, three = number(0), number(1), number(2), number(3)
    for ray in range(first, last):
        red, green, blue = to_colour[ray, 0], to_colour[ray, 1], to_colour[ray, 2]
        total, moment, transmittance = zero, zero, one
        for n in range(offsets[ray], offsets[ray + 1]):
            transmittance *= math.exp(-sigmas[n] * lengths[n])
            to_sigmas[n] = transmittance  # kept here for the walk back
            if distort:
                total += weights[n]
                moment += weights[n] * middles[n]
        behind, behind_total, behind_moment = zero, zero, zero
        for back in range(offsets[ray + 1] - offsets[ray]):
            n = offsets[ray + 1] - 1 - back
            w = weights[n]
            upstream = red * colours[0, n] + green * colours[1, n] + blue * colours[2, n]
            upstream += to_opacity[ray] + to_depth[ray] * distances[n]
            if distort:
                # Σⱼ wⱼ|mᵢ - mⱼ|: what lies in front minus what lies behind.
                front_total = total - behind_total - w
                front_moment = moment - behind_moment - w * middles[n]
                pairs = middles[n] * (front_total - behind_total) - front_moment + behind_moment
                upstream += to_distortion[ray] * (two * pairs + two * w * sizes[n] / three)
                behind_total += w
                behind_moment += w * middles[n]
            to_sigmas[n] = lengths[n] * (to_sigmas[n] * upstream - behind)
            behind += w * upstream
            to_colours[0, n] = w * red
            to_colours[1, n] = w * green
            to_colours[2, n] = w * blue


def _arrays(samples: Samples, middles: Tensor | None, sizes: Tensor | None, like: Tensor) -> tuple:
    distances, lengths = samples.distances.to(like.dtype), samples.lengths.to(like.dtype)
    warped = [distances if v is None else v.detach().to(like.dtype).contiguous() for v in (middles, sizes)]
    numbers = [v.detach().contiguous().numpy() for v in (samples.offsets, distances, lengths, *warped)]
    return (*numbers, middles is not None)


def forward(
    sigmas: Tensor, colours: Tensor, samples: Samples, middles: Tensor | None, sizes: Tensor | None
) -> tuple[Tensor, ...]:
    """Colour (rays, 3), opacity, depth sum, distortion and weights; colours are given as (3, n)."""
    rays = samples.rays
    outs = [sigmas.new_empty(rays, 3), *(sigmas.new_empty(rays) for _ in range(3)), torch.empty_like(sigmas)]
    function = _forward.compiled(sigmas.detach().numpy().dtype)
    fixed = (sigmas.detach().numpy(), colours.detach().numpy(), *_arrays(samples, middles, sizes, sigmas))
    parallel.over_ranges(function, rays, *fixed, *(v.numpy() for v in outs), least=256)
    return tuple(outs)


def backward(
    sigmas: Tensor,
    colours: Tensor,
    weights: Tensor,
    upstream: tuple[Tensor, ...],
    samples: Samples,
    middles: Tensor | None,
    sizes: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Gradients to the densities (n,) and the colours (3, n)."""
    to_sigmas, to_colours = torch.empty_like(sigmas), torch.empty_like(colours)
    function = _backward.compiled(np.dtype(sigmas.detach().numpy().dtype))
    fixed = (sigmas.detach().numpy(), colours.detach().numpy(), *_arrays(samples, middles, sizes, sigmas))
    incoming = [v.contiguous().numpy() for v in upstream]
    outs = to_sigmas.numpy(), to_colours.numpy()
    parallel.over_ranges(function, samples.rays, *fixed, weights.numpy(), *incoming, *outs, least=256)
    return to_sigmas, to_colours
