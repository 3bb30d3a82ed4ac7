"""Scenes as `gpnr` takes them: scaled to the unit, recentred, cameras that look along +z with y down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from sightline.captures import Capture
from sightline.captures.straightening import bends_light, straightened
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, Similarity
from sightline.geometry.poses import recentre
from sightline.geometry.rays import image_pixels
from sightline.media.images import composite_over, to_float
from sightline.methods.depth_bounds import view_bounds
from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.epipolar import SourceCameras, TargetRays

# Cameras nearer to each other than this, in the network's units, are one.
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class SceneViews:
    """Views of one scene, in the network's frame: its farthest depth, or 3/4 of its nearest, is the unit."""

    capture: Capture
    frame: Similarity
    """from the frame of the data"""
    near: float
    far: float
    c2w: Float[Tensor, "views 3 4"]
    intrinsics: Float[Tensor, "views 3 3"]

    @staticmethod
    def of(capture: Capture, config: GpnrConfig) -> "SceneViews":
        """Bring a capture to the network's frame; photos by lenses that bend light are straightened.

        Raises:
            InputError: nobody says how near and far it is.
        """
        capture = straightened(capture)
        cameras = capture.cameras
        nears, fars = view_bounds(capture, config.near, config.far)
        near = float(nears.min()) if config.near is None else config.near
        far = float(fars.max()) if config.far is None else config.far
        if not 0 < near < far:
            raise InputError(
                f"The scene would reach from {near:g} to {far:g} before its cameras",
                where=capture.path,
                fix="Give --near and --far, in units of the data",
            )
        scale = 1 / far if config.unit == "far" else 1 / (0.75 * near)
        _, centred = recentre(cameras.c2w)
        grow = Similarity(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
        frame = grow.compose(centred)
        c2w, intrinsics = network_cameras(cameras, frame)
        return SceneViews(capture, frame, near * scale, far * scale, c2w, intrinsics)

    def __len__(self) -> int:
        return len(self.c2w)

    def size(self, view: int) -> tuple[int, int]:
        """Width and height of a view."""
        width, height = self.capture.images.sizes[view]
        return int(width), int(height)

    def nearest(self, c2w: Float[Tensor, "3 4"], among: Sequence[int]) -> list[int]:
        """Order views by their distance from a camera, nearest first; one that is that camera is left out.

        Args:
            among: numbers of the views.
        """
        chosen = list(among)
        apart = (self.c2w[chosen] - c2w).abs().flatten(1).amax(1)
        distances = (self.c2w[chosen, :, 3] - c2w[:, 3]).norm(dim=-1)
        order = torch.argsort(distances, stable=True).tolist()
        return [chosen[k] for k in order if float(apart[k]) > _SAME] or chosen[:1]

    def cameras(self, views: Sequence[int]) -> SourceCameras:
        """Give the cameras of source views."""
        chosen = list(views)
        sizes = torch.from_numpy(self.capture.images.sizes[chosen])
        return SourceCameras(self.c2w[chosen], self.intrinsics[chosen], sizes)

    def picture(self, view: int) -> Num[Tensor, "h w 3"]:
        """Load a picture: uint8; or in [0, 1], over white, where it is transparent."""
        image = self.capture.images[view]
        if image.shape[2] == 3:
            return torch.from_numpy(image.copy())
        return torch.from_numpy(composite_over(to_float(image), (1.0, 1.0, 1.0)))

    def counting_pixels(self, view: int) -> np.ndarray | None:
        """Give pixels (n,), counted row by row, that its mask does not leave out; None where it has none."""
        if self.capture.masks is None:
            return None
        found = np.flatnonzero(self.capture.masks[view] == 0)
        return found if len(found) else None


def network_cameras(
    cameras: Cameras, frame: Similarity
) -> tuple[Float[Tensor, "n 3 4"], Float[Tensor, "n 3 3"]]:
    """Give poses and intrinsics of cameras of the data in the network's frame and axes."""
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    c2w = (cameras.transformed(frame).c2w * flip).float()
    intrinsics = torch.zeros(len(cameras), 3, 3, dtype=torch.float64)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = cameras.fx, cameras.fy
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = cameras.cx, cameras.cy, 1.0
    return c2w, intrinsics.float()


def camera_rays(
    camera: Cameras, frame: Similarity, limits: tuple[float, float], pixel_centre: float
) -> TargetRays:
    """Rays of all pixels of a camera of the data, row by row; its lens may bend light.

    Args:
        limits: near and far, in the network's frame.
    """
    c2w, intrinsics = (value[0] for value in network_cameras(camera, frame))
    pixels = image_pixels(int(camera.width[0]), int(camera.height[0]))
    if not bends_light(camera):
        return rays_through(pixels, c2w, intrinsics, limits, pixel_centre)
    rays = camera.transformed(frame).rays(0, pixels + pixel_centre)
    return TargetRays(rays.origins, rays.directions, c2w, *limits)


def rays_through(
    pixels: Int[Tensor, "rays 2"],
    c2w: Float[Tensor, "3 4"],
    intrinsics: Float[Tensor, "3 3"],
    limits: tuple[float, float],
    pixel_centre: float,
) -> TargetRays:
    """Rays of a camera through pixels (column, row).

    Args:
        limits: near and far.
    """
    ends = torch.cat([pixels + pixel_centre, torch.ones_like(pixels[:, :1])], -1)
    local = ends.to(c2w) @ torch.linalg.inv(intrinsics).t()
    directions = torch.nn.functional.normalize(local @ c2w[:, :3].t(), dim=-1)
    return TargetRays(c2w[:, 3].expand_as(directions), directions, c2w, *limits)
