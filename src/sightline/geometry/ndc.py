"""Normalised device coordinates: the view frustum ahead of a camera as a cube (Mildenhall et al. 2020,
appendix C).

The camera is at the origin of its frame and looks along -z. Its near plane, z = -near, becomes z' = -1 and
infinity becomes z' = 1; x' and y' are in [-1, 1] within the picture. `scale` holds 2 focal / width and
2 focal / height. A ray that is moved to start on the near plane is o' + t d' with t from 0 there to 1 at
infinity.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST_AHEAD = 1e-6
"""least sine of the angle between a ray and the picture's plane"""


def ndc_points(
    points: Float[Tensor, "*batch 3"], scale: tuple[float, float], near: float = 1.0
) -> Float[Tensor, "*batch 3"]:
    """Map points ahead of the camera (z < 0) into the cube."""
    x, y, z = points.unbind(-1)
    return torch.stack([-scale[0] * x / z, -scale[1] * y / z, 1 + 2 * near / z], -1)


def ndc_matrix(scale: tuple[float, float], near: float = 1.0) -> Float[Tensor, "4 4"]:
    """Give the map of `ndc_points` for homogeneous points; it keeps their last number positive ahead."""
    x, y = scale
    rows = [[x, 0, 0, 0], [0, y, 0, 0], [0, 0, -1, -2 * near], [0, 0, -1, 0]]
    return torch.tensor(rows, dtype=torch.float64)


def from_ndc_points(
    points: Float[Tensor, "*batch 3"], scale: tuple[float, float], near: float = 1.0
) -> Float[Tensor, "*batch 3"]:
    """Map points of the cube (z' < 1) back; the inverse of `ndc_points`."""
    z = 2 * near / (points[..., 2] - 1)
    return torch.stack([-points[..., 0] * z / scale[0], -points[..., 1] * z / scale[1], z], -1)


def ndc_rays(
    origins: Float[Tensor, "*batch 3"],
    directions: Float[Tensor, "*batch 3"],
    scale: tuple[float, float],
    near: float = 1.0,
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3"]]:
    """Map rays that go ahead (d_z < 0) into the cube; the length of `directions` does not matter.

    Returns:
        Origins on the near plane, and directions that end at infinity; they are not of unit length.
    """
    start = -(near + origins[..., 2]) / directions[..., 2]
    moved = origins + start[..., None] * directions
    x, y, z = moved.unbind(-1)
    dx, dy, dz = directions.unbind(-1)
    into = torch.stack(
        [-scale[0] * (dx / dz - x / z), -scale[1] * (dy / dz - y / z), -2 * near / z],
        -1,
    )
    return ndc_points(moved, scale, near), into


def ahead(directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Turn directions that do not go ahead to where they just do, so that `ndc_rays` can map them."""
    x, y, z = directions.unbind(-1)
    least = _LEAST_AHEAD * torch.linalg.vector_norm(directions, dim=-1)
    return torch.stack([x, y, torch.minimum(z, -least)], -1)


def ndc_depth(t: Float[Tensor, "*batch"], near: float = 1.0) -> Float[Tensor, "*batch"]:
    """Give the depth along the camera's axis at t of a mapped ray: near / (1 - t)."""
    return near / (1 - t)
