"""Camera paths of the published NeRF systems, pose by pose as those make them.

They are for comparing with published videos; `trajectories` has the paths that suit any capture. Each
function takes poses that a treatment made (`treatments.recentre_and_scale`, or `spherify` where it says so)
and returns poses in the same frame.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.poses import average_pose, normalise
from sightline.geometry.treatments import central_view

_SPIRAL_QUANTILE = 0.9
_PL_FOCUS = 3.5
"""distance that nerf_pl's spiral looks at, in scaled units"""
# How bmild weighs the nearest and the farthest depth to the distance that its spiral looks at.
_BMILD_CLOSE, _BMILD_FAR, _BMILD_SHARE = 0.9, 5.0, 0.75
_PL_RADIUS = 1.1
"""radius of nerf_pl's circle in nearest depths"""
_PL_PITCH = -36.0


def spiral_radii(c2w: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3"]:
    """Measure how wide a spiral goes along each axis: the 90th percentile of the cameras' distances."""
    return torch.quantile(c2w[:, :, 3].double().abs(), _SPIRAL_QUANTILE, dim=0)


def nerf_pl_spiral(c2w: Float[Tensor, "n 3 4"], frames: int = 120) -> Float[Tensor, "frames 3 4"]:
    """Make nerf_pl's spiral for forward-facing captures: two turns that look at the depth 3.5."""
    radii = spiral_radii(c2w)
    centres = _spiral_curve(frames, 2) * radii
    target = torch.tensor([0.0, 0.0, -_PL_FOCUS], dtype=torch.float64)
    return _looking_along(centres, centres - target, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))


def flax_nerf_spiral(c2w: Float[Tensor, "n 3 4"], frames: int = 120) -> Float[Tensor, "frames 3 4"]:
    """Make flax_nerf's spiral: nerf_pl's, as wide as the views other than the central one are."""
    if len(c2w) == 1:
        return nerf_pl_spiral(c2w, frames)
    centre = central_view(c2w)
    return nerf_pl_spiral(torch.cat([c2w[:centre], c2w[centre + 1 :]]), frames)


def bmild_spiral(
    c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"], frames: int = 120
) -> Float[Tensor, "frames 3 4"]:
    """Make bmild's spiral for forward-facing captures: two turns about the average camera.

    Args:
        near, far: depth bounds of each view in the units of the poses; the depth it looks at is between them.
    """
    return _bmild_spiral(c2w, average_pose(c2w), spiral_radii(c2w), focus_depth(near, far), frames, 2)


def bmild_spiral_zflat(
    c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"], frames: int = 60
) -> Float[Tensor, "frames 3 4"]:
    """Make bmild's flat spiral (`path_zflat`): one turn in a plane a little ahead of the average camera."""
    average = average_pose(c2w)
    ahead = 0.1 * _BMILD_CLOSE * _least(near, far)
    average = torch.cat([average[:, :3], (average[:, 3] - ahead * average[:, 2])[:, None]], -1)
    radii = spiral_radii(c2w) * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    return _bmild_spiral(c2w, average, radii, focus_depth(near, far), frames, 1)


def focus_depth(near: Float[Tensor, "n"], far: Float[Tensor, "n"]) -> float:
    """Choose the depth that bmild's spirals look at: a harmonic mean of 0.9 x nearest and 5 x farthest."""
    close, distant = _BMILD_CLOSE * _least(near, far), _BMILD_FAR * float(torch.maximum(near, far).max())
    return 1 / ((1 - _BMILD_SHARE) / close + _BMILD_SHARE / distant)


def nerf_pl_circle(nearest: float, frames: int = 120) -> Float[Tensor, "frames 3 4"]:
    """Make nerf_pl's circle for 360 captures, about the origin of the recentred and scaled frame.

    It looks down by 36 degrees and passes the origin at 0.9 of its radius, whatever the capture: it shows the
    subject of captures taken as its author took them. `trajectories.circle` looks at the subject of any.

    Args:
        nearest: least depth bound of all views, in the units of the poses; the radius is 1.1 of it.
    """
    radius = _PL_RADIUS * nearest
    offset = torch.tensor([0.0, -0.9 * radius, radius], dtype=torch.float64)
    degrees = torch.arange(_checked(frames), dtype=torch.float64) * (360 / frames)
    return torch.stack([_turned(offset, float(angle), _PL_PITCH) for angle in degrees])


