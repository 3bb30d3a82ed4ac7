"""Tracing rays: coarse samples, fine ones where matter was found and around its depth (Yu et al. 2021, B.1).

Notation: t (rays, samples) are distances from the camera in rising order; s places from 0 (near) to 1 (far).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.rendering.quadrature import Quadrature, integrate

Field = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]
"""points and unit directions (groups, n, 3), whether of the fine pass → colours (groups, n, 3), densities
(groups, n)"""
_GUARD = 1e-5


@dataclass(frozen=True, eq=False)
class ObjectRays:
    """Rays of several objects."""

    origins: Float[Tensor, "groups rays 3"]
    directions: Float[Tensor, "groups rays 3"]
    """unit length"""
    near: Float[Tensor, "groups rays"]
    far: Float[Tensor, "groups rays"]

    def to(self, device: torch.device | str) -> "ObjectRays":
        """Move to a device."""
        return ObjectRays(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class SampleCounts:
    """How many samples a ray gets."""

    coarse: int
    fine: int
    """all of the fine pass's own"""
    around_depth: int
    """those of them that lie around the coarse depth"""

    @classmethod
    def at(cls, config: PixelNerfConfig, count: int) -> "SampleCounts":
        """Follow the schedule after `count` steps (or objects)."""
        coarse, fine = config.coarse_samples, config.fine_samples
        for begin, *numbers in zip(
            config.schedule_at, config.schedule_coarse, config.schedule_fine, strict=True
        ):
            if count >= begin:
                coarse, fine = numbers
        return cls(coarse, fine, min(config.depth_samples, fine))


@dataclass(frozen=True, eq=False)
class Chance:
    """The random numbers of one tracing; rays of all objects, one after the other."""

    jitter: Float[Tensor, "rays coarse"]
    """in [0, 1): within each stratum"""
    places: Float[Tensor, "rays importance"]
    """in [0, 1): at which the coarse weights are inverted"""
    within: Float[Tensor, "rays importance"]
    """in [0, 1): within the bins that are found"""
    depth: Float[Tensor, "rays around_depth"]
    """unit normal"""
    coarse_noise: Float[Tensor, "rays coarse"] | None = None
    """unit normal, on densities"""
    fine_noise: Float[Tensor, "rays all"] | None = None

    @staticmethod
    def draw(
        counts: SampleCounts,
        rays: int,
        like: Float[Tensor, "*any"],
        generator: torch.Generator | None = None,
        noise: bool = False,
    ) -> "Chance":
        """Draw random numbers on the device of `like`; from torch's own generator where none is given."""

        def uniform(width: int) -> Tensor:
            return torch.rand(rays, width, generator=generator, device=like.device, dtype=like.dtype)

        def normal(width: int) -> Tensor:
            return torch.randn(rays, width, generator=generator, device=like.device, dtype=like.dtype)

        importance = counts.fine - counts.around_depth
        jitter, places, within = uniform(counts.coarse), uniform(importance), uniform(importance)
        depth = normal(counts.around_depth)
        if not noise:
            return Chance(jitter, places, within, depth)
        return Chance(
            jitter, places, within, depth, normal(counts.coarse), normal(counts.coarse + counts.fine)
        )

    @staticmethod
    def without(counts: SampleCounts, rays: int, like: Float[Tensor, "*any"]) -> "Chance":
        """Give the middles of strata and bins, and the normal distribution's own places."""

        def even(width: int) -> Tensor:
            steps = torch.arange(width, device=like.device, dtype=like.dtype) + 0.5
            return (steps / max(1, width)).expand(rays, -1)

        importance = counts.fine - counts.around_depth
        half = torch.full((rays, max(counts.coarse, importance)), 0.5, device=like.device, dtype=like.dtype)
        depth = torch.erfinv(2 * even(counts.around_depth) - 1) * math.sqrt(2)
        return Chance(half[:, : counts.coarse], even(importance), half[:, :importance], depth)


@dataclass(frozen=True, eq=False)
class Pass:
    """What one pass found; rays of all objects, one after the other."""

    seen: Quadrature
    t: Float[Tensor, "rays samples"]


