"""Trained transformer layers of one head, as fast as their result allows; without gradients.

`TransformerLayer` is the definition. With one head, two pairs of its products are products of weights alone:
logits x Wq' (x Wk')' need one of x with Wq' Wk, and the mixed values one with Wo Wv. Constants of the keys
add the same to all logits of a query and have no effect; those of the values are added whole, since weights
add up to 1. Products are in the format that is asked for, sums and normalisation in float32; some thousand
tokens go through all layers before others do, so that they stay in cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.kernels.tokens import add_and_normalise, attend
from sightline.networks.attention import HIDDEN, TransformerLayer
from sightline.networks.linear import PackedLinear

_ROWS = 4096
"""tokens at a time"""
_FEW = 24
"""tokens of a group that attend to each other outside of PyTorch's products"""


@dataclass(frozen=True, eq=False)
class _Layer:
    """One layer's weights."""

    enter: PackedLinear
    """gives queries that meet the tokens themselves, and values"""
    attended: tuple[Tensor, Tensor, float]
    """normalisation"""
    widen: PackedLinear
    narrow: PackedLinear
    norm: tuple[Tensor, Tensor, float]


class QuickTransformer:
    """Layers as products need them.

    Args:
        dtype: number format of the products, float32 or bfloat16.
    """

    @torch.no_grad()
    def __init__(self, layers: nn.ModuleList, dtype: torch.dtype):
        self.dtype = dtype
        self.layers = [_prepare(layer, dtype) for layer in _checked(layers)]

    @staticmethod
    def serves(layers: nn.ModuleList) -> bool:
        """Say whether layers are among those that this computes."""
        return all(isinstance(layer, TransformerLayer) and layer.heads == 1 for layer in layers)

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "groups tokens width"], seen: Bool[Tensor, "groups tokens"] | None = None
    ) -> Float[Tensor, "groups tokens width"]:
        """Refine the tokens of each group.

        Args:
            seen: tokens that are attended to; all where not given.
        """
        groups, tokens, width = x.shape
        out = torch.empty(groups, tokens, width)
        size = max(1, _ROWS // tokens)
        for first in range(0, groups, size):
            part = slice(first, first + size)
            state = out[part].view(-1, width)
            state.copy_(x[part].reshape(-1, width))
            self._refine(state, tokens, None if seen is None else seen[part])
        return out

    def _refine(self, state: Tensor, tokens: int, seen: Tensor | None) -> None:
        active = state.to(self.dtype)
        for layer in self.layers:
            entered = layer.enter(active)
            if tokens <= _FEW:
                found = attend(entered, active, seen, tokens)
            else:
                found = _attend_many(entered, active, seen, tokens)
            active = add_and_normalise(state, found, *layer.attended)
            active = add_and_normalise(state, layer.narrow(layer.widen(active)), *layer.norm)


def _attend_many(entered: Tensor, keys: Tensor, seen: Tensor | None, tokens: int) -> Tensor:
    queries, values = entered.unflatten(0, (-1, tokens)).chunk(2, -1)
    turned = keys.unflatten(0, (-1, tokens)).transpose(1, 2)
    # Two products and a softmax in place are several times as fast as PyTorch's attention on a CPU.
    if seen is None:
        logits = torch.bmm(queries, turned)
    else:
        hidden = torch.zeros(seen.shape, dtype=keys.dtype).masked_fill_(~seen, HIDDEN)
        logits = torch.baddbmm(hidden[:, None], queries, turned)
    return torch.bmm(logits.softmax(-1), values).flatten(0, 1)


def _checked(layers: nn.ModuleList) -> Sequence[TransformerLayer]:
    found = [layer for layer in layers if isinstance(layer, TransformerLayer)]
    assert QuickTransformer.serves(layers)
    return found


def _prepare(layer: TransformerLayer, dtype: torch.dtype) -> _Layer:
    query, key, value, out = layer.query, layer.key, layer.value, layer.out
    scale = query.out_features**-0.5
    # Products of weights in double precision: they are rounded once.
    towards = (key.weight.double().t() @ query.weight.double()) * scale
    towards_bias = (key.weight.double().t() @ query.bias.double()) * scale
    through = out.weight.double() @ value.weight.double()
    through_bias = out.weight.double() @ value.bias.double() + out.bias.double()
    attended, norm = layer.attended_norm, layer.norm
    return _Layer(
        PackedLinear(
            torch.cat([towards, through]).to(dtype), torch.cat([towards_bias, through_bias]).to(dtype), _ROWS
        ),
        (attended.weight.detach().float(), attended.bias.detach().float(), attended.eps),
        PackedLinear(layer.widen.weight.to(dtype), layer.widen.bias.to(dtype), _ROWS, gelu=True),
        PackedLinear(layer.narrow.weight.to(dtype), layer.narrow.bias.to(dtype), _ROWS),
        (norm.weight.detach().float(), norm.bias.detach().float(), norm.eps),
    )
