"""Similarity transforms: how a method's own frame relates to the input's."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map x' = scale * rotation @ x + translation.

    Example:
        >>> twice = Similarity(2.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
        >>> twice.inverse().apply(torch.tensor([[2.0, 0.0, 4.0]]))
        tensor([[1., 0., 2.]])
    """

    scale: float
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]

    @staticmethod
    def identity() -> "Similarity":
        """The map that changes nothing."""
        return Similarity(1.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))

    def apply(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Map points, in their own dtype and on their own device."""
        return self.scale * (points @ self.rotation.to(points).T) + self.translation.to(points)

    def apply_directions(self, directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Turn directions; their lengths stay."""
        return directions @ self.rotation.to(directions).T

    def inverse(self) -> "Similarity":
        """The map back."""
        rotation = self.rotation.T
        return Similarity(1 / self.scale, rotation, -(rotation @ self.translation) / self.scale)

    def compose(self, other: "Similarity") -> "Similarity":
        """The map that does `other` first, then this one."""
        return Similarity(
            self.scale * other.scale,
            self.rotation @ other.rotation.to(self.rotation),
            self.apply(other.translation.to(self.translation)),
        )

    def matrix(self) -> Float[Tensor, "4 4"]:
        """The same map on homogeneous points."""
        matrix = torch.eye(4, dtype=self.rotation.dtype, device=self.rotation.device)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists; `from_json` gives exactly the same map."""
        return {
            "scale": self.scale,
            "rotation": self.rotation.tolist(),
            "translation": self.translation.tolist(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Similarity":
        """Read what `to_json` wrote; InputError where it is not that."""
        try:
            scale = float(value["scale"])
            rotation = torch.tensor(value["rotation"], dtype=torch.float64).reshape(3, 3)
            translation = torch.tensor(value["translation"], dtype=torch.float64).reshape(3)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"Not a similarity transform ({error!r})") from error
        numbers = torch.cat([rotation.reshape(-1), translation])
        if not (math.isfinite(scale) and scale > 0 and bool(torch.isfinite(numbers).all())):
            raise InputError("A similarity transform needs finite numbers and a positive scale")
        return Similarity(scale, rotation, translation)
