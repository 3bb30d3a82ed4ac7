"""The trained scene of `ngp`: its field in the input frame, and pictures of it."""

from copy import copy
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry import Cameras, Rays
from sightline.geometry.regions import Region
from sightline.kernels.compositing import composite
from sightline.kernels.marching import MarchSettings, contract, locate
from sightline.methods.base import CAPABILITIES, Rendering, Scene
from sightline.methods.ngp.field import HashField
from sightline.methods.ngp.frame import Frame
from sightline.networks.encodings import spherical_harmonics
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import SamplerSettings, sample

# Cells of the grid below this opacity hold nothing worth exporting.
_EMPTY = 0.05
_CHUNK = 1 << 13
# Samples of drafts, as a part of those of pictures.
_DRAFT = 1 / 3


class NgpScene(Scene):
    """A view of the method's own field, frame and grid; it changes as they are trained on.

    Args:
        has_background: whether rays that meet little show what is behind. Photos are of a world that is full:
            they were learnt with nothing behind them, and are shown so.
    """

    capabilities = CAPABILITIES - {"multi-view"}
    can_be_cut: ClassVar[bool] = True

    def __init__(
        self,
        field: HashField,
        frame: Frame,
        grid: OpacityGrid,
        marching: MarchSettings,
        sampling: SamplerSettings,
        has_background: bool = True,
    ):
        self.field, self.frame, self.grid = field, frame, grid
        self.marching, self.sampling = marching, sampling
        self.has_background = has_background
        self._region: Region | None = None

    def within(self, region: Region) -> "NgpScene":
        """The same scene with nothing outside a region of the input frame."""
        cut = copy(self)
        cut._region = region.transformed(self.frame.to_model)
        return cut

    def drafted(self) -> "NgpScene":
        """The same scene with a third of the samples on each ray."""
        draft = copy(self)
        samples = max(1, round(self.sampling.samples * _DRAFT))
        draft.sampling = replace(self.sampling, samples=samples)
        return draft

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of the box of interest; for bounded scenes, of the part of it that holds matter."""
        corners = torch.tensor([[-1.0] * 3, [1.0] * 3])
        if not self.frame.contracted:
            corners = self.grid.extent(_EMPTY).cpu()
        return self.frame.to_model.inverse().apply(corners.double()).float()

    @property
    def unbounded(self) -> bool:
        """Whether all of space is in the field, by contraction."""
        return self.frame.contracted

    @property
    def near(self) -> float:
        """Distance from a camera at which rays begin, input units."""
        return self.frame.near / self.frame.to_model.scale

    def density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Volume density per input unit at points of the input frame."""
        cube, inside = self._cube(points)
        with torch.no_grad():
            sigmas = self.field.density(cube) * self.frame.to_model.scale
        return torch.where(inside, sigmas, torch.zeros_like(sigmas))

    def radiance(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colour in [0, 1] seen at points of the input frame when looking along unit `directions`."""
        cube, _ = self._cube(points)
        turned = self.frame.to_model.apply_directions(directions.double()).to(cube.dtype)
        index = torch.arange(len(cube), device=cube.device)
        with torch.no_grad():
            return self.field(cube, spherical_harmonics(turned), index)[1]

    def _cube(self, points: Tensor) -> tuple[Tensor, Tensor]:
        model = self.frame.to_model.apply(points.double()).to(self.field.table)
        inside = (model.abs() <= 1).all(-1) | self.frame.contracted
        if self._region is not None:
            inside = inside & self._region.holds(model)
        return contract(model, self.frame.contracted), inside

    @torch.no_grad()
    def render(
        self, camera: Cameras, background: Float[Tensor, "3"] | None = None, chunk: int | None = None
    ) -> Rendering:
        """Render one camera of the input frame; see `Method.render`."""
        rays = camera.transformed(self.frame.to_model).image_rays(0)
        size = chunk or _CHUNK
        look = self._render_rays if self._region is None else self._render_cut
        parts = [look(rays[k : k + size]) for k in range(0, len(rays), size)]
        colour, opacity, depth_sum, samples = (list(column) for column in zip(*parts, strict=True))
        shape = int(camera.height[0]), int(camera.width[0])
        opacity = torch.cat(opacity).view(shape)
        depth_sum = torch.cat(depth_sum).view(shape) / self.frame.to_model.scale
        behind = torch.ones(3, device=opacity.device) if background is None else background.to(opacity)
        rgb = torch.cat(colour).view(*shape, 3)
        if self.has_background:
            rgb = rgb + (1 - opacity[..., None]) * behind
        return Rendering(
            rgb=rgb.clamp(0, 1),
            depth=torch.where(opacity >= 0.01, depth_sum / opacity, torch.nan),
            opacity=opacity,
            depth_sum=depth_sum,
            statistics={"rays": float(len(rays)), "samples": float(sum(samples))},
        )

    def _render_cut(self, rays: Rays) -> tuple[Tensor, Tensor, Tensor, int]:
        """The same of rays that begin where they enter the region and end where they leave it."""
        assert self._region is not None
        origins, directions = rays.origins.double(), rays.directions.double()
        enter, leave = self._region.spans(origins, directions)
        enter = enter.clamp_min(self.marching.near)
        met = (leave > enter).nonzero()[:, 0]
        like = self.field.table
        colour = torch.zeros(len(rays), 3, device=like.device)
        opacity, depth_sum = torch.zeros_like(colour[:, 0]), torch.zeros_like(colour[:, 0])
        if not len(met):
            return colour, opacity, depth_sum, 0
        begun = Rays((origins + enter[:, None] * directions)[met], directions[met])
        before = enter[met].to(like)
        found = self._render_rays(begun, replace(self.marching, near=0.0), leave[met].to(like) - before)
        colour[met], opacity[met] = found[0], found[1]
        # Distances were measured from where the rays were begun.
        depth_sum[met] = found[2] + before * found[1]
        return colour, opacity, depth_sum, found[3]

    def _render_rays(
        self, rays: Rays, marching: MarchSettings | None = None, ends: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Colour, opacity and depth sum of rays, and how many samples they took; `ends` (rays,) cuts them."""
        origins = rays.origins.to(self.field.table)
        directions = rays.directions.to(self.field.table)
        samples = sample(origins, directions, self.grid, marching or self.marching, self.sampling)
        if ends is not None:
            samples = samples.only(samples.distances < ends[samples.ray_indices])
        cube = locate(origins, directions, samples, self.frame.contracted)
        sigmas, colours = self.field(cube, spherical_harmonics(directions), samples.ray_indices)
        result = composite(sigmas, colours, samples)
        return result.colour, result.opacity, result.depth_sum, len(samples)
