"""The radiance field of `ngp`: hash encoding, a density network and a colour network."""

import math
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.kernels import hash_encoding, mlp
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.photometric import (
    PhotometricRays,
    PhotometricSettings,
    PhotometricStep,
    photometric_step,
    truncated_exp,
)
from sightline.methods.ngp.config import NgpConfig
from sightline.rendering.opacity_grid import OpacityGrid

# Densities beyond exp(±this) per model unit mean nothing, and their gradients only harm.
LARGEST_LOG_DENSITY = 11.0


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

    def encode(self, cube: Float[Tensor, "n 3"]) -> Float[Tensor, "n width"]:
        """Encode positions."""
        return hash_encoding.encode(cube, self.table, self.levels)

    def features(self, encoded: Float[Tensor, "n width"]) -> Float[Tensor, "n geometry"]:
        """Outputs of the density network; the first column is the logarithm of the density."""
        return mlp.perceptron(encoded, list(self.density_network), narrow=self.narrow)

    def density(self, cube: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density per model unit."""
        return truncated_exp(self.features(self.encode(cube))[:, 0], LARGEST_LOG_DENSITY)

    def forward(
        self,
        cube: Float[Tensor, "n 3"],
        harmonics: Float[Tensor, "rays 16"],
        ray_indices: Int[Tensor, "n"],
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Density per model unit and colour in [0, 1] of samples on rays with given direction harmonics."""
        features = self.features(self.encode(cube))
        raw = mlp.perceptron(features, list(self.colour_network), harmonics, ray_indices, narrow=self.narrow)
        return truncated_exp(features[:, 0], LARGEST_LOG_DENSITY), torch.sigmoid(raw)

    def photometric_step(
        self, rays: PhotometricRays, grid: OpacityGrid, settings: PhotometricSettings
    ) -> PhotometricStep:
        """Loss of a batch of rays with gradients to all parameters; see `kernels.photometric`."""
        networks = list(self.density_network), list(self.colour_network)
        return photometric_step(self.table, *networks, rays, grid.opacity, grid.coarse, grid.marks, settings)


def _layers(widths: list[int]) -> nn.ParameterList:
    """Weight matrices (out, in), uniform within the bound of Kaiming initialisation."""
    layers = []
    for inputs, outputs in pairwise(widths):
        bound = math.sqrt(6 / inputs) if outputs > 4 else math.sqrt(3 / inputs)
        layers.append(nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound)))
    return nn.ParameterList(layers)
