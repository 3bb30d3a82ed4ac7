"""The space that is marched through: an opacity grid over a box, or over all of space by contraction."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MarchSettings:
    """How rays walk through the grid.

    Rays live in the model frame, in which the box of interest is [-1, 1]³. The grid covers that box, or,
    where `contracted`, all of space by the piecewise-projective contraction (Reiser et al. 2023, MERF,
    equation 8), which maps what lies outside to the shell between [-1, 1]³ and [-2, 2]³ and keeps straight
    lines straight within each face's pyramid.
    """

    contracted: bool
    step: float
    """length of a bin inside the box; outside it grows with the distance's square, as contraction shrinks"""
    near: float
    """no bin begins before this distance"""
    far: float
    """largest distance from the centre, in the maximum norm, that is marched to (contracted scenes)"""
    threshold: float
    """bins whose opacity in the grid is not above this are skipped"""
    largest: float = 0.99
    """cap of a bin's opacity, below 1, so that an error of the grid cannot hide everything behind it"""
    least_transmittance: float = 0.0
    """a ray ends when the bins so far leave less light than this"""
    max_bins: int = 1024
    """a ray has no more bins than this, empty ones counted"""


def contract(points: Tensor, contracted: bool) -> Tensor:
    """Map model-frame points (n, 3) to the unit cube of grid and encoding (differentiable)."""
    if not contracted:
        return (points + 1) / 2
    norm = points.abs().amax(-1, keepdim=True)
    outside = norm.clamp(min=1)
    scaled = points / outside
    largest = points.abs() >= norm
    shell = torch.where(largest, scaled * (2 - 1 / outside), scaled)
    return (shell + 2) / 4


def uncontract(cube: Tensor, contracted: bool) -> Tensor:
    """Inverse of `contract`: unit-cube points (n, 3) to the model frame; the surface lies at infinity."""
    if not contracted:
        return cube * 2 - 1
    shell = cube * 4 - 2
    norm = shell.abs().amax(-1, keepdim=True)
    radius = 1 / (2 - norm.clamp(1, 2 - 1e-6))
    largest = shell.abs() >= norm
    outside = torch.where(largest, shell.sign() * radius, shell * radius)
    return torch.where(norm > 1, outside, shell)
