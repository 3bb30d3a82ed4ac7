"""Moving a volume: what a camera sees is looked up in the volume of another (section 4 of the paper)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels import moved_volume

Interpolation = Literal["trilinear", "nearest"]
_MODES: dict[Interpolation, str] = {"trilinear": "bilinear", "nearest": "nearest"}


def move(
    volumes: Float[Tensor, "volumes channels d h w"],
    motions: Float[Tensor, "batch 3 4"],
    interpolation: Interpolation = "trilinear",
) -> Float[Tensor, "batch channels d h w"]:
    """Read each volume, or the only one, at the places of its motion; differentiable in the volumes.

    A motion is a 3x4 matrix [turn | shift] in the axes of the volume (towards the camera, down, right): the
    point p of the moved volume is read at turn p + shift of the given one. The volume spans [-1, 1] on each
    axis, from the outer face of the first voxel to that of the last; outside there is nothing. Places are
    float32 whatever the volumes are: bfloat16 would be off by parts of a voxel.
    """
    with torch.autocast(volumes.device.type, enabled=False):
        return moved_volume.move(volumes, motions, _MODES[interpolation])
