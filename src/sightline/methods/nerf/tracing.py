"""Tracing rays through the coarse network, then the fine one."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.kernels.compositing import Composite
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.network import network_of
from sightline.networks.radiance_mlp import RadianceMlp
from sightline.rendering.quadrature import Quadrature, integrate, segment_lengths, weigh
from sightline.rendering.stratified import (
    even_places,
    invert_histogram,
    jitter_in_strata,
    jitter_onwards,
    midpoints,
    spread_depths,
)


@dataclass(frozen=True, eq=False)
class NerfRays:
    """Rays as the networks see them: points `origins + t * directions` with t from `near` to `far`.

    Directions have the length that the configuration says, and near, far and t are in multiples of it.
    """

    origins: Float[Tensor, "rays 3"]
    directions: Float[Tensor, "rays 3"]
    view_directions: Float[Tensor, "rays 3"] | None
    """what colours depend on; None without view directions"""
    near: Float[Tensor, "rays"]
    far: Float[Tensor, "rays"]

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, chosen: slice | Tensor) -> "NerfRays":
        return self._map(lambda value: value[chosen])

    def to(self, like: torch.device | torch.dtype | Tensor) -> "NerfRays":
        """Change device, dtype, or both to those of a tensor (of any shape)."""
        return self._map(lambda value: value.to(like))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "NerfRays":
        views = None if self.view_directions is None else change(self.view_directions)
        return NerfRays(
            change(self.origins), change(self.directions), views, change(self.near), change(self.far)
        )


@dataclass(frozen=True)
class Chance:
    """The random numbers of one tracing; None where there is no chance in it."""

    jitter: Float[Tensor, "rays coarse"] | None = None
    """in [0, 1)"""
    places: Float[Tensor, "rays fine"] | None = None
    """in [0, 1): at which the coarse weights are inverted"""
    coarse_noise: Float[Tensor, "rays coarse"] | None = None
    """unit normal"""
    fine_noise: Float[Tensor, "rays all"] | None = None

    @staticmethod
    def draw(config: NerfConfig, noise: float, like: Float[Tensor, "rays 3"]) -> "Chance":
        """Draw what the configuration needs from torch's global generator, on the device of `like`."""
        count, coarse, fine = len(like), config.coarse_samples, config.fine_samples

        def uniform(width: int) -> Tensor | None:
            if not (config.perturb and width):
                return None
            return torch.rand(count, width, device=like.device, dtype=like.dtype)

        def normal(width: int) -> Tensor | None:
            if not (noise and width):
                return None
            return torch.randn(count, width, device=like.device, dtype=like.dtype)

        return Chance(uniform(coarse), uniform(fine), normal(coarse), normal(coarse + fine) if fine else None)

    def __getitem__(self, chosen: slice | Tensor) -> "Chance":
        """That of some of the rays."""
        columns = (getattr(self, column.name) for column in fields(self))
        return Chance(*(None if column is None else column[chosen] for column in columns))


@dataclass(frozen=True)
class Pass:
    """What one network found along the rays."""

    seen: Quadrature
    t: Float[Tensor, "rays samples"]
    """where it was asked"""


@dataclass(frozen=True)
class Traced:
    """What both networks found; `fine` is None without fine samples."""

    coarse: Pass
    fine: Pass | None = None
    added: Float[Tensor, "rays fine"] | None = None
    """depths of the fine samples alone"""

    @property
    def best(self) -> Pass:
        """What is shown."""
        return self.fine or self.coarse


class Tracer:
    """The rules of the configuration, applied to networks.

    Args:
        networks: `coarse`, and perhaps `fine` (`build_networks`).
        noise: standard deviation of noise on densities, where chance is given.
    """

    def __init__(self, config: NerfConfig, networks: nn.ModuleDict, noise: float = 0.0):
        self.config, self.networks, self.noise = config, networks, noise

    def __call__(self, rays: NerfRays, chance: Chance | None = None, coarse_colours: bool = True) -> Traced:
        """Trace rays.

        Args:
            chance: random numbers; without them samples are spread evenly and densities have no noise.
            coarse_colours: with False, the coarse network is asked for densities alone where a fine one
                follows, and the coarse colours are zeros.
        """
        chance = chance or Chance()
        t = self._coarse_depths(rays, chance)
        colours = coarse_colours or "fine" not in self.networks
        coarse = self._look(network_of(self.networks, "coarse"), rays, t, chance.coarse_noise, colours)
        if "fine" not in self.networks:
            return Traced(coarse)
        added = self._fine_depths(t, coarse.seen.weights, chance)
        union = torch.cat([t, added], -1).sort(-1).values
        fine = self._look(network_of(self.networks, "fine"), rays, union, chance.fine_noise)
        return Traced(coarse, fine, added)

    def _coarse_depths(self, rays: NerfRays, chance: Chance) -> Tensor:
        config = self.config
        t = spread_depths(rays.near, rays.far, config.coarse_samples, config.disparity)
        if chance.jitter is None:
            return t
        move = jitter_in_strata if config.jitter == "strata" else jitter_onwards
        return move(t, chance.jitter, config.perturb)

    def _fine_depths(self, t: Tensor, weights: Tensor, chance: Chance) -> Tensor:
        edges, inner = midpoints(t), weights[:, 1:-1].detach()
        places = chance.places
        if places is None:
            places = even_places(inner, self.config.fine_samples)
        return invert_histogram(edges, inner, places, self.config.histogram_guard)

    def _look(
        self, network: RadianceMlp, rays: NerfRays, t: Tensor, noise: Tensor | None, colours: bool = True
    ) -> Pass:
        config = self.config
        points = (rays.origins[:, None] + rays.directions[:, None] * t[..., None]).flatten(0, 1)
        scale = rays.directions.norm(dim=-1) if config.length_by_direction else None
        deltas = segment_lengths(t, config.last_length, scale)
        if not colours:
            sigmas = self._density(network.raw_density(points).view(t.shape), noise)
            weights = weigh(1 - torch.exp(-sigmas * deltas), config.transmittance_guard)
            seen = Quadrature(torch.zeros_like(rays.origins), weights.sum(-1), (weights * t).sum(-1), weights)
            return Pass(seen, t)
        raw, colour = network(points, rays.view_directions)
        sigmas = self._density(raw.view(t.shape), noise)
        rgb = torch.sigmoid(colour).view(*t.shape, 3)
        return Pass(integrate(sigmas, rgb, t, deltas, config.transmittance_guard), t)

    def _density(self, raw: Tensor, noise: Tensor | None = None) -> Tensor:
        if noise is not None:
            raw = raw + self.noise * noise
        return activate_density(raw, self.config)


def activate_density(raw: Float[Tensor, "*any"], config: NerfConfig) -> Float[Tensor, "*any"]:
    """Make densities of what a network gives."""
    return functional.softplus(raw) if config.density_activation == "softplus" else functional.relu(raw)


def over(seen: Quadrature | Composite, behind: Float[Tensor, "rays 3"] | None) -> Float[Tensor, "rays 3"]:
    """Composite what is seen over colours, or over nothing."""
    return seen.colour if behind is None else seen.colour + (1 - seen.opacity[:, None]) * behind
