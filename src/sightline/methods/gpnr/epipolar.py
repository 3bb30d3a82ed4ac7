"""Where rays pass in source views, and both in coordinates of the ray (GPNR, Suhail et al. 2022, section 3).

Cameras look along +z here, with x to the right and y down. Depth is distance along a unit ray.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LEAST = 1e-8


@dataclass(frozen=True, eq=False)
class TargetRays:
    """Rays of one target picture."""

    origins: Float[Tensor, "rays 3"]
    directions: Float[Tensor, "rays 3"]
    """unit"""
    c2w: Float[Tensor, "3 4"]
    """of the target camera"""
    near: float
    far: float

    def __getitem__(self, part: slice) -> "TargetRays":
        """Some of the rays."""
        return replace(self, origins=self.origins[part], directions=self.directions[part])

    def to(self, device: torch.device | str) -> "TargetRays":
        """Move to a device."""
        origins, directions = self.origins.to(device), self.directions.to(device)
        return TargetRays(origins, directions, self.c2w.to(device), self.near, self.far)


@dataclass(frozen=True, eq=False)
class SourceCameras:
    """Cameras of the source views."""

    c2w: Float[Tensor, "views 3 4"]
    intrinsics: Float[Tensor, "views 3 3"]
    sizes: Int[Tensor, "views 2"]
    """width and height"""

    def to(self, device: torch.device | str) -> "SourceCameras":
        """Move to a device."""
        return SourceCameras(self.c2w.to(device), self.intrinsics.to(device), self.sizes.to(device))

    @property
    def w2c(self) -> Float[Tensor, "views 3 4"]:
        """World to camera."""
        return inverse(self.c2w)


@dataclass(frozen=True, eq=False)
class Places:
    """Pixels of the source views that samples fall on."""

    columns: Int[Tensor, "views rays samples"]
    rows: Int[Tensor, "views rays samples"]
    seen: Bool[Tensor, "views rays samples"]
    """in the picture, and before the camera"""


def inverse(pose: Float[Tensor, "*n 3 4"]) -> Float[Tensor, "*n 3 4"]:
    """Invert rigid motions."""
    turn = pose[..., :3].mT
    return torch.cat([turn, -turn @ pose[..., 3:]], -1)


def compose(first: Float[Tensor, "*n 3 4"], second: Float[Tensor, "*m 3 4"]) -> Float[Tensor, "*k 3 4"]:
    """Multiply affine maps: the second comes first."""
    turn = first[..., :3]
    return torch.cat([turn @ second[..., :3], turn @ second[..., 3:] + first[..., 3:]], -1)


def depths(near: float, far: float, count: int, inverse_depth: bool) -> Float[Tensor, "samples"]:
    """Distances along rays, evenly apart in distance or in its inverse."""
    steps = torch.linspace(0, 1, count, dtype=torch.float64)
    found = 1 / (1 / near + (1 / far - 1 / near) * steps) if inverse_depth else near + (far - near) * steps
    return found.float()


def project(
    points: Float[Tensor, "rays samples 3"], cameras: SourceCameras
) -> tuple[Float[Tensor, "views rays samples 2"], Float[Tensor, "views rays samples"]]:
    """Find columns and rows of points in every view, and their depths along its axis.

    Points behind a camera are seen through it, as the published program has them.
    """
    matrix = cameras.intrinsics @ cameras.w2c
    local = torch.einsum("nij,rpj->nrpi", matrix[..., :3], points) + matrix[:, None, None, :, 3]
    depth = local[..., 2]
    safe = torch.where(depth.abs() < _LEAST, _LEAST, depth)
    return local[..., :2] / safe[..., None], depth


def places_of(
    pixels: Float[Tensor, "views rays samples 2"],
    depth: Float[Tensor, "views rays samples"],
    cameras: SourceCameras,
) -> Places:
    """Round to the nearest pixels, halves to even ones; what is outside goes to the border."""
    limits = (cameras.sizes - 1).to(pixels)[:, None, None]
    zero = torch.zeros_like(limits)
    rounded = torch.clamp(pixels, zero, limits).round().long()
    inside = ((pixels > -0.5) & (pixels < limits + 0.5)).all(-1)
    return Places(rounded[..., 0], rounded[..., 1], inside & (depth > 0))


def canonical_frames(rays: TargetRays, squared: bool) -> Float[Tensor, "rays 3 4"]:
    """Frames in which each ray runs along z from the origin; y is down in the picture, as far as it can be.

    Args:
        squared: divide by squared lengths, as the published program does, by which x and y are scaled.
    """
    d = rays.directions
    down = rays.c2w[:, 1].expand_as(d)

    def scaled(v: Tensor) -> Tensor:
        square = v.square().sum(-1, keepdim=True).clamp_min(_LEAST)
        return v / (square if squared else square.sqrt())

    w = scaled(down - (d * down).sum(-1, keepdim=True) * d)
    v = scaled(torch.linalg.cross(w, d))
    turn = torch.stack([v, w, d], 1)
    return torch.cat([turn, -turn @ rays.origins[..., None]], -1)


def pluecker(origins: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 6"]:
    """Directions, and moments origin x direction."""
    return torch.cat([directions, torch.linalg.cross(origins, directions)], -1)


def source_rays(
    frames: Float[Tensor, "rays 3 4"],
    places: Places,
    cameras: SourceCameras,
    pixel_centre: float,
) -> Float[Tensor, "rays views samples 6"]:
    """Pluecker coordinates, in each ray's frame, of the rays through the pixels that samples fall on."""
    pixels = torch.stack([places.columns, places.rows], -1).to(frames.dtype) + pixel_centre
    ends = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1).transpose(0, 1)
    moved = compose(frames[:, None], cameras.c2w)
    towards = moved[..., :3] @ torch.linalg.inv(cameras.intrinsics)
    directions = torch.nn.functional.normalize(ends @ towards.mT, dim=-1)
    origins = moved[:, :, None, :, 3].expand_as(directions)
    return pluecker(origins, directions)


def relative_poses(
    target: Float[Tensor, "3 4"], sources: Float[Tensor, "views 3 4"], published: bool
) -> Float[Tensor, "views 12"]:
    """Rotation (row by row) and translation from source cameras to the target camera.

    Args:
        published: the published program's translation, a difference of ones that have different frames; it
            changes with the frame of the world.
    """
    w2c = inverse(target)
    both = compose(w2c, sources)
    shift = w2c[:, 3] - sources[..., 3] if published else both[..., 3]
    return torch.cat([both[..., :3].flatten(1), shift], -1)
