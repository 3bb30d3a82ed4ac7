"""Moving a volume: what a camera sees is looked up in the volume of another (section 4 of the paper).

A motion is a 3x4 matrix [turn | shift] in the axes of the volume (towards the camera, down, right): the point
p of the moved volume is read at turn p + shift of the given one. The volume spans [-1, 1] on each axis, from
the outer face of the first voxel to that of the last; outside there is nothing.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Interpolation = Literal["trilinear", "nearest"]
_MODES: dict[Interpolation, str] = {"trilinear": "bilinear", "nearest": "nearest"}


def move(
    volumes: Float[Tensor, "batch channels d h w"],
    motions: Float[Tensor, "batch 3 4"],
    interpolation: Interpolation = "trilinear",
) -> Float[Tensor, "batch channels d h w"]:
    """Read each volume at the places of its motion; differentiable in the volumes.

    Places are float32 whatever the volumes are: bfloat16 would be off by parts of a voxel.
    """
    with torch.autocast(volumes.device.type, enabled=False):
        return F.grid_sample(
            volumes.float(),
            sampling_grid(motions.float(), volumes.shape[-3:]),
            mode=_MODES[interpolation],
            align_corners=False,
        )


def sampling_grid(
    motions: Float[Tensor, "batch 3 4"], sides: torch.Size | tuple[int, int, int]
) -> Float[Tensor, "batch d h w 3"]:
    """Places to read at, in PyTorch's order: right, down, towards the camera."""
    # PyTorch counts coordinates from the last axis: both rows and columns turn around.
    theta = torch.cat([motions[:, :, :3].flip(1, 2), motions[:, :, 3:].flip(1)], 2)
    return F.affine_grid(theta, [len(motions), 1, *sides], align_corners=False)
