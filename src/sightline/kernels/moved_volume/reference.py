"""Moving a volume in PyTorch: the definition."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sampling_grid(motions: Tensor, sides: torch.Size | tuple[int, int, int]) -> Tensor:
    """Places to read at (n, d, h, w, 3), in PyTorch's order: last axis of the volume first."""
    # PyTorch counts coordinates from the last axis: both rows and columns turn around.
    theta = torch.cat([motions[:, :, :3].flip(1, 2), motions[:, :, 3:].flip(1)], 2)
    return F.affine_grid(theta, [len(motions), 1, *sides], align_corners=False)


def move(volumes: Tensor, motions: Tensor, mode: str = "bilinear") -> Tensor:
    """As `sightline.kernels.moved_volume.move`; in float32, whatever the volumes are."""
    grid = sampling_grid(motions.float(), volumes.shape[-3:])
    volumes = volumes.float().expand(len(motions), *volumes.shape[1:])
    return F.grid_sample(volumes, grid, mode=mode, align_corners=False)
