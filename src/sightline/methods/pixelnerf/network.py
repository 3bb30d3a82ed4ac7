"""The network of pixelNeRF: what source views say of points in space (Yu et al. 2021, sections 4.2 and 4.3).

Notation: G objects at a time, each with V source views and N points. Cameras look along -z. Parameters have
the names of the published files: `encoder.model.…`, `mlp_coarse.…`, `mlp_fine.…`.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from sightline.kernels.feature_maps import locate
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.encoder import GlobalEncoder, SpatialEncoder, read_features
from sightline.networks.phase_encoding import PhaseEncoding
from sightline.networks.precision import product_type
from sightline.networks.resnet_fc import ResnetFC
from sightline.networks.resnet_fc_training import evaluate, serves

_LEAST_DEPTH = 1e-8


def layer_type(config: PixelNerfConfig) -> torch.dtype:
    """Number format of the products on a CPU."""
    return product_type(config.layer_precision, "cpu")


@dataclass(frozen=True, eq=False)
class SourceViews:
    """Pictures of G objects with their cameras, as the network takes them."""

    images: Float[Tensor, "groups views 3 height width"]
    """in [-1, 1]"""
    c2w: Float[Tensor, "groups views 3 4"]
    """camera to world, axes x right, y up, z backward"""
    focal: Float[Tensor, "groups views 2"]
    """across and down, in pixels"""
    centre: Float[Tensor, "groups views 2"]
    """column and row, in pixels; the first pixel is at 0"""

    def to(self, device: torch.device | str) -> "SourceViews":
        """Move to a device."""
        return SourceViews(*(value.to(device) for value in (self.images, self.c2w, self.focal, self.centre)))


@dataclass(frozen=True, eq=False)
class Encoded:
    """Source views as the perceptrons see them."""

    maps: Float[Tensor, "flat channels h w"] | None
    """of all views of all objects, one after the other"""
    whole: Float[Tensor, "groups views global"] | None
    rotation: Float[Tensor, "groups views 3 3"]
    """world to camera"""
    translation: Float[Tensor, "groups views 3"]
    focal: Float[Tensor, "groups views 2"]
    centre: Float[Tensor, "groups views 2"]
    size: tuple[int, int]
    """width and height of the pictures"""


class PixelNerfNetwork(nn.Module):
    """Encoder and perceptrons, as the configuration says."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.config = config
        self.encoder = SpatialEncoder(config) if config.use_encoder else None
        self.global_encoder = GlobalEncoder(config) if config.global_width else None
        self.code = PhaseEncoding(config.code_frequencies, config.code_factor, config.code_input)
        features = (self.encoder.width if self.encoder is not None else 0) + config.global_width
        self.mlp_coarse = self._perceptron(features)
        self.mlp_fine = self._perceptron(features) if config.fine_network == "own" else None
        if config.freeze_encoder:
            for part in (self.encoder, self.global_encoder):
                if part is not None:
                    part.requires_grad_(False)

    def _perceptron(self, features: int) -> ResnetFC:
        config = self.config
        coordinates = 3 if config.use_positions else 1
        if config.use_directions and config.code_directions:
            coordinates += 3
        inputs = self.code.width(coordinates) if config.use_code else coordinates
        if config.use_directions and not config.code_directions:
            inputs += 3
        return ResnetFC(
            inputs,
            features,
            width=config.hidden_width,
            blocks=config.blocks,
            combine_layer=config.combine_layer,
            combination=config.combination,
            beta=config.softplus,
            spade=config.spade,
        )

    def train(self, mode: bool = True) -> "PixelNerfNetwork":
        """Set the mode; normalisation follows `batch_statistics` and `freeze_encoder`."""
        super().train(mode)
        if mode and (self.config.freeze_encoder or not self.config.batch_statistics):
            for part in (self.encoder, self.global_encoder):
                if part is not None:
                    part.eval()
        return self

    def encode(self, views: SourceViews) -> Encoded:
        """Encode source views."""
        flat = views.images.flatten(0, 1)
        rotation = views.c2w[..., :3].transpose(-1, -2)
        translation = -(rotation @ views.c2w[..., 3:])[..., 0]
        whole = None if self.global_encoder is None else self.global_encoder(flat)
        maps = None
        if self.encoder is not None:
            with self._precision(flat) if self.training else nullcontext():
                maps = self.encoder(flat).to(flat.dtype)
        return Encoded(
            maps=maps,
            whole=None if whole is None else whole.view(*views.images.shape[:2], -1),
            rotation=rotation,
            translation=translation,
            focal=views.focal,
            centre=views.centre,
            size=(views.images.shape[-1], views.images.shape[-2]),
        )

    def forward(
        self,
        encoded: Encoded,
        points: Float[Tensor, "groups n 3"],
        directions: Float[Tensor, "groups n 3"],
        fine: bool = False,
    ) -> tuple[Float[Tensor, "groups n 3"], Float[Tensor, "groups n"]]:
        """Give colour in [0, 1] and density at points seen along unit directions, in the network's frame."""
        raw = self.raw(encoded, points, directions, fine)
        return torch.sigmoid(raw[..., :3]), torch.relu(raw[..., 3])

    def raw(
        self,
        encoded: Encoded,
        points: Float[Tensor, "groups n 3"],
        directions: Float[Tensor, "groups n 3"],
        fine: bool = False,
    ) -> Float[Tensor, "groups n 4"]:
        """Give the outputs before their activations."""
        turned, seen, facing = self.see_points(encoded, points, directions)
        inputs = self.describe_inputs(turned, seen, facing)
        perceptron = self.mlp_fine if fine and self.mlp_fine is not None else self.mlp_coarse
        layers = perceptron.projection()
        if serves(perceptron, inputs) and self._commutes(encoded):
            maps = where = None
            if encoded.maps is not None and layers is not None:
                maps = self._project(encoded.maps, layers[0])
                where = self.locate_features(encoded, seen)
            return evaluate(perceptron, layer_type(self.config), inputs, maps, where)
        with self._precision(inputs):
            return perceptron(inputs, self._features(encoded, seen)).to(inputs.dtype)

    def describe_points(
        self,
        encoded: Encoded,
        points: Float[Tensor, "groups n 3"],
        directions: Float[Tensor, "groups n 3"],
    ) -> tuple[Float[Tensor, "groups views n inputs"], Float[Tensor, "groups views n features"] | None]:
        """Describe points from every source view: the perceptron's inputs, and features of the pictures."""
        turned, seen, facing = self.see_points(encoded, points, directions)
        return self.describe_inputs(turned, seen, facing), self._features(encoded, seen)

    def see_points(
        self,
        encoded: Encoded,
        points: Float[Tensor, "groups n 3"],
        directions: Float[Tensor, "groups n 3"],
    ) -> tuple[
        Float[Tensor, "groups views n 3"],
        Float[Tensor, "groups views n 3"],
        Float[Tensor, "groups views n 3"],
    ]:
        """Turn points into the source cameras' axes, then move them into their frames; turn directions."""
        turn = encoded.rotation.transpose(-1, -2)
        turned = points[:, None] @ turn
        return turned, turned + encoded.translation[:, :, None], directions[:, None] @ turn

    def describe_inputs(
        self,
        turned: Float[Tensor, "groups views n 3"],
        seen: Float[Tensor, "groups views n 3"],
        facing: Float[Tensor, "groups views n 3"],
    ) -> Float[Tensor, "groups views n inputs"]:
        """Give the perceptron's inputs from what `see_points` gives."""
        config = self.config
        inputs = turned if config.rotate_only else seen
        if not config.use_positions:
            inputs = -inputs[..., 2:]
        if config.use_code and not config.code_directions:
            inputs = self.code(inputs)
        if config.use_directions:
            inputs = torch.cat([inputs, facing], -1)
        return self.code(inputs) if config.use_code and config.code_directions else inputs

    def find_pixels(
        self, encoded: Encoded, seen: Float[Tensor, "groups views n 3"]
    ) -> Float[Tensor, "groups views n 2"]:
        """Project points in the source cameras' frames to pixels (column, row)."""
        depth = seen[..., 2:]
        # In the camera's own plane there is no pixel.
        depth = torch.where(depth.abs() < _LEAST_DEPTH, torch.full_like(depth, -_LEAST_DEPTH), depth)
        flipped = encoded.focal * encoded.focal.new_tensor([-1.0, 1.0])
        return seen[..., :2] / depth * flipped[:, :, None] + encoded.centre[:, :, None]

    def locate_features(
        self, encoded: Encoded, seen: Float[Tensor, "groups views n 3"]
    ) -> tuple[Int[Tensor, "rows 4"], Float[Tensor, "rows 4"]]:
        """Find the cells of the maps that points in the source cameras' frames read, and their shares."""
        assert encoded.maps is not None
        height, width = encoded.maps.shape[-2:]
        ratio = seen.new_tensor([width / encoded.size[0], height / encoded.size[1]])
        places = (self.find_pixels(encoded, seen) * ratio).flatten(0, 2)
        cells, shares = locate(places, height, width, self.config.feature_padding == "border")
        if not self.config.mirror_behind:
            shares = shares * (seen[..., 2] < 0).flatten()[:, None]
        return cells, shares

    def _commutes(self, encoded: Encoded) -> bool:
        """Say whether maps may go through layers before points read them, of which there are more."""
        config = self.config
        plain = config.feature_sampling == "bilinear" and config.feature_padding != "reflection"
        return encoded.whole is None and (encoded.maps is None or plain)

    def _project(self, maps: Tensor, weight: Tensor) -> Tensor:
        maps = maps.detach() if self.config.freeze_encoder else maps
        with self._precision(maps):
            return functional.linear(maps.flatten(2).transpose(1, 2), weight)

    def _precision(self, like: Tensor) -> Any:
        narrow = like.device.type == "cpu" and layer_type(self.config) == torch.bfloat16
        if not narrow or like.dtype != torch.float32:
            return nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def _features(self, encoded: Encoded, seen: Tensor) -> Tensor | None:
        parts = []
        if encoded.whole is not None:
            parts.append(encoded.whole[:, :, None].expand(-1, -1, seen.shape[2], -1))
        if encoded.maps is not None:
            pixels = self.find_pixels(encoded, seen)
            maps = encoded.maps
            if self.config.freeze_encoder:
                maps = maps.detach()
            found = read_features(maps, pixels.flatten(0, 1), encoded.size, self.config)
            found = found.view(*seen.shape[:3], -1)
            if not self.config.mirror_behind:
                found = torch.where(seen[..., 2:] < 0, found, torch.zeros_like(found))
            parts.append(found)
        return torch.cat(parts, -1) if parts else None
