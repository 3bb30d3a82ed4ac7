"""Cameras around an object by azimuth, elevation and shift, and the volume that turns with them.

The convention is that of Equivariant Neural Rendering (Dupont et al. 2020) and of its extension to shifts:

- **volume axes** (depth, down, right): towards the camera, downwards and to the right in its picture;
- **world**: the object's own frame, z up. A camera at azimuth 0 and elevation 0 is on the y axis. With the
  azimuth it moves to its own right (towards -x, then -y), with the elevation it moves up;
- **shift**: where the point that the camera looks at is, in the volume axes of azimuth 0 and elevation 0. An
  object that is moved before a resting camera has the opposite shift.

Azimuths are 90 degrees less than those of the poses of SRN (Sitzmann et al. 2019), which otherwise agree.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Columns are the volume axes of azimuth 0 and elevation 0 in the world.
_WORLD_FROM_VOLUME = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
# Columns are the camera axes right, up, backward in volume axes.
_VOLUME_FROM_CAMERA = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0))


def camera_turn(azimuth: Float[Tensor, "*n"], elevation: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3 3"]:
    """Turn of a camera's volume axes from azimuth 0 and elevation 0: Ry(-azimuth) Rz(-elevation), radians."""
    cos_a, sin_a, cos_e, sin_e = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
    zero = torch.zeros_like(cos_a)
    rows = (
        (cos_a * cos_e, cos_a * sin_e, -sin_a),
        (-sin_e, cos_e, zero),
        (sin_a * cos_e, sin_a * sin_e, cos_a),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def turntable_poses(
    azimuth: Float[Tensor, "n"],
    elevation: Float[Tensor, "n"],
    shift: Float[Tensor, "n 3"],
    distance: float,
    *,
    upright: bool = False,
) -> Float[Tensor, "n 3 4"]:
    """Camera-to-world poses (OpenGL axes) of cameras that look at the shifted middle of the world.

    Args:
        azimuth, elevation: radians.
        shift: in volume axes, world units.
        distance: of the camera from the point that it looks at, world units.
        upright: cameras stay upright beyond the poles, as those of Blender do that track a target; else they
            go on turning, and are upside down there.
    """
    turn = camera_turn(azimuth, elevation)
    world, camera = (turn.new_tensor(matrix) for matrix in (_WORLD_FROM_VOLUME, _VOLUME_FROM_CAMERA))
    rotation = world @ turn @ camera
    centre = (world @ (distance * turn[..., :1] + shift[..., None]))[..., 0]
    if upright:
        roll = torch.where(elevation.cos() < 0, -1.0, 1.0).to(turn)
        rotation = rotation * torch.stack([roll, roll, torch.ones_like(roll)], -1)[..., None, :]
    return torch.cat([rotation, centre[..., None]], -1)


def volume_poses(
    c2w: Float[Tensor, "n 3 4"], distance: float
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """Turn and shift of the volumes that belong to cameras; undoes `turntable_poses`.

    Args:
        c2w: camera-to-world poses, OpenGL axes.
        distance: of the volume's middle before the camera, world units.
    """
    world, camera = (c2w.new_tensor(matrix) for matrix in (_WORLD_FROM_VOLUME, _VOLUME_FROM_CAMERA))
    turn = world.T @ c2w[:, :, :3] @ camera.T
    return turn, c2w[:, :, 3] @ world - distance * turn[:, :, 0]


def relative_motion(
    turn_from: Float[Tensor, "n 3 3"],
    shift_from: Float[Tensor, "n 3"],
    turn_to: Float[Tensor, "n 3 3"],
    shift_to: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3 4"]:
    """Where the points of one volume are in another: columns 0 to 2 the turn, column 3 the shift.

    A point p of the volume of camera `to` is at turn_from^T (turn_to p + shift_to - shift_from) in the volume
    of camera `from`: what is seen from `to` is looked up there.
    """
    back = turn_from.transpose(-1, -2)
    return torch.cat([back @ turn_to, back @ (shift_to - shift_from)[..., None]], -1)
