"""The perceptron of classic NeRF: encoded position to density, with the encoded direction to colour.

Published programs differ in a few places of it (which layer the skip enters, in which order, which layers
have an activation). Each of these is an argument here, so that their weights can be loaded as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sightline.kernels.mlp import uses_bfloat16
from sightline.networks.encodings import FrequencyEncoding
from sightline.networks.radiance_layers import RadianceLayers, evaluate, key_of

SkipOrder = Literal["input_first", "input_last"]
SkipInput = Literal["encoded", "raw"]
Initialisation = Literal["torch", "glorot", "lecun"]
LayerPrecision = Literal["auto", "float32", "bfloat16"]


class RadianceMlp(nn.Module):
    """Density and colour at points (Mildenhall et al. 2020, section 3 and figure 7).

    Parameters by name, all of `nn.Linear` (weight (out, in), bias (out,)), with P and D numbers in the
    encoded position and direction:

    | name | out | in |
    |---|---|---|
    | `trunk.0` | width | P |
    | `trunk.k` | width | width; in a skip layer width + P, in the order that `skip_order` says |
    | `density` | 1 | width |
    | `feature` | feature_width | width |
    | `view` | width // 2 | feature_width + D: the feature, then the direction |
    | `colour` | 3 | width // 2; without directions it is the width that comes in |

    Without directions there is neither `feature` nor `view`.

    Args:
        position: encoding of positions.
        direction: encoding of directions; None for colours that do not depend on them.
        depth: layers of the trunk.
        width: outputs of each.
        skip_layers: layers of the trunk, counted from 1, into which the position goes again.
        skip_order: whether the position stands before the previous layer's outputs or after them.
        skip_input: what goes in again: the encoded position, or the three coordinates.
        feature_width: outputs of `feature`; `width` where not given.
        first_activation: whether the first layer of the trunk ends in a ReLU, as all others do.
        feature_activation: whether `feature` does.
        initialisation: `torch`, as `nn.Linear` does; `glorot` uniform or `lecun` normal with zero biases.
        layer_precision: number format of the layers' products; encodings and results stay as they are. `auto`
            is bfloat16 on CPUs that multiply it, and float32 elsewhere.
        rematerialise: in training, compute hidden layers again in the backward pass instead of keeping them.
        chunk: points at a time where no gradient is kept, or with `rematerialise`.
    """

    def __init__(
        self,
        *,
        position: FrequencyEncoding,
        direction: FrequencyEncoding | None = None,
        depth: int = 8,
        width: int = 256,
        skip_layers: Sequence[int] = (6,),
        skip_order: SkipOrder = "input_first",
        skip_input: SkipInput = "encoded",
        feature_width: int | None = None,
        first_activation: bool = True,
        feature_activation: bool = False,
        initialisation: Initialisation = "torch",
        layer_precision: LayerPrecision = "float32",
        rematerialise: bool = False,
        chunk: int = 1 << 14,
    ):
        super().__init__()
        self.position, self.direction = position, direction
        self.skip_layers = frozenset(skip_layers)
        self.skip_order, self.skip_input = skip_order, skip_input
        self.first_activation, self.feature_activation = first_activation, feature_activation
        self.layer_precision, self.rematerialise, self.chunk = layer_precision, rematerialise, chunk
        again = position.width() if skip_input == "encoded" else 3
        inputs = [position.width()] + [
            width + (again if layer in self.skip_layers else 0) for layer in range(2, depth + 1)
        ]
        self.trunk = nn.ModuleList(nn.Linear(count, width) for count in inputs)
        self.density = nn.Linear(width, 1)
        if direction is None:
            self.colour = nn.Linear(width, 3)
        else:
            feature_width = feature_width or width
            self.feature = nn.Linear(width, feature_width)
            self.view = nn.Linear(feature_width + direction.width(), width // 2)
            self.colour = nn.Linear(width // 2, 3)
        self._layers: RadianceLayers | None = None
        self.reset(initialisation)

    def reset(self, initialisation: Initialisation) -> None:
        """Draw all parameters anew, from torch's global generator."""
        for layer in self.modules():
            if not isinstance(layer, nn.Linear):
                continue
            if initialisation == "torch":
                layer.reset_parameters()
                continue
            nn.init.zeros_(layer.bias)
            if initialisation == "glorot":
                nn.init.xavier_uniform_(layer.weight)
            else:
                # The published rule cuts the normal at two deviations and widens it to keep its variance.
                deviation = layer.in_features**-0.5 / 0.87962566103423978
                nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)

    def forward(
        self,
        points: Float[Tensor, "n 3"],
        directions: Float[Tensor, "m 3"] | None = None,
        rays: Int[Tensor, "n"] | None = None,
    ) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 3"]]:
        """Give density and colour before their activations.

        Args:
            points: positions in the frame of the network.
            directions: viewing directions as the network was trained with; not used without direction.
            rays: row of `directions` that belongs to each point; where not given, each direction is that of
                n / m points that follow each other.
        """
        if self.direction is None:
            directions, rays = None, None
        elif directions is None:
            raise ValueError("this network needs directions")
        keep = torch.is_grad_enabled()
        if keep and not self.rematerialise:
            return self._evaluate(points, directions, rays)
        parts = [
            checkpoint(self._evaluate, *part, use_reentrant=False) if keep else self._evaluate(*part)
            for part in self._split(points, directions, rays)
        ]
        if len(parts) == 1:
            return parts[0]
        density, colour = zip(*parts, strict=True)
        return torch.cat(density), torch.cat(colour)

    def _split(
        self, points: Tensor, directions: Tensor | None, rays: Tensor | None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
        """Give the arguments of `_evaluate` a chunk at a time; points of one direction stay together."""
        each = 1 if directions is None or rays is not None else max(1, len(points) // max(1, len(directions)))
        size = max(1, self.chunk // each) * each
        for begin in range(0, max(1, len(points)), size):
            part = slice(begin, begin + size)
            if rays is not None:
                yield points[part], directions, rays[part]
            elif directions is not None:
                yield points[part], directions[begin // each : (begin + size) // each], None
            else:
                yield points[part], None, None

    def raw_density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1"]:
        """Give density before its activation, without computing colours."""
        if torch.is_grad_enabled():
            return self._density_alone(points)
        return torch.cat([self._density_alone(part) for part in points.split(self.chunk)])

    def _density_alone(self, points: Tensor) -> Tensor:
        layers = self._find_layers(points)
        if layers is not None:
            return evaluate(layers, points, colours=False)[0]
        return self._density(points)[0]

    def _density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        with self._precision(points):
            hidden = self._trunk(points)
            return self.density(hidden).to(points.dtype), hidden

    def _evaluate(
        self, points: Tensor, directions: Tensor | None, rays: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        layers = self._find_layers(points)
        if layers is not None:
            return evaluate(layers, points, directions, rays)
        density, hidden = self._density(points)
        with self._precision(points):
            if self.direction is not None:
                assert directions is not None
                feature = self.feature(hidden)
                if self.feature_activation:
                    feature = functional.relu(feature)
                encoded = self.direction(directions).to(feature.dtype)
                if rays is not None:
                    encoded = encoded[rays]
                elif len(encoded) < len(feature):
                    encoded = encoded.repeat_interleave(len(feature) // len(encoded), 0)
                hidden = functional.relu(self.view(torch.cat([feature, encoded], -1)))
            return density, self.colour(hidden).to(points.dtype)

    def _find_layers(self, points: Tensor) -> RadianceLayers | None:
        """Give the layers as `radiance_layers` computes them, where that is what is wanted.

        Not on other devices, for gradients of points or in double precision, nor within an autocast.
        """
        elsewhere = points.device.type != "cpu" or points.dtype != torch.float32
        wanted = "float32" if self.layer_precision == "auto" and not uses_bfloat16() else self.layer_precision
        if wanted == "float32" or elsewhere or points.requires_grad or torch.is_autocast_enabled("cpu"):
            return None
        if not len(points):
            return None
        if self._layers is None or self._layers.key != key_of(self):
            self._layers = RadianceLayers(self, torch.bfloat16)
        return self._layers

    def _trunk(self, points: Tensor) -> Tensor:
        encoded = self.position(points)
        again = encoded if self.skip_input == "encoded" else points
        hidden = encoded
        for number, layer in enumerate(self.trunk, start=1):
            if number in self.skip_layers:
                first = self.skip_order == "input_first"
                pair = (again, hidden) if first else (hidden, again)
                hidden = torch.cat(pair, -1)
            hidden = layer(hidden)
            if number > 1 or self.first_activation:
                hidden = functional.relu(hidden)
        return hidden

    def _precision(self, points: Tensor) -> AbstractContextManager[Any]:
        # Not an autocast that is switched off: that would switch off one around this network too.
        if self.layer_precision != "bfloat16":
            return nullcontext()
        return torch.autocast(points.device.type, dtype=torch.bfloat16)
