"""Layers as products need them, against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from sightline.networks import linear
from sightline.networks.linear import PackedLinear


def layer(dtype, outputs: int = 48, inputs: int = 37) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
    return weight.to(dtype), torch.randn(outputs, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("packs", [False, True])
@torch.no_grad()
def test_packed_layers_are_layers(dtype, gelu, packs, monkeypatch):
    if not packs:
        monkeypatch.setattr(linear, "_packed", lambda weight, rows: None)
    weight, bias = layer(dtype)
    found = PackedLinear(weight, bias, rows=64, gelu=gelu)
    for rows in (1, 64, 200):
        x = torch.randn(rows, 37, generator=torch.Generator().manual_seed(rows)).to(dtype)
        truth = functional.linear(x.double(), weight.double(), bias.double())
        truth = functional.gelu(truth, approximate="tanh") if gelu else truth
        tolerance = 1e-5 if dtype == torch.float32 else 0.03
        mine = found(x)
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), truth, rtol=tolerance, atol=tolerance)
