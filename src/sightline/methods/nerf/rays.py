"""From the pixels of cameras to the rays that the networks see, and from depths back to distances."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.geometry import Cameras
from sightline.geometry.ndc import ahead, ndc_rays
from sightline.geometry.poses import normalise
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.tracing import NerfRays

# In normalised device coordinates, nothing is farther than this many near planes.
_FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class PixelRays:
    """Rays of pixels, and where they lie in the world of the model frame."""

    rays: NerfRays
    origins: Float[Tensor, "rays 3"]
    directions: Float[Tensor, "rays 3"]
    """unit length"""


class RayMaker:
    """Makes rays by the configuration's conventions; float64, since few operations cost little.

    Args:
        cameras: in the model frame (`Frame.to_model`).
        focal: focal length of the training images in pixels, for pictures of any size. Rays that do not go
            through the middle of pixels have moved the scene by a part of a training pixel; in smaller
            pictures that is a smaller part of theirs. Where not given, rays go through the same place of all.
    """

    def __init__(self, cameras: Cameras, config: NerfConfig, frame: Frame, focal: float | None = None):
        self.cameras, self.config, self.frame, self.focal = cameras, config, frame, focal

    def __call__(
        self,
        indices: Int[Tensor, "rays"] | int,
        pixels: Int[Tensor, "rays 2"],
        directions_from: Cameras | None = None,
    ) -> PixelRays:
        """Make rays through whole pixels (column, row).

        Args:
            directions_from: one camera, in the model frame, whose directions colours shall depend on instead
                of those of the rays.
        """
        config, frame = self.config, self.frame
        origins, directions = self._world(self.cameras, indices, pixels)
        views = directions
        if directions_from is not None:
            _, views = self._world(directions_from, 0, pixels)
        unit, along = normalise(directions), directions
        starts = origins
        if frame.ndc is not None:
            starts, along = ndc_rays(origins, ahead(unit), frame.ndc)
        seen: Tensor | None
        if config.view_directions == "none":
            seen = None
        elif config.view_directions == "world":
            seen = normalise(views)
        elif frame.ndc is not None and directions_from is not None:
            seen = ndc_rays(origins, ahead(views), frame.ndc)[1]
        else:
            seen = along if directions_from is None else views
        rays = NerfRays(
            origins=starts,
            directions=along,
            view_directions=seen,
            near=torch.full_like(origins[:, 0], frame.near),
            far=torch.full_like(origins[:, 0], frame.far),
        )
        return PixelRays(rays, origins, unit)

    def _world(self, cameras: Cameras, indices: Tensor | int, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and directions in the model frame, of the length that the configuration says."""
        place: float | Tensor = self.config.pixel_centre
        if self.focal is not None:
            focal = cameras.fx[indices] if isinstance(indices, Tensor) else cameras.fx[indices][None]
            place = 0.5 - (0.5 - place) * (focal[:, None].double() / self.focal)
        local, _ = cameras.local_directions(indices, pixels.double() + place)
        if self.config.ray_directions == "plane":
            # A lens of more than 180 degrees has pixels that no plane ahead reaches.
            local = local / (-local[:, 2:]).clamp_min(1e-6)
        else:
            local = normalise(local)
        poses = cameras.c2w[indices] if isinstance(indices, Tensor) else cameras.c2w[indices][None]
        directions = (poses[:, :, :3] * local[:, None, :]).sum(-1)
        return poses[:, :, 3].expand_as(directions), directions


def distances(pixel_rays: PixelRays, t: Float[Tensor, "rays"], frame: Frame) -> Float[Tensor, "rays"]:
    """Turn depths along the networks' rays into distances from the camera in units of the data.

    In normalised device coordinates what is turned back is a mean of t, which is a mean of inverse depth.
    """
    if frame.ndc is None:
        length = pixel_rays.rays.directions.norm(dim=-1)
        return t * length.to(t) / frame.to_model.scale
    z = -1 / (1 - t.double()).clamp_min(1 / _FARTHEST)
    origins, directions = pixel_rays.origins, ahead(pixel_rays.directions)
    return ((z - origins[:, 2].to(z)) / directions[:, 2].to(z) / frame.to_model.scale).to(t)
