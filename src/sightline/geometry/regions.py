"""Convex regions of space, as half-spaces that a point must lie in all of.

A half-space is a row (a, b, c, d): the points with a x + b y + c z + d >= 0.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.geometry.similarity import Similarity


@dataclass(frozen=True, eq=False)
class Region:
    """What is in front of every plane.

    Example:
        >>> box = Region.box(torch.zeros(3), torch.ones(3))
        >>> enter, leave = box.spans(torch.tensor([[-1.0, 0.5, 0.5]]), torch.tensor([[1.0, 0.0, 0.0]]))
        >>> enter.tolist(), leave.tolist()
        ([1.0], [2.0])
    """

    planes: Float[Tensor, "k 4"]

    @staticmethod
    def box(low: Float[Tensor, "3"], high: Float[Tensor, "3"]) -> "Region":
        """An axis-aligned box between two corners."""
        axes = torch.eye(3, dtype=torch.float64)
        return Region(
            torch.cat(
                [
                    torch.cat([axes, -low.double().cpu()[:, None]], 1),
                    torch.cat([-axes, high.double().cpu()[:, None]], 1),
                ]
            )
        )

    @staticmethod
    def ahead(c2w: Float[Tensor, "3 4"], near: float) -> "Region":
        """What lies farther along a camera's axis than its near plane."""
        forward, centre = -c2w[:, 2].double().cpu(), c2w[:, 3].double().cpu()
        return Region(torch.cat([forward, -(forward @ centre + near)[None]])[None])

    def __and__(self, other: "Region") -> "Region":
        return Region(torch.cat([self.planes, other.planes.to(self.planes)]))

    def to(self, device: torch.device | str) -> "Region":
        """Move to a device."""
        return Region(self.planes.to(device))

    def mapped(self, matrix: Float[Tensor, "4 4"]) -> "Region":
        """The same region after a map of homogeneous points, for which it keeps their last number positive.

        That holds for similarities, and for the map into normalised device coordinates ahead of the camera.
        """
        return Region(self.planes @ torch.linalg.inv(matrix.to(self.planes)))

    def transformed(self, similarity: Similarity) -> "Region":
        """The same region in another frame."""
        return self.mapped(similarity.matrix())

    def holds(self, points: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether points lie in it; its border does."""
        planes = self.planes.to(points)
        return (points @ planes[:, :3].T + planes[:, 3] >= 0).all(-1)

    def spans(
        self, origins: Float[Tensor, "rays 3"], directions: Float[Tensor, "rays 3"]
    ) -> tuple[Float[Tensor, "rays"], Float[Tensor, "rays"]]:
        """Find the stretch of each ray that lies in it, from 0 on, in lengths of the directions.

        Returns:
            Where it begins and where it ends (perhaps infinity); where the end is not above the beginning,
            the ray passes by.
        """
        planes = self.planes.to(origins)
        height = origins @ planes[:, :3].T + planes[:, 3]
        rise = directions @ planes[:, :3].T
        crossing = -height / rise
        enter = torch.where(rise > 0, crossing, torch.zeros_like(height))
        leave = torch.where(rise < 0, crossing, torch.full_like(height, torch.inf))
        # A ray along a plane is behind all of it, or before all of it.
        leave = torch.where((rise == 0) & (height < 0), torch.zeros_like(height), leave)
        return enter.amax(-1).clamp_min(0), leave.amin(-1)