def bmild_spherify_circle(c2w: Float[Tensor, "n 3 4"], frames: int = 120) -> Float[Tensor, "frames 3 4"]:
    """Make bmild's circle for 360 captures, of poses that `treatments.spherify` made.

    It is at distance 1 from the subject and level, as high as the mean camera. The last frame is the first
    one again.
    """
    rise = float(c2w[:, 2, 3].double().mean())
    level = math.sqrt(max(0.0, 1 - rise * rise))
    angles = torch.linspace(0, 2 * math.pi, _checked(frames), dtype=torch.float64)
    centres = torch.stack(
        [level * torch.cos(angles), level * torch.sin(angles), torch.full_like(angles, rise)], -1
    )
    z = normalise(centres)
    down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    x = normalise(torch.linalg.cross(z, down.expand_as(z)))
    return torch.stack([x, normalise(torch.linalg.cross(z, x)), z, centres], -1)


def blender_circle(
    frames: int = 40, elevation: float | int = 30.0, radius: float | int = 4.0
) -> Float[Tensor, "frames 3 4"]:
    """Make the circle of the NeRF-synthetic scenes (bmild, flax_nerf), in the frame of their files, z up.

    Args:
        elevation: degrees above the origin.
        radius: distance from the origin, world units.
    """
    degrees = -180 + torch.arange(_checked(frames), dtype=torch.float64) * (360 / frames)
    return torch.stack([pose_spherical(float(angle), -elevation, radius) for angle in degrees])


def pose_spherical(azimuth: float | int, pitch: float | int, radius: float | int) -> Float[Tensor, "3 4"]:
    """Give the pose on a sphere about the origin that looks at it, z up, as NeRF's Blender scripts do.

    Args:
        azimuth, pitch: degrees; a negative pitch looks down.
        radius: world units.
    """
    return _turned(torch.tensor([0.0, 0.0, float(radius)], dtype=torch.float64), azimuth, pitch)


def _turned(offset: Tensor, azimuth: float | int, pitch: float | int) -> Tensor:
    """A camera moved by `offset` in its own axes, pitched, turned, and its y-up world stood up to z."""
    q, p = math.radians(azimuth), math.radians(pitch)
    tilt = torch.tensor(
        [[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]], dtype=torch.float64
    )
    turn = torch.tensor(
        [[math.cos(q), 0, -math.sin(q)], [0, 1, 0], [math.sin(q), 0, math.cos(q)]], dtype=torch.float64
    )
    stand = torch.tensor([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=torch.float64)
    rotation = stand @ turn @ tilt
    return torch.cat([rotation, (rotation @ offset)[:, None]], -1)


def _bmild_spiral(
    c2w: Tensor, average: Tensor, radii: Tensor, depth: float, frames: int, turns: int
) -> Tensor:
    centres = (_spiral_curve(frames, turns) * radii) @ average[:, :3].T + average[:, 3]
    target = average[:, 3] - depth * average[:, 2]
    return _looking_along(centres, centres - target, normalise(c2w[:, :, 1].double().sum(0)))


def _spiral_curve(frames: int, turns: int) -> Tensor:
    """Points of the spiral of radius 1: around in x and y, back and forth in z at half the pace."""
    angles = torch.arange(_checked(frames), dtype=torch.float64) * (2 * math.pi * turns / frames)
    return torch.stack([torch.cos(angles), -torch.sin(angles), -torch.sin(angles / 2)], -1)


def _looking_along(centres: Tensor, backward: Tensor, up: Tensor) -> Tensor:
    z = normalise(backward)
    x = normalise(torch.linalg.cross(up.expand_as(z), z))
    return torch.stack([x, torch.linalg.cross(z, x), z, centres], -1)


def _least(near: Tensor, far: Tensor) -> float:
    return float(torch.minimum(near, far).min())


def _checked(frames: int) -> int:
    if frames < 1:
        raise InputError(f"A camera path cannot have {frames} frames", fix="Give at least 1")
    return frames
