"""Rays: half-lines in the world, with an optional stretch of them that matters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rays:
    """Points `origins + t * directions`, with t the distance in world units.

    Example:
        >>> rays = Rays(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -1.0]]))
        >>> rays.at(torch.tensor([2.0]))
        tensor([[ 0.,  0., -2.]])
    """

    origins: Float[Tensor, "m 3"]
    directions: Float[Tensor, "m 3"]
    """unit length"""
    near: Float[Tensor, "m"] | None = None
    """distance at which the ray begins to matter; None where the view gives none"""
    far: Float[Tensor, "m"] | None = None

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, chosen: int | slice | Sequence[int] | Tensor) -> "Rays":
        if isinstance(chosen, int):
            chosen = [chosen]
        return Rays(
            self.origins[chosen],
            self.directions[chosen],
            None if self.near is None else self.near[chosen],
            None if self.far is None else self.far[chosen],
        )

    def to(self, device: torch.device | str) -> "Rays":
        """Move all tensors to a device."""
        return Rays(
            self.origins.to(device),
            self.directions.to(device),
            None if self.near is None else self.near.to(device),
            None if self.far is None else self.far.to(device),
        )

    def at(self, t: Float[Tensor, "m"]) -> Float[Tensor, "m 3"]:
        """Points at distance `t` along each ray."""
        return self.origins + t[:, None] * self.directions


def image_pixels(width: int, height: int) -> Int[Tensor, "n 2"]:
    """List the pixels (column, row) of a picture, row by row."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], -1).reshape(-1, 2)
