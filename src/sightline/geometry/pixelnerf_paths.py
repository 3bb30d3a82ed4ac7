"""Camera paths of pixelNeRF's videos (Yu et al. 2021) around an object at the origin, with z up."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.poses import quaternion_to_rotation

# From a frame with y up, seen along z, to one with z up.
_UPRIGHT = ((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
_PHOTO = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
"""from a world with z up to that of photos, whose source camera looks along -z with y up"""
_DTU_RADIUS = 2.0
_DTU_TIMES = (0.0, 2.0, 3.0, 5.0, 6.0)
_DTU_QUATERNIONS = (
    (0.9698, 0.2121, 0.1203, -0.0039),
    (0.7020, 0.1578, 0.4525, 0.5268),
    (0.6766, 0.3176, 0.5179, 0.4161),
    (0.9085, 0.4020, 0.1139, -0.0025),
    (0.9698, 0.2121, 0.1203, -0.0039),
)


def object_orbit(
    frames: int, radius: float | int, elevation: float | int = -10.0
) -> Float[Tensor, "frames 3 4"]:
    """Go around the origin, beginning and ending at -180 degrees.

    Args:
        frames: how many poses.
        radius: distance from the origin; the published videos take the middle of near and far.
        elevation: degrees; negative looks from above.
    """
    if frames < 1:
        raise InputError(f"A path of {frames} frames cannot be made", where="--frames")
    angles = torch.linspace(-math.pi, math.pi, frames + 1, dtype=torch.float64)[:-1]
    cos, sin, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    around = torch.stack([cos, zero, -sin, zero, one, zero, sin, zero, cos], -1).view(-1, 3, 3)
    tilt = math.radians(elevation)
    down = torch.tensor(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]],
        dtype=torch.float64,
    )
    rotation = torch.tensor(_UPRIGHT, dtype=torch.float64) @ around @ down
    return torch.cat([rotation, radius * rotation[..., 2:]], -1)


def photo_orbit(
    frames: int, radius: float | int = 1.3, elevation: float | int = 0.0
) -> Float[Tensor, "frames 3 4"]:
    """Go around an object that a single photo shows, taken from (0, 0, radius) along -z with y up."""
    return torch.tensor(_PHOTO, dtype=torch.float64) @ object_orbit(frames, radius, elevation)


def dtu_path(frames: int) -> Float[Tensor, "frames2 3 4"]:
    """Go along a closed curve over a scan of DTU: in its normalised frame, with y and z turned round.

    A periodic spline of orientations; cameras are at twice their backward axis.

    Args:
        frames: six fifths of this, rounded down to whole sixths, are made, as published.
    """
    from scipy.interpolate import CubicSpline

    count = 6 * (frames // 5)
    if count < 1:
        raise InputError(f"A path of {frames} frames cannot be made", where="--frames", fix="Give 5 or more")
    spline = CubicSpline(_DTU_TIMES, np.array(_DTU_QUATERNIONS), bc_type="periodic")
    found = torch.from_numpy(spline(np.linspace(_DTU_TIMES[0], _DTU_TIMES[-1], count)))
    rotation = quaternion_to_rotation(found / found.norm(dim=-1, keepdim=True))
    return torch.cat([rotation, _DTU_RADIUS * rotation[..., 2:]], -1)
