"""The trained scene of `nerf`: its field in the input frame, and pictures of it."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry import Cameras
from sightline.geometry.ndc import ahead, ndc_matrix, ndc_points, ndc_rays
from sightline.geometry.poses import normalise
from sightline.geometry.rays import image_pixels
from sightline.geometry.regions import Region
from sightline.methods.base import CAPABILITIES, Rendering, Scene
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.network import name_shown, network_of
from sightline.methods.nerf.occupancy import OccupancyTracer
from sightline.methods.nerf.rays import RayMaker, distances
from sightline.methods.nerf.tracing import Chance, NerfRays, Tracer, activate_density
from sightline.networks.radiance_mlp import RadianceMlp

# Opacity below which a pixel has no depth.
_LEAST_OPACITY = 0.01


class NerfScene(Scene):
    """A view of the method's own networks and frame; it changes as they are trained on.

    Args:
        has_background: whether rays that meet little show what is behind. Photos are of a world that is full:
            what their rays miss was trained to be black, and stays so.
        guided: gives what traces rays instead, by a grid; asked for every picture.
        focal: see `RayMaker`.
    """

    capabilities = CAPABILITIES - {"multi-view"}
    can_be_cut: ClassVar[bool] = True

    def __init__(
        self,
        tracer: Tracer,
        frame: Frame,
        has_background: bool,
        guided: Callable[[], OccupancyTracer] | None = None,
        focal: float | None = None,
    ):
        self.tracer, self.frame, self.has_background = tracer, frame, has_background
        self.guided, self.focal = guided, focal
        self._region: Region | None = None

    def within(self, region: Region) -> "NerfScene":
        """The same scene with nothing outside a region of the input frame."""
        cut = copy(self)
        region = region.transformed(self.frame.to_model)
        cut._region = region if self.frame.ndc is None else region.mapped(ndc_matrix(self.frame.ndc))
        return cut

    @property
    def network(self) -> RadianceMlp:
        """The network that is shown: the fine one, where there is one."""
        networks = self.tracer.networks
        return network_of(networks, name_shown(networks))

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of the box that holds what the scene shows."""
        return torch.tensor(self.frame.bounds)

    @property
    def near(self) -> float:
        """Distance from a camera at which rays begin, input units; 0 in normalised device coordinates, whose
        near plane is none of a camera's.
        """
        return 0.0 if self.frame.ndc is not None else self.frame.near / self.frame.to_model.scale

    @torch.no_grad()
    def density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Volume density per input unit at points of the input frame.

        In normalised device coordinates a unit of length depends on its direction: the density is that for a
        look from the middle of the cameras. Before the near plane there is nothing.
        """
        config, frame = self.tracer.config, self.frame
        model = frame.to_model.apply(points.double())
        scale = torch.full_like(model[:, 0], frame.to_model.scale)
        inside = torch.ones_like(scale, dtype=torch.bool)
        if frame.ndc is not None:
            inside = model[:, 2] < -1
            model = torch.where(inside[:, None], model, torch.tensor([0.0, 0.0, -1.0]).to(model))
            depth = -model[:, 2]
            # Along a ray through the middle, z' = 1 - 2 / depth, and t is half of what z' has passed.
            per_depth = (2.0 if config.length_by_direction else 1.0) / depth.square()
            scale = scale * per_depth * depth / model.norm(dim=-1)
            model = ndc_points(model, frame.ndc)
        if self._region is not None:
            inside = inside & self._region.holds(model)
        raw = self.network.raw_density(self._like_network(model))[:, 0]
        sigmas = activate_density(raw, config) * scale.to(raw)
        return torch.where(inside.to(raw.device), sigmas, torch.zeros_like(sigmas)).to(points)

    @torch.no_grad()
    def radiance(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colour in [0, 1] seen at points of the input frame when looking along unit `directions`."""
        config, frame = self.tracer.config, self.frame
        model = frame.to_model.apply(points.double())
        views = normalise(frame.to_model.apply_directions(directions.double()))
        if frame.ndc is not None:
            # What is not ahead of the middle camera is not in these coordinates.
            model = torch.cat([model[:, :2], model[:, 2:].clamp_max(-1.0)], -1)
            if config.view_directions == "ray":
                views = ndc_rays(model, ahead(views), frame.ndc)[1]
            model = ndc_points(model, frame.ndc)
        seen = None if config.view_directions == "none" else self._like_network(views)
        colour = self.network(self._like_network(model), seen)[1]
        return torch.sigmoid(colour).to(points)

    def _like_network(self, values: Tensor) -> Tensor:
        return values.to(next(self.network.parameters()))

    @torch.no_grad()
    def render(
        self,
        camera: Cameras,
        background: Float[Tensor, "3"] | None = None,
        chunk: int | None = None,
        directions_from: Cameras | None = None,
    ) -> Rendering:
        """Render one camera of the input frame; see `Method.render`.

        Args:
            directions_from: a camera of the same size, whose directions colours depend on instead:
                reflections move while the view stands still.
        """
        to_model = self.frame.to_model
        maker = RayMaker(camera.transformed(to_model), self.tracer.config, self.frame, self.focal)
        other = None if directions_from is None else directions_from.transformed(to_model)
        shape = int(camera.height[0]), int(camera.width[0])
        pixels = image_pixels(shape[1], shape[0]).to(camera.device)
        size = chunk or self.tracer.config.ray_chunk
        guided = None if self.guided is None else self.guided()
        parts = [self._render_part(maker, part, other, guided) for part in pixels.split(size)]
        colour, opacity, depth = (torch.cat(column) for column in list(zip(*parts, strict=True))[:3])
        if self.has_background:
            behind = torch.ones(3).to(colour) if background is None else background.to(colour)
            colour = colour + (1 - opacity[:, None]) * behind
        visible = opacity >= _LEAST_OPACITY
        return Rendering(
            rgb=colour.clamp(0, 1).float().view(*shape, 3),
            depth=torch.where(visible, depth, torch.nan).float().view(shape),
            opacity=opacity.float().view(shape),
            depth_sum=torch.where(opacity > 0, depth * opacity, 0.0).float().view(shape),
            statistics={"rays": float(len(pixels)), "samples": float(sum(part[3] for part in parts))},
        )

    def _render_part(
        self,
        maker: RayMaker,
        pixels: Tensor,
        directions_from: Cameras | None,
        guided: OccupancyTracer | None,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Colour without background, opacity, mean distance in input units, and how many samples it took."""
        made = maker(0, pixels, directions_from)
        rays = made.rays.to(next(self.network.parameters()))
        seen = self._trace(rays, guided) if self._region is None else self._trace_cut(rays, guided)
        mean = seen.depth_sum / seen.opacity.clamp_min(1e-10)
        depth = distances(made, mean.double().to(made.origins.device), self.frame)
        return seen.colour, seen.opacity, depth.to(seen.opacity), seen.asked

    def _trace(self, rays: NerfRays, guided: OccupancyTracer | None, tracer: Tracer | None = None) -> "_Seen":
        config = self.config
        if guided is not None:
            found = guided(rays, config.render_noise, config.occupancy_samples)
            seen, asked = found.result, len(found.points)
        else:
            tracer = tracer or self.tracer
            chance = Chance.draw(config, tracer.noise, rays.origins) if config.render_noise else None
            seen = tracer(rays, chance, coarse_colours=False).best.seen
            asked = config.coarse_samples * (2 if "fine" in tracer.networks else 1) + config.fine_samples
            asked *= len(rays)
        return _Seen(seen.colour, seen.opacity, seen.depth_sum, asked)

    def _trace_cut(self, rays: NerfRays, guided: OccupancyTracer | None) -> "_Seen":
        """Trace rays from where they enter the region to where they leave it."""
        assert self._region is not None
        enter, leave = self._region.spans(rays.origins, rays.directions)
        near, far = torch.maximum(rays.near, enter), torch.minimum(rays.far, leave)
        colour = torch.zeros_like(rays.origins)
        opacity, depth_sum, asked = torch.zeros_like(near), torch.zeros_like(near), 0
        # What a ray ends in stands for all that is behind, unless the ray is cut off before.
        ending = Tracer(replace(self.config, last_length=0.0), self.tracer.networks, self.tracer.noise)
        guided_end = None
        if guided is not None:
            guided_end = copy(guided)
            guided_end.endless = False
        for cut, guide, tracer in ((False, guided, self.tracer), (True, guided_end, ending)):
            chosen = ((far > near) & ((leave < rays.far) == cut)).nonzero()[:, 0]
            if len(chosen):
                seen = self._trace(replace(rays, near=near, far=far)[chosen], guide, tracer)
                colour[chosen], opacity[chosen], depth_sum[chosen] = seen.colour, seen.opacity, seen.depth_sum
                asked += seen.asked
        return _Seen(colour, opacity, depth_sum, asked)

    @property
    def config(self) -> NerfConfig:
        """The configuration."""
        return self.tracer.config


class _Seen(NamedTuple):
    """Of rays: colour over nothing, opacity, sum of depths, and of how many points was asked."""

    colour: Tensor
    opacity: Tensor
    depth_sum: Tensor
    asked: int
