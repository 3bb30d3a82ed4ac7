"""Multiresolution hash encoding in plain PyTorch: the definition that other backends are tested against."""

import torch
from torch import Tensor

from sightline.kernels.hash_encoding.levels import HashLevels

# Factors of the spatial hash (Müller et al. 2022, equation 4).
PRIMES = (1, 2654435761, 805459861)


def encode(positions: Tensor, table: Tensor, levels: HashLevels) -> Tensor:
    """Encode (n, 3) positions in [0, 1]; returns (n, levels * features), differentiable in both tensors."""
    positions = positions.clamp(0, 1)
    parts = []
    for level in range(levels.levels):
        cells = int(levels.resolutions[level])
        scaled = positions * cells
        corner = scaled.detach().floor().clamp(max=cells - 1)
        fraction = scaled - corner
        corner = corner.long()
        total = torch.zeros(len(positions), levels.features, dtype=table.dtype, device=table.device)
        for dx, dy, dz in ((x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)):
            offset = torch.tensor([dx, dy, dz], device=positions.device)
            weight = torch.where(offset.bool(), fraction, 1 - fraction).prod(-1, keepdim=True)
            total = total + weight * table[_entry(corner + offset, level, levels)]
        parts.append(total)
    return torch.cat(parts, -1)


def _entry(vertex: Tensor, level: int, levels: HashLevels) -> Tensor:
    x, y, z = vertex.unbind(-1)
    if levels.dense[level]:
        side = int(levels.resolutions[level]) + 1
        index = x + side * (y + side * z)
    else:
        # Products are taken modulo 2^32, as in 32-bit arithmetic.
        low = 0xFFFFFFFF
        index = (x ^ (y * PRIMES[1] & low) ^ (z * PRIMES[2] & low)) & (int(levels.sizes[level]) - 1)
    return index + int(levels.offsets[level])
