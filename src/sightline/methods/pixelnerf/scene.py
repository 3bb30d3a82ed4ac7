"""What `pixelnerf` sees in source views: a field in the input frame, and pictures of it."""

import zlib
from collections.abc import Iterator
from copy import copy
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry import Cameras
from sightline.geometry.poses import normalise
from sightline.geometry.rays import image_pixels
from sightline.geometry.regions import Region
from sightline.methods.base import CAPABILITIES, Rendering, Scene
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.frame import Frame
from sightline.methods.pixelnerf.network import Encoded, PixelNerfNetwork
from sightline.methods.pixelnerf.occupancy import OccupancyTracer
from sightline.methods.pixelnerf.quick_field import QuickField
from sightline.methods.pixelnerf.tracing import Chance, ObjectRays, SampleCounts, Traced, Tracer

# Opacity below which a pixel has no depth.
_LEAST_OPACITY = 0.01


class PixelNerfScene(Scene):
    """One object or scene, encoded from its source views.

    Args:
        encoded: the source views, one object's.
        counts: how many samples rays get.
    """

    capabilities = CAPABILITIES
    can_be_cut: ClassVar[bool] = True

    def __init__(
        self,
        network: PixelNerfNetwork,
        encoded: Encoded,
        frame: Frame,
        config: PixelNerfConfig,
        counts: SampleCounts,
    ):
        self.network, self.encoded, self.frame = network, encoded, frame
        self.config, self.counts = config, counts
        quick = QuickField.serves(network, encoded, config)
        self._quick = QuickField(network, encoded, config) if quick else None
        self._guide: OccupancyTracer | None = None
        self._region: Region | None = None

    def within(self, region: Region) -> "PixelNerfScene":
        """The same scene with nothing outside a region of the input frame."""
        cut = copy(self)
        # Its guide would hide what is behind things that are cut away.
        cut._guide, cut._region = None, region.transformed(self.frame.to_model)
        return cut

    @property
    def has_background(self) -> bool:
        """Whether rays that meet little show what is behind."""
        return self.config.background == "white"

    @property
    def _centres(self) -> Float[Tensor, "views 3"]:
        """Where the source cameras are, in the network's frame."""
        turn = self.encoded.rotation[0].transpose(-1, -2)
        return -(turn @ self.encoded.translation[0][..., None])[..., 0]

    @property
    def _ball(self) -> tuple[Float[Tensor, "3"], float]:
        """Middle and radius, in the network's frame, of the ball that rays from near to far pass through."""
        middle, reach = (self.frame.near + self.frame.far) / 2, (self.frame.far - self.frame.near) / 2
        ahead = -self.encoded.rotation[0][:, 2]
        return (self._centres + middle * ahead).mean(0), reach

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of a box around the ball that rays between near and far pass through.

        Its middle is that of the source views' rays: the object where that is what they show.
        """
        centre, reach = self._ball
        corners = torch.stack([centre - reach, centre + reach]).double().cpu()
        return self.frame.to_model.inverse().apply(corners).sort(0).values.float()

    @property
    def near(self) -> float:
        """Distance from a camera at which rays begin, input units."""
        return self.frame.near / self.frame.to_model.scale

    @torch.no_grad()
    def density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Volume density per input unit at points of the input frame.

        The network's density depends on the direction of view; this is its mean over the directions from the
        source cameras.
        """
        model = self._to_model(points)
        total = torch.zeros_like(model[:, 0])
        for centre in self._centres:
            total += self._ask(model, normalise(model - centre))[1]
        return (total / len(self._centres) * self.frame.to_model.scale).to(points)

    @torch.no_grad()
    def radiance(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colour in [0, 1] seen at points of the input frame when looking along unit `directions`."""
        views = self.frame.to_model.apply_directions(directions.double()).to(self.encoded.rotation)
        return self._ask(self._to_model(points), views)[0].to(points)

    def _to_model(self, points: Tensor) -> Tensor:
        return self.frame.to_model.apply(points.double()).to(self.encoded.rotation)

    def _ask(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        rgb, sigma = self._field(points[None], directions[None], True)
        return rgb[0], sigma[0]

    def _field(self, points: Tensor, directions: Tensor, fine: bool) -> tuple[Tensor, Tensor]:
        rgb, sigma = self._whole_field(points, directions, fine)
        if self._region is not None:
            inside = self._region.holds(points.reshape(-1, 3)).view(sigma.shape)
            sigma = torch.where(inside, sigma, torch.zeros_like(sigma))
        return rgb, sigma

    def _whole_field(self, points: Tensor, directions: Tensor, fine: bool) -> tuple[Tensor, Tensor]:
        fine = fine and self.counts.fine > 0
        if self._quick is not None:
            return self._quick(points, directions, fine)
        size = max(1, self.config.point_chunk // self.encoded.rotation.shape[1])
        parts = [
            self.network(self.encoded, *part, fine)
            for part in zip(points.split(size, 1), directions.split(size, 1), strict=True)
        ]
        rgb, sigma = zip(*parts, strict=True)
        return torch.cat(rgb, 1), torch.cat(sigma, 1)

    @torch.no_grad()
    def render(
        self, camera: Cameras, background: Float[Tensor, "3"] | None = None, chunk: int | None = None
    ) -> Rendering:
        """Render one camera of the input frame; see `Method.render`."""
        shape = int(camera.height[0]), int(camera.width[0])
        pixels = image_pixels(shape[1], shape[0]).to(camera.device) + self.config.pixel_centre
        parts = list(self._trace(camera, pixels, chunk or self.config.ray_chunk))
        colour, opacity, depth_sum = (torch.cat(column) for column in list(zip(*parts, strict=True))[:3])
        if self.has_background:
            behind = torch.ones(3) if background is None else background
            colour = colour + (1 - opacity[:, None]) * behind.to(colour)
        depth = depth_sum / self.frame.to_model.scale
        mean = torch.where(opacity >= _LEAST_OPACITY, depth / opacity.clamp_min(1e-10), torch.nan)
        return Rendering(
            rgb=colour.clamp(0, 1).view(*shape, 3),
            depth=mean.view(shape),
            opacity=opacity.view(shape),
            depth_sum=depth.view(shape),
            statistics={"rays": float(len(pixels)), "samples": float(sum(part[3] for part in parts))},
        )

    def _trace(
        self, camera: Cameras, pixels: Float[Tensor, "n 2"], chunk: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, int]]:
        """Give colour, opacity and sum of depths of parts of a picture, and of how many points was asked."""
        guided = self.config.sampler == "occupancy"
        if guided and self._guide is None:
            reach = self.frame.near, self.frame.far
            self._guide = OccupancyTracer(self.config, self._field, *self._ball, *reach)
        asked = 2 * self.counts.coarse + self.counts.fine if self.counts.fine else self.counts.coarse
        chance = self._generator(camera)
        posed = camera.transformed(self.frame.to_model)
        for part in pixels.double().split(chunk):
            rays = posed.rays(0, part)
            made = rays.origins.to(self.encoded.rotation), rays.directions.to(self.encoded.rotation)
            if guided:
                assert self._guide is not None
                found, count = self._guide(*made)
                yield found.colour, found.opacity, found.depth_sum, count
            else:
                seen = self.trace_rays(*made, chance).best.seen
                yield seen.colour, seen.opacity, seen.depth_sum, asked * len(part)

    def trace_rays(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        generator: torch.Generator | None = None,
    ) -> Traced:
        """Trace rays of the network's frame; without a generator, samples are spread evenly."""
        near = torch.full_like(origins[None, :, 0], self.frame.near)
        rays = ObjectRays(origins[None], directions[None], near, torch.full_like(near, self.frame.far))
        if generator is None:
            chance = Chance.without(self.counts, len(origins), origins)
        else:
            chance = Chance.draw(self.counts, len(origins), origins, generator)
        return Tracer(self.config, self.counts)(self._field, rays, chance)

    def _generator(self, camera: Cameras) -> torch.Generator | None:
        """Make what random samples are drawn from: the same for the same camera."""
        if not self.config.render_chance:
            return None
        seed = zlib.crc32(camera.c2w.cpu().numpy().tobytes())
        return torch.Generator(device=self.encoded.rotation.device).manual_seed(seed)
