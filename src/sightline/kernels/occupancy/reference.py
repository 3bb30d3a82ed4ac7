"""Updates of an opacity grid in plain PyTorch: the definition."""

import torch
from torch import Tensor

SHIFT = 3
BLOCK = 1 << SHIFT


def coarsen(opacity: Tensor) -> Tensor:
    """Largest opacity of each block of `BLOCK`³ cells."""
    return torch.nn.functional.max_pool3d(opacity[None, None], BLOCK, ceil_mode=True)[0, 0].contiguous()


def cell_indices(cube: Tensor, side: int) -> Tensor:
    """Flat index (n,), z slowest, of the cell that holds each unit-cube point (n, 3)."""
    index = (cube * side).long().clamp(0, side - 1)
    return index[:, 0] + side * (index[:, 1] + side * index[:, 2])


def bin_lengths(cube: Tensor, step: float, contracted: bool) -> Tensor:
    """Length (n,) of the marching bins at unit-cube points (n, 3), as in `MarchSettings.step`."""
    if not contracted:
        return torch.full_like(cube[:, 0], step)
    norm = (cube * 4 - 2).abs().amax(-1).clamp(1, 1.999)
    return step / (2 - norm) ** 2


def observe(
    opacity: Tensor, coarse: Tensor, cube: Tensor, sigmas: Tensor, step: float, contracted: bool, rate: float
) -> None:
    """Follow observations in place; see `sightline.kernels.occupancy.observe`."""
    found = -torch.expm1(-sigmas * bin_lengths(cube, step, contracted))
    cells = cell_indices(cube, len(opacity))
    flat, coarse_flat = opacity.view(-1), coarse.view(-1)
    side, blocks = len(opacity), len(coarse)
    for cell, value in zip(cells.tolist(), found, strict=True):
        flat[cell] += rate * (value - flat[cell])
        x, y, z = cell % side // BLOCK, cell // side % side // BLOCK, cell // side**2 // BLOCK
        block = x + blocks * (y + blocks * z)
        coarse_flat[block] = torch.maximum(coarse_flat[block], flat[cell])
