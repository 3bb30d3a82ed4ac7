"""The network of pixelNeRF for one object with fixed source views: what rendering asks again and again."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sightline.kernels import use_compiled
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.network import Encoded, PixelNerfNetwork, layer_type
from sightline.networks.resnet_fc import ResnetFC
from sightline.networks.resnet_fc_layers import ResnetFcLayers

POINTS = 4096
"""rows of one product: activations of a wide network stay in cache"""
_ROWS = 256


class QuickField:
    """Colours and densities of one object, without gradients.

    Maps of features go through the perceptrons' layers once, see `ResnetFcLayers`.
    """

    def __init__(self, network: PixelNerfNetwork, encoded: Encoded, config: PixelNerfConfig):
        self.network, self.encoded, self.config = network, encoded, config
        self.views = encoded.rotation.shape[1]
        dtype = layer_type(config)
        self._made: dict[bool, tuple[ResnetFcLayers, Tensor | None]] = {}
        for fine, perceptron in ((False, network.mlp_coarse), (True, network.mlp_fine)):
            if perceptron is not None:
                layers = ResnetFcLayers(perceptron, dtype)
                maps = None if encoded.maps is None else layers.project(encoded.maps)
                self._made[fine] = layers, maps

    @staticmethod
    def serves(network: PixelNerfNetwork, encoded: Encoded, config: PixelNerfConfig) -> bool:
        """Say whether a network, and where it lies, are among those that this is made for."""
        perceptrons = [p for p in (network.mlp_coarse, network.mlp_fine) if isinstance(p, ResnetFC)]
        return (
            use_compiled(encoded.rotation)
            and len(encoded.rotation) == 1
            and encoded.whole is None
            and encoded.rotation.dtype == torch.float32
            and config.feature_sampling == "bilinear"
            and config.feature_padding != "reflection"
            and (encoded.maps is None or config.combine_layer > 0)
            and all(ResnetFcLayers.serves(perceptron) for perceptron in perceptrons)
        )

    @torch.no_grad()
    def __call__(
        self, points: Float[Tensor, "1 n 3"], directions: Float[Tensor, "1 n 3"], fine: bool
    ) -> tuple[Float[Tensor, "1 n 3"], Float[Tensor, "1 n"]]:
        """Give colour in [0, 1] and density, as `PixelNerfNetwork` does."""
        size = max(1, POINTS // self.views)
        raw = torch.cat(
            [
                self._raw(*part, fine)
                for part in zip(points.split(size, 1), directions.split(size, 1), strict=True)
            ]
        )
        return torch.sigmoid(raw[None, :, :3]), torch.relu(raw[None, :, 3])

    def _raw(self, points: Tensor, directions: Tensor, fine: bool) -> Tensor:
        network, encoded = self.network, self.encoded
        count = points.shape[1]
        # PyTorch's library compiles a program for every new size of a product: there are few sizes.
        more = -count % _ROWS
        points, directions = (functional.pad(given, (0, 0, 0, more)) for given in (points, directions))
        layers, maps = self._made[fine and True in self._made]
        turned, seen, facing = network.see_points(encoded, points, directions)
        inputs = network.describe_inputs(turned, seen, facing)[0].flatten(0, 1)
        where = None if encoded.maps is None else network.locate_features(encoded, seen)
        return layers(inputs, self.views, maps, where)[:count]
