"""The layers of `RadianceMlp` in one number format, with their gradients written out.

What `RadianceMlp` says in plain PyTorch is the definition; this computes the same on a CPU in fewer passes
over memory. Layers' outputs are kept in the format of the products (bfloat16 is half of the memory and, where
the processor has instructions for it, a quarter of the time); sums and gradients of parameters are float32.
Biases of layers that read an encoding are a column of their weights. The layer between trunk and colour has
no activation in most networks: its product with the part of the next one that reads it is one matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from sightline.kernels.first_order import first_order
from sightline.networks.linear import fused_linear, padded_columns

if TYPE_CHECKING:
    from sightline.networks.radiance_mlp import RadianceMlp

# Rows are filled up to a multiple of this: PyTorch's library compiles a program for every size of a product
# that it has not seen, which takes longer than a small product itself, and samples of rays are never twice as
# many.
_ROWS = 512


@dataclass(frozen=True, eq=False)
class _Layer:
    """One layer of the trunk."""

    weight: Tensor
    """(out, in): columns of the previous layer's outputs, then of what goes in again, then the bias"""
    bias: Tensor | None
    """None where the weight holds it"""
    hidden: Tensor | None
    """columns of the previous layer's outputs alone; None for the first layer"""
    active: bool
    """whether it ends in a ReLU"""


class RadianceLayers:
    """The parameters of a network as products need them.

    Args:
        dtype: number format of the products.
    """

    @torch.no_grad()
    def __init__(self, network: "RadianceMlp", dtype: torch.dtype):
        self.network, self.dtype = network, dtype
        self.key = key_of(network)
        self.trunk = [self._trunk_layer(number, layer) for number, layer in enumerate(network.trunk, start=1)]
        # What is added to products that leave this network is not rounded.
        self.density, self.density_bias = _cast(network.density, dtype)[0], network.density.bias.detach()
        self.colour, self.colour_bias = _cast(network.colour, dtype)[0], network.colour.bias.detach()
        self.feature: tuple[Tensor, Tensor] | None = None
        if network.direction is not None:
            inner = network.feature.out_features
            towards, around = network.view.weight[:, :inner], network.view.weight[:, inner:]
            bias = network.view.bias
            if network.feature_activation:
                self.feature = _cast(network.feature, dtype)
            else:
                bias = bias + towards @ network.feature.bias
                towards = towards @ network.feature.weight
            self.view = towards.to(dtype)
            self.around = padded_columns([around, bias[:, None]], dtype)

    def _trunk_layer(self, number: int, layer: nn.Module) -> _Layer:
        assert isinstance(layer, nn.Linear)
        network = self.network
        active = number > 1 or network.first_activation
        if number == 1:
            return _Layer(padded_columns([layer.weight, layer.bias[:, None]], self.dtype), None, None, active)
        if number not in network.skip_layers:
            weight, bias = _cast(layer, self.dtype)
            return _Layer(weight, bias, weight, active)
        hidden, again = (layer.weight[:, columns] for columns in _skip_columns(network, layer))
        hidden = hidden.to(self.dtype)
        entering = padded_columns([again, layer.bias[:, None]], self.dtype)
        return _Layer(torch.cat([hidden, entering], -1), None, hidden, active)

    def inputs(self, values: Float[Tensor, "n k"]) -> Float[Tensor, "n columns"]:
        """Give what goes into layers whose weights hold the bias: values (n, k), ones, and zeros."""
        return padded_columns([values, values.new_ones(1, 1).expand(len(values), 1)], self.dtype)


def key_of(network: "RadianceMlp") -> tuple[tuple[int, int], ...]:
    """Tell whether parameters have changed: something that is the same as long as they are."""
    return tuple((p.data_ptr(), p._version) for p in network.parameters())


