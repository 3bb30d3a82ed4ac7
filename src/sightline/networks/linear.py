"""Products of layers as PyTorch's library computes them fastest on a CPU."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Columns of encodings are filled up to a multiple of this, as products need it to be fast.
_COLUMNS = 32


def padded_columns(columns: Sequence[Float[Tensor, "n _"]], dtype: torch.dtype) -> Float[Tensor, "n columns"]:
    """Put columns side by side, and zeros up to a width that is fast."""
    rows, used = len(columns[0]), sum(column.shape[1] for column in columns)
    whole = torch.empty(rows, -(-used // _COLUMNS) * _COLUMNS, dtype=dtype, device=columns[0].device)
    begin = 0
    for column in columns:
        whole[:, begin : begin + column.shape[1]] = column.detach()
        begin += column.shape[1]
    whole[:, used:] = 0
    return whole


def fused_linear(
    values: Float[Tensor, "n inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, "outputs"] | None,
    active: bool,
) -> Float[Tensor, "n outputs"]:
    """Apply a layer, without gradients; with a ReLU at its end where it is active."""
    if not active:
        return functional.linear(values, weight, bias)
    fused = _fused("relu", "") if values.dtype == torch.bfloat16 else None
    if fused is not None:
        return fused(values, weight, bias, "relu", [], "")
    return functional.linear(values, weight, bias).relu_()


def fused_gelu(
    values: Float[Tensor, "n inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, "outputs"] | None,
) -> Float[Tensor, "n outputs"]:
    """Apply a layer that ends in a GELU by its tanh formula, without gradients."""
    fused = _fused("gelu", "tanh") if values.dtype == torch.bfloat16 else None
    if fused is not None:
        return fused(values, weight, bias, "gelu", [], "tanh")
    return functional.gelu(functional.linear(values, weight, bias), approximate="tanh")


class PackedLinear:
    """A layer whose weight lies as its products need it, without gradients; a GELU at its end if wanted.

    oneDNN brings a weight to blocks of its own in every call where it is not so already.

    Args:
        rows: about how many there are in a call.
        gelu: end in a GELU by its tanh formula.
    """

    def __init__(
        self,
        weight: Float[Tensor, "outputs inputs"],
        bias: Float[Tensor, "outputs"],
        rows: int,
        gelu: bool = False,
    ):
        self._plain, self._bias = weight.detach().contiguous(), bias.detach()
        self._attributes = ("gelu", [], "tanh") if gelu else ("none", [], "")
        self._gelu, self._packed = gelu, _packed(self._plain, rows)
        self._call = None if self._packed is None else torch.ops.mkldnn._linear_pointwise

    def __call__(self, values: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Apply the layer."""
        if self._call is not None:
            return self._call(values, self._packed, self._bias, *self._attributes)
        if self._gelu:
            return fused_gelu(values, self._plain, self._bias)
        return functional.linear(values, self._plain, self._bias)


def _packed(weight: Tensor, rows: int) -> Any:
    """A weight in oneDNN's blocks; None where PyTorch has no such products."""
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu" or _fused("gelu", "tanh") is None:
        return None
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        one = torch.ones(2, weight.shape[1], dtype=weight.dtype)
        found = torch.ops.mkldnn._linear_pointwise(one, packed, None, "none", [], "")
        near = torch.allclose(found.float(), functional.linear(one, weight).float(), rtol=0.02, atol=0.02)
        return packed if near else None
    except (AttributeError, RuntimeError, TypeError):
        return None


@functools.cache
def _fused(activation: str, formula: str) -> Any:
    """PyTorch's product that ends in an activation, saving a pass over memory; None where there is none."""
    try:
        fused = torch.ops.mkldnn._linear_pointwise
        one = torch.ones(1, 1, dtype=torch.bfloat16)
        found, one = float(fused(-one, one, None, activation, [], formula)), -one.float()
        truth = one.relu() if activation == "relu" else functional.gelu(one, approximate="tanh")
        return fused if abs(found - float(truth)) < 1e-2 else None
    except (AttributeError, RuntimeError, TypeError):
        return None
