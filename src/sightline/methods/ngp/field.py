"""The radiance field of `ngp`: hash encoding, a density network and a colour network."""

import math
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.kernels import hash_encoding, mlp
from sightline.kernels.hash_encoding import HashLevels
from sightline.methods.ngp.config import NgpConfig

# Densities beyond exp(±this) per model unit mean nothing, and their gradients only harm.
_LARGEST_LOG_DENSITY = 11.0


class HashField(nn.Module):
    """Density and colour at points of the unit cube (Müller et al. 2022, section 5.4)."""

    def __init__(self, config: NgpConfig):
        super().__init__()
        self.narrow = config.network_precision == "auto"
        self.levels = HashLevels(
            config.levels, config.features, config.log2_entries, config.coarsest, config.finest
        )
        self.table = nn.Parameter(torch.empty(self.levels.entries, config.features).uniform_(-1e-4, 1e-4))
        density = [self.levels.width, config.hidden, config.geometry_features]
        colour = [config.geometry_features + 16, *[config.hidden] * config.colour_layers, 3]
        self.density_network = _layers(density)
        self.colour_network = _layers(colour)

    def encode(
        self, cube: Float[Tensor, "n 3"], known: Float[Tensor, "n width"] | None = None
    ) -> Float[Tensor, "n width"]:
        """Encode positions; `known` is their encoding where it was computed before, without its gradient."""
        return hash_encoding.encode(cube, self.table, self.levels, known)

    def features(self, encoded: Float[Tensor, "n width"]) -> Float[Tensor, "n geometry"]:
        """Outputs of the density network; the first column is the logarithm of the density."""
        return mlp.perceptron(encoded, list(self.density_network), narrow=self.narrow)

    def density(
        self, cube: Float[Tensor, "n 3"], encoded: Float[Tensor, "n width"] | None = None
    ) -> Float[Tensor, "n"]:
        """Density per model unit, from the positions' encoding where it is there already."""
        return truncated_exp(self.features(self.encode(cube) if encoded is None else encoded)[:, 0])

    def forward(
        self,
        cube: Float[Tensor, "n 3"],
        harmonics: Float[Tensor, "rays 16"],
        ray_indices: Int[Tensor, "n"],
        known: Float[Tensor, "n width"] | None = None,
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Density per model unit and colour in [0, 1] of samples on rays with given direction harmonics.

        `known` is the positions' encoding, where it was computed before; gradients still reach the table.
        """
        features = self.features(self.encode(cube, known))
        raw = mlp.perceptron(features, list(self.colour_network), harmonics, ray_indices, narrow=self.narrow)
        return truncated_exp(features[:, 0]), torch.sigmoid(raw)


def _layers(widths: list[int]) -> nn.ParameterList:
    """Weight matrices (out, in), uniform within the bound of Kaiming initialisation."""
    layers = []
    for inputs, outputs in pairwise(widths):
        bound = math.sqrt(6 / inputs) if outputs > 4 else math.sqrt(3 / inputs)
        layers.append(nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound)))
    return nn.ParameterList(layers)


class _TruncatedExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        value = torch.exp(x.clamp(-_LARGEST_LOG_DENSITY, _LARGEST_LOG_DENSITY))
        ctx.save_for_backward(value)
        return value

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> Any:
        (value,) = ctx.saved_tensors
        return gradients[0] * value


def truncated_exp(x: Tensor) -> Tensor:
    """exp(x) of any shape with x clamped to ±11, whose gradient stays alive where it is clamped."""
    return _TruncatedExp.apply(x)
