"""A `ResnetFC` with its gradients, some thousand points at a time: what is between layers stays in cache.

`ResnetFC` in plain PyTorch is the definition; `ResnetFcLayers` says how features come in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.kernels import use_compiled
from sightline.kernels.feature_maps import add_to_maps, gradient_of_shares
from sightline.kernels.first_order import first_order
from sightline.networks.resnet_fc import ResnetFC
from sightline.networks.resnet_fc_layers import ResnetFcLayers

_ROWS = 4096
"""of one product: points times views"""


def serves(network: nn.Module, like: Float[Tensor, "*any"]) -> bool:
    """Say whether a network is one of those that `evaluate` computes, where `like` is."""
    return (
        isinstance(network, ResnetFC)
        and ResnetFcLayers.serves(network)
        and network.combination == "average"
        and network.combine_layer > 0
        and use_compiled(like)
        and like.dtype == torch.float32
    )


def evaluate(
    network: ResnetFC,
    dtype: torch.dtype,
    x: Float[Tensor, "groups views n inputs"],
    maps: Float[Tensor, "flat cells projected"] | None,
    where: tuple[Int[Tensor, "rows 4"], Float[Tensor, "rows 4"]] | None,
) -> Float[Tensor, "groups n outputs"]:
    """Compute what `network(x, …)` does, differentiable once in all that it is given.

    Args:
        dtype: number format of the products, float32 or bfloat16.
        maps: features of every view after the layers that add them, without their constants: the product with
            the weight of `ResnetFC.projection`.
        where: the cells of the maps that the rows of x read, and their shares.
    """
    maps = None if maps is None else maps.to(dtype)
    cells, shares = (None, None) if where is None else where
    layers, keep = ResnetFcLayers(network, dtype), torch.is_grad_enabled()
    return _Layers.apply(layers, network, keep, x, maps, cells, shares, *network.parameters())


@dataclass(frozen=True)
class _Part:
    """Some points of one object in all its views."""

    group: int
    points: slice
    groups: int
    views: int
    count: int
    """points of the object"""

    @staticmethod
    def of(x: Tensor) -> Iterator["_Part"]:
        """Divide points; parts are of nearly one size, since PyTorch's library compiles products by size."""
        groups, views, count = x.shape[:3]
        parts = max(1, -(-count * views // _ROWS))
        size = max(1, -(-count // parts))
        for group in range(groups):
            for first in range(0, count, size):
                yield _Part(group, slice(first, min(first + size, count)), groups, views, count)

    def rows(self, values: Tensor) -> Tensor:
        """Take this part of (groups, views, n, …) or (groups · views · n, …), row after row."""
        each = values.reshape(self.groups, self.views, self.count, values.shape[-1])
        return each[self.group, :, self.points].reshape(-1, values.shape[-1])

    def put(self, values: Tensor, found: Tensor) -> None:
        """Write what `rows` took."""
        each = values.view(self.groups, self.views, self.count, values.shape[-1])
        each[self.group, :, self.points] = found.view(self.views, -1, values.shape[-1])

    def maps(self, values: Tensor) -> Tensor:
        """Take the object's views of (groups · views, …)."""
        return values[self.group * self.views : (self.group + 1) * self.views]


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        layers: ResnetFcLayers,
        network: ResnetFC,
        keep: bool,
        x: Tensor,
        maps: Tensor | None,
        cells: Tensor | None,
        shares: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        maps = None if maps is None else maps.contiguous()
        out = x.new_empty(x.shape[0], x.shape[2], network.lin_out.out_features)
        kept: list[Tensor] = []
        for part in _Part.of(x):
            notes: list[Tensor] | None = [] if keep else None
            where = None if cells is None or shares is None else (part.rows(cells), part.rows(shares))
            seen = None if maps is None else part.maps(maps)
            out[part.group, part.points] = layers(part.rows(x), part.views, seen, where, notes)
            kept += notes or []
        ctx.layers, ctx.network = layers, network
        ctx.save_for_backward(x, maps, cells, shares, *kept)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        layers: ResnetFcLayers = ctx.layers
        x, maps, cells, shares, *kept = ctx.saved_tensors
        to_x = torch.empty_like(x) if ctx.needs_input_grad[3] else None
        to_maps = None if maps is None else torch.zeros_like(maps, dtype=torch.float32)
        to_shares = torch.empty_like(shares) if maps is not None and ctx.needs_input_grad[6] else None
        totals = _Totals(layers)
        each = 2 * len(layers.blocks) + 2
        for number, part in enumerate(_Part.of(x)):
            notes = kept[number * each : (number + 1) * each]
            flow, towards = _through_blocks(
                layers, totals, upstream[part.group, part.points], part.views, notes
            )
            if to_x is not None:
                part.put(to_x, (flow @ layers.enter)[:, : x.shape[-1]])
            if maps is not None and to_maps is not None and towards is not None:
                places = part.rows(cells)
                add_to_maps(towards, places, part.rows(shares), part.maps(to_maps))
                if to_shares is not None:
                    part.put(to_shares, gradient_of_shares(part.maps(maps), places, towards))
        to_maps = None if maps is None or to_maps is None else to_maps.to(maps.dtype)
        return None, None, None, to_x, to_maps, None, to_shares, *totals.of(ctx.network)


def _through_blocks(
    layers: ResnetFcLayers, totals: "_Totals", upstream: Tensor, views: int, notes: list[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Give the gradients of what the first layer gave, and of the features that were read."""
    entered, *middle, last = notes
    flow = upstream.to(layers.dtype)
    totals.add("leave", flow, last)
    flow = torch.ops.aten.threshold_backward(flow @ layers.leave, last, 0)
    if layers.combine_layer >= len(layers.blocks):
        flow = _to_views(flow, views)
    width, mapped = layers.width, layers.mapped
    towards = flow.new_empty(len(entered), mapped * width) if mapped else None
    for k in reversed(range(len(layers.blocks))):
        active, inner = middle[2 * k : 2 * k + 2]
        (first, _), (second, _) = layers.blocks[k]
        totals.add(f"blocks.{k}.fc_1", flow, inner)
        back = torch.ops.aten.threshold_backward(flow @ second, inner, 0)
        totals.add(f"blocks.{k}.fc_0", back, active)
        back = torch.ops.aten.threshold_backward(back @ first, active, 0)
        flow = back.add_(flow)
        if towards is not None and k < mapped:
            towards[:, k * width : (k + 1) * width] = flow
        if k == layers.combine_layer:
            flow = _to_views(flow, views)
    totals.add("enter", flow, entered)
    return flow, towards


def _to_views(flow: Tensor, views: int) -> Tensor:
    """Give every view its part of the gradient of their mean."""
    return flow if views == 1 else (flow / views).repeat(views, 1)


class _Totals:
    """Gradients of weights and constants, added up in float32 over the parts."""

    def __init__(self, layers: ResnetFcLayers):
        self.layers = layers
        self.weights: dict[str, Tensor] = {}
        self.biases: dict[str, Tensor] = {}

    def add(self, name: str, flow: Tensor, entering: Tensor) -> None:
        """Add what some rows say of one layer."""
        weight, bias = flow.t() @ entering, flow.sum(0)
        if name in self.weights:
            self.weights[name] += weight
            self.biases[name] += bias
        else:
            self.weights[name], self.biases[name] = weight.float(), bias.float()

    def of(self, network: ResnetFC) -> list[Tensor | None]:
        """Sort by the network's parameters; None for those that have no gradient from here."""
        mapped = self.layers.mapped
        found = {f"{name}.weight": value for name, value in self.weights.items() if name.startswith("blocks")}
        found |= {f"{name}.bias": value for name, value in self.biases.items()}
        found["lin_in.weight"] = self.weights["enter"][:, : network.lin_in.in_features]
        found["lin_in.bias"] = self.biases["enter"]
        found["lin_out.weight"], found["lin_out.bias"] = self.weights["leave"], self.biases["leave"]
        # A feature's constant is added where another layer's is.
        for k in range(mapped):
            found[f"lin_z.{k}.bias"] = found[f"blocks.{k - 1}.fc_1.bias" if k else "lin_in.bias"]
        return [
            found.get(name) if parameter.requires_grad else None
            for name, parameter in network.named_parameters()
        ]
