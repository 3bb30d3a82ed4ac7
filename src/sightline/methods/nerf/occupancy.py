"""Sampling by a grid of opacities: empty space is skipped, and rays end behind what hides the rest.

The grid (`OpacityGrid`) covers the box of an object, or all of space where there is none, and its bins say
where a ray meets matter; the coarse network is not asked. Rays begin and end where those of `Tracer` do.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels.compositing import Composite, composite
from sightline.kernels.marching import contract, uncontract
from sightline.kernels.packed import Samples
from sightline.kernels.visibility import drop_invisible
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.tracing import NerfRays, activate_density
from sightline.networks.radiance_mlp import RadianceMlp
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import sample_trained

# Bins less opaque than this are empty.
_EMPTY = 1e-3
# Samples of less weight are not trained on.
_LEAST_WEIGHT = 1e-4
# How far space is marched, in half sides of the box.
_FAR = 1e3
_LOOKS, _CLOSE_LOOKS = 4, 12
ROUGH_CELLS = 64
"""cells per axis of the grid by which the cube around the content is found"""


@dataclass(frozen=True)
class GridSpace:
    """Where the grid's cube lies in the frame of the network."""

    centre: tuple[float, float, float]
    half: float
    """half of the box's side"""
    contracted: bool
    """whether the grid goes on around the box, by contraction"""
    flat: bool = False
    """whether rays go from one face of the box to another, along z, as in normalised device coordinates"""

    @staticmethod
    def of(frame: Frame) -> "GridSpace":
        """The box of an object; else what is around it too. Normalised device coordinates are a cube."""
        if frame.ndc is not None:
            return GridSpace((0.0, 0.0, 0.0), 1.0, True, True)
        corners = frame.to_model.apply(torch.tensor(frame.bounds, dtype=torch.float64))
        x, y, z = corners.mean(0).tolist()
        return GridSpace((x, y, z), float((corners[1] - corners[0]).abs().max()) / 2, frame.kind != "bounded")

    def to_box(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Bring points of the network's frame to that in which the box is [-1, 1]^3."""
        return (points - torch.tensor(self.centre).to(points)) / self.half

    def from_cube(self, cube: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Bring points of the grid's unit cube to the network's frame."""
        return uncontract(cube, self.contracted) * self.half + torch.tensor(self.centre).to(cube)


@dataclass(frozen=True)
class Seen:
    """What was found along rays."""

    result: Composite
    """depths are in multiples of the rays' directions"""
    points: Float[Tensor, "n 3"]
    """where the network was asked, in its frame"""
    densities: Float[Tensor, "n"]
    """there"""


def empty_grid(cells: int, space: GridSpace) -> OpacityGrid:
    """Make a grid that says nothing yet; it is not among the weights, from which it follows."""
    # Bins are as long as cells; around the box, it takes half of the cells of an axis.
    bins = cells // 2 if space.contracted else cells
    grid = OpacityGrid(cells, 2 / bins, space.contracted, threshold=_EMPTY)
    grid.register_buffer("opacity", grid.opacity, persistent=False)
    return grid


class OccupancyTracer:
    """Traces rays through one network, at samples that a grid places.

    Args:
        network: the one that is shown.
        endless: whether there is always something where a ray ends, as in photos: its last sample then stands
            for `last_length`.
        noise: standard deviation of noise on densities in training.
    """

    def __init__(
        self,
        config: NerfConfig,
        network: RadianceMlp,
        grid: OpacityGrid,
        space: GridSpace,
        endless: bool,
        noise: float = 0.0,
    ):
        self.config, self.network, self.grid, self.space = config, network, grid, space
        self.endless, self.noise = endless, noise

    def box_density(self, cube: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density, for a length of half of the box's side, at points of the grid's unit cube.

        Where samples stand for differences of t, a ray along the axis is meant.
        """
        like = next(self.network.parameters())
        raw = self.network.raw_density(self.space.from_cube(cube).to(like))[:, 0]
        return activate_density(raw, self.config) * self.space.half

    def __call__(self, rays: NerfRays, chance: bool, samples: int) -> Seen:
        """Trace rays.

        Args:
            chance: draw samples at random within their share, with noise on densities, as in training.
            samples: of a ray that meets something opaque. Where gradients are kept, those that weigh nothing
                have none.
        """
        placed, points = self._place(rays, chance and self.config.perturb > 0, samples)
        noise = torch.randn_like(placed.distances) * self.noise if chance and self.noise else None
        everywhere = points
        sigmas: Tensor | None = None
        if torch.is_grad_enabled():
            with torch.no_grad():
                sigmas = self._density(self.network.raw_density(points), noise)
            placed, kept = drop_invisible(placed, sigmas, _LEAST_WEIGHT)
            points, noise = points[kept], None if noise is None else noise[kept]
        raw, colour = self.network(points, rays.view_directions, placed.ray_indices)
        densities = self._density(raw, noise)
        result = composite(densities, torch.sigmoid(colour), placed)
        return Seen(result, everywhere, densities if sigmas is None else sigmas)

    def observe(self, points: Float[Tensor, "n 3"], densities: Float[Tensor, "n"], rate: float) -> None:
        """Let the grid follow densities that were found, see `OpacityGrid.observe`."""
        cube = contract(self.space.to_box(points), self.space.contracted)
        self.grid.observe(cube, densities * self.space.half, rate)

    def _place(self, rays: NerfRays, jitter: bool, samples: int) -> tuple[Samples, Tensor]:
        """Samples by t, each with the length that it stands for, and their points."""
        size = rays.directions.norm(dim=-1)
        with torch.no_grad():
            # The march begins at the near end.
            origins = self.space.to_box(rays.origins + rays.near[:, None] * rays.directions)
            directions = rays.directions / size[:, None]
            placed = sample_trained(origins, directions, self.grid, _FAR, samples, jitter)
            index, unit = placed.ray_indices, self.space.half / size
            t = rays.near[index] + placed.distances * unit[index]
            placed = replace(placed, distances=t, lengths=placed.lengths * unit[index])
            kept = t < rays.far[index]
            placed = placed if bool(kept.all()) else placed.only(kept)
            if self.endless:
                placed = _with_ends(placed, rays.far, self.config.last_length)
            index = placed.ray_indices
            if self.config.length_by_direction:
                placed = replace(placed, lengths=placed.lengths * size[index])
            return placed, rays.origins[index] + placed.distances[:, None] * rays.directions[index]

    def _density(self, raw: Tensor, noise: Tensor | None) -> Tensor:
        return activate_density(raw[:, 0] if noise is None else raw[:, 0] + noise, self.config)


def _with_ends(samples: Samples, far: Tensor, length: float) -> Samples:
    """Put one more sample at the end of each ray."""
    rays = torch.arange(samples.rays, device=far.device)
    offsets = samples.offsets + torch.arange(samples.rays + 1, device=far.device)
    old, new = torch.arange(len(samples), device=far.device) + samples.ray_indices, offsets[1:] - 1
    total = len(samples) + samples.rays
    columns = []
    for values, added in (
        (samples.distances, far.to(samples.distances)),
        (samples.lengths, torch.full_like(samples.lengths[:1], length).expand(samples.rays)),
        (samples.ray_indices, rays),
    ):
        column = values.new_empty(total)
        column[old], column[new] = values, added
        columns.append(column)
    return Samples(offsets, *columns)


def survey(tracer: OccupancyTracer) -> None:
    """Fill a tracer's grid with what its network has."""
    grid, within = tracer.grid, None
    if tracer.space.flat:
        # The box takes the middle half of the contracted cube, and no ray is in front of it or behind.
        within = torch.zeros_like(grid.opacity, dtype=torch.bool)
        within[grid.side // 4 : -(-3 * grid.side // 4)] = True
    grid.survey(tracer.box_density, _LOOKS, _CLOSE_LOOKS, within)


def tighten(tracer: OccupancyTracer) -> GridSpace:
    """Find the cube around the content of a tracer's grid, after `survey`; for grids that end at their box.

    The less empty space a grid covers, the finer are its cells.
    """
    grid, space = tracer.grid, tracer.space
    # One more cell on each side: what is there may have been missed.
    low, high = grid.extent(grid.threshold).cpu().double()
    x, y, z = ((low + high) / 2 * space.half + torch.tensor(space.centre)).tolist()
    half = float((high - low).max()) / 2 + 2 / grid.side
    return GridSpace((x, y, z), min(half, 1.0) * space.half, False)