@dataclass(frozen=True, eq=False)
class Traced:
    """What both passes found."""

    coarse: Pass
    fine: Pass | None = None
    importance: Float[Tensor, "rays importance"] | None = None
    """where the fine pass looked because of weights"""
    around_depth: Float[Tensor, "rays around_depth"] | None = None
    """and around the coarse depth"""

    @property
    def best(self) -> Pass:
        """What is shown."""
        return self.fine or self.coarse


def place(
    s: Float[Tensor, "rays n"], near: Float[Tensor, "rays"], far: Float[Tensor, "rays"], disparity: bool
) -> Float[Tensor, "rays n"]:
    """Turn places from 0 to 1 into distances from near to far, linear in distance or in its inverse."""
    near, far = near[:, None], far[:, None]
    if disparity:
        return 1 / (1 / near * (1 - s) + 1 / far * s)
    return near * (1 - s) + far * s


def strata(jitter: Float[Tensor, "rays n"]) -> Float[Tensor, "rays n"]:
    """Give one place in each of n equal parts of 0 to 1."""
    count = jitter.shape[1]
    steps = torch.arange(count, dtype=jitter.dtype, device=jitter.device) / count
    return steps + jitter / count


def invert_bins(
    weights: Float[Tensor, "rays bins"], places: Float[Tensor, "rays n"], within: Float[Tensor, "rays n"]
) -> Float[Tensor, "rays n"]:
    """Choose among equal bins by their weights, then a place in the chosen one; no gradient to the weights.

    Args:
        places: in [0, 1), which choose the bins.
        within: in [0, 1), where in the bins.
    """
    weights = weights.detach() + _GUARD
    share = weights / weights.sum(-1, keepdim=True)
    cumulative = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(-1)], -1)
    found = torch.searchsorted(cumulative, places.contiguous(), right=True) - 1
    # Rounding may leave the last limit below a place.
    return (found.clamp(0, weights.shape[1] - 1) + within) / weights.shape[1]


class Tracer:
    """The rules of the configuration, applied to a field.

    Args:
        counts: how many samples.
    """

    def __init__(self, config: PixelNerfConfig, counts: SampleCounts):
        self.config, self.counts = config, counts

    def __call__(self, field: Field, rays: ObjectRays, chance: Chance) -> Traced:
        """Trace rays; results go on ray after ray, object after object."""
        near, far = rays.near.flatten(), rays.far.flatten()
        t = place(strata(chance.jitter), near, far, self.config.disparity)
        coarse = self._look(field, rays, t, far, False, chance.coarse_noise)
        if not self.counts.fine:
            return Traced(coarse)
        importance = around = None
        added = [t]
        if self.counts.fine > self.counts.around_depth:
            s = invert_bins(coarse.seen.weights, chance.places, chance.within)
            importance = place(s, near, far, self.config.disparity)
            added.append(importance)
        if self.counts.around_depth:
            # The depth keeps its gradient: through it, the fine pass teaches the coarse one.
            around = coarse.seen.depth_sum[:, None] + self.config.depth_spread * chance.depth
            around = torch.minimum(torch.maximum(around, near[:, None]), far[:, None])
            added.append(around)
        union = torch.cat(added, -1).sort(-1).values
        fine = self._look(field, rays, union, far, True, chance.fine_noise)
        return Traced(coarse, fine, importance, around)

    def _look(
        self, field: Field, rays: ObjectRays, t: Tensor, far: Tensor, fine: bool, noise: Tensor | None
    ) -> Pass:
        groups, count = rays.origins.shape[:2]
        steps = t.view(groups, count, -1, 1)
        points = (rays.origins[:, :, None] + steps * rays.directions[:, :, None]).flatten(1, 2)
        directions = rays.directions[:, :, None].expand(-1, -1, steps.shape[2], -1).flatten(1, 2)
        colours, sigmas = field(points, directions, fine)
        sigmas = sigmas.reshape(t.shape)
        if noise is not None:
            sigmas = torch.relu(sigmas + self.config.noise * noise)
        deltas = torch.cat([t[:, 1:] - t[:, :-1], far[:, None] - t[:, -1:]], -1)
        # Rounding may put the last sample beyond far.
        return Pass(integrate(sigmas, colours.reshape(*t.shape, 3), t, deltas.clamp_min(0)), t)