def evaluate(
    layers: RadianceLayers,
    points: Float[Tensor, "n 3"],
    directions: Float[Tensor, "m 3"] | None = None,
    rays: Int[Tensor, "n"] | None = None,
    colours: bool = True,
) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "c 3"]]:
    """Give density and colour before their activations, with gradients of the parameters alone.

    Args:
        points: positions in the frame of the network.
        directions: viewing directions; not used by networks without.
        rays: see `RadianceMlp.forward`.
        colours: with False, colours are not computed and given as an empty tensor.
    """
    count, more = len(points), -len(points) % _ROWS
    if more and (directions is None or rays is not None):
        points = functional.pad(points, (0, 0, 0, more))
        rays = None if rays is None else functional.pad(rays, (0, more))
    parameters = tuple(layers.network.parameters())
    density, colour = _Layers.apply(layers, colours, points, directions, rays, *parameters)
    return density[:count], colour[:count]


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        layers: RadianceLayers,
        colours: bool,
        points: Tensor,
        directions: Tensor | None,
        rays: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        network = layers.network
        keep = any(ctx.needs_input_grad)
        encoded = layers.inputs(network.position(points))
        again = encoded if network.skip_input == "encoded" else layers.inputs(points)
        entering, leaving = [], []
        hidden = encoded
        for number, layer in enumerate(layers.trunk, start=1):
            if number in network.skip_layers:
                hidden = torch.cat([hidden, again], -1)
            entering.append(hidden)
            hidden = fused_linear(hidden, layer.weight, layer.bias, layer.active)
            leaving.append(hidden)
        density = functional.linear(hidden, layers.density).to(points.dtype) + layers.density_bias
        rest: list[Tensor] = []
        colour = points.new_empty(0, 3)
        if colours:
            last = hidden
            if network.direction is not None:
                assert directions is not None
                around = layers.inputs(network.direction(directions))
                feature = hidden
                if layers.feature is not None:
                    feature = fused_linear(hidden, *layers.feature, active=True)
                part = functional.linear(around, layers.around)
                last = functional.linear(feature, layers.view)
                if rays is not None:
                    last += part.index_select(0, rays)
                else:
                    last.view(len(directions), -1, last.shape[1]).add_(part[:, None])
                last.relu_()
                rest = [around, feature, last]
            colour = functional.linear(last, layers.colour).to(points.dtype) + layers.colour_bias
        if keep:
            ctx.layers, ctx.colours, ctx.depth, ctx.rays = layers, colours, len(entering), rays
            ctx.save_for_backward(*entering, *leaving, *rest)
        return density, colour

    @staticmethod
    @first_order
    def backward(ctx: Any, density: Tensor, colour: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        layers: RadianceLayers = ctx.layers
        saved = ctx.saved_tensors
        entering, leaving = saved[: ctx.depth], saved[ctx.depth : 2 * ctx.depth]
        gradients = _Gradients(layers)
        density = density.to(layers.dtype)
        hidden = leaving[-1]
        gradients.head("density", density, hidden)
        if not ctx.colours:
            flow = density @ layers.density
        else:
            colour = colour.to(layers.dtype)
            if layers.network.direction is None:
                gradients.head("colour", colour, hidden)
                flow = colour @ layers.colour
            else:
                flow = _through_view(layers, gradients, ctx.rays, colour, hidden, *saved[2 * ctx.depth :])
            flow = flow.addmm_(density, layers.density)
        for k in reversed(range(ctx.depth)):
            layer = layers.trunk[k]
            if layer.active:
                flow = torch.ops.aten.threshold_backward(flow, leaving[k], 0)
            gradients.trunk(k, flow, entering[k])
            if layer.hidden is not None:
                flow = flow @ layer.hidden
        return (None, None, None, None, None, *gradients.in_order())


def _through_view(
    layers: RadianceLayers,
    gradients: "_Gradients",
    rays: Tensor | None,
    colour: Tensor,
    hidden: Tensor,
    around: Tensor,
    feature: Tensor,
    last: Tensor,
) -> Tensor:
    """Give the gradient of the trunk's outputs, and note those of the layers that follow it."""
    gradients.head("colour", colour, last)
    flow = torch.ops.aten.threshold_backward(colour @ layers.colour, last, 0)
    if rays is not None:
        together = flow.new_zeros(len(around), flow.shape[1], dtype=torch.float32)
        together = together.index_add_(0, rays, flow.float()).to(flow.dtype)
    else:
        together = flow.view(len(around), -1, flow.shape[1]).sum(1)
    gradients.view((flow.t() @ feature).float(), (together.t() @ around).float())
    flow = flow @ layers.view
    if layers.feature is not None:
        flow = torch.ops.aten.threshold_backward(flow, feature, 0)
        gradients.head("feature", flow, hidden)
        flow = flow @ layers.feature[0]
    return flow


class _Gradients:
    """Gradients of the network's parameters, by name, float32."""

    def __init__(self, layers: RadianceLayers):
        self.layers = layers
        self.found: dict[str, Tensor] = {}

    def head(self, name: str, flow: Tensor, entering: Tensor) -> None:
        """Of a layer as it stands."""
        self.found[f"{name}.weight"] = (flow.t() @ entering).float()
        self.found[f"{name}.bias"] = flow.sum(0).float()

    def trunk(self, k: int, flow: Tensor, entering: Tensor) -> None:
        """Of a layer of the trunk."""
        if self.layers.trunk[k].bias is not None:
            self.head(f"trunk.{k}", flow, entering)
            return
        network = self.layers.network
        layer = network.trunk[k]
        assert isinstance(layer, nn.Linear)
        found = (flow.t() @ entering).float()
        width = 0
        weight = torch.empty_like(layer.weight)
        if k:
            hidden, again = _skip_columns(network, layer)
            width = self.layers.trunk[k].hidden.shape[1]  # type: ignore[union-attr]
            weight[:, hidden] = found[:, :width]
            weight[:, again] = found[:, width : layer.in_features]
        else:
            weight.copy_(found[:, : layer.in_features])
        self.found[f"trunk.{k}.weight"] = weight
        self.found[f"trunk.{k}.bias"] = found[:, layer.in_features].clone()

    def view(self, towards: Tensor, around: Tensor) -> None:
        """Of the layer that reads directions, and of the one before it where both are one matrix."""
        network = self.layers.network
        columns = network.view.in_features - network.feature.out_features
        bias = around[:, columns]
        self.found["view.bias"] = bias.clone()
        if self.layers.feature is None:
            through = network.view.weight[:, : network.feature.out_features]
            self.found["feature.weight"] = through.t() @ towards
            self.found["feature.bias"] = through.t() @ bias
            towards = towards @ network.feature.weight.t() + torch.outer(bias, network.feature.bias)
        self.found["view.weight"] = torch.cat([towards, around[:, :columns]], -1)

    def in_order(self) -> Sequence[Tensor | None]:
        """As the network's parameters follow each other; None for those without."""
        return [
            self.found[name] if parameter.requires_grad and name in self.found else None
            for name, parameter in self.layers.network.named_parameters()
        ]


def _cast(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _skip_columns(network: "RadianceMlp", layer: nn.Linear) -> tuple[slice, slice]:
    """Columns of a skip layer's weight that the previous outputs meet, and those that the position does."""
    hidden = layer.out_features
    if network.skip_order == "input_first":
        return slice(layer.in_features - hidden, None), slice(0, layer.in_features - hidden)
    return slice(0, hidden), slice(hidden, None)
