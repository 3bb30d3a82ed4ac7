"""Transformer layers as products need them, against `TransformerLayer` itself."""

import pytest
import torch
from torch import nn

from sightline.networks import quick_transformer
from sightline.networks.attention import TransformerLayer, transformer
from sightline.networks.quick_transformer import QuickTransformer

WIDTH = 32


def make_layers(count: int = 3, heads: int = 1) -> nn.ModuleList:
    torch.manual_seed(1)
    layers = nn.ModuleList(TransformerLayer(WIDTH, heads, 48) for _ in range(count))
    for parameter in layers.parameters():
        # Biases and normalisations begin with what has no effect.
        parameter.data.add_(0.1 * torch.randn(parameter.shape))
    return layers


@pytest.mark.parametrize("tokens", [1, 7, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_they_are_the_layers(tokens, masked, monkeypatch):
    monkeypatch.setattr(quick_transformer, "_ROWS", 100)
    layers = make_layers()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(23, tokens, WIDTH, generator=generator)
    seen = torch.rand(23, tokens, generator=generator) < 0.6 if masked else None
    with torch.no_grad():
        truth = transformer(layers, x, seen=seen)
    found = QuickTransformer(layers, torch.float32)(x, seen)
    assert truth.std() > 0.3
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-4)
    rough = QuickTransformer(layers, torch.bfloat16)(x, seen)
    assert 0 < (rough - truth).norm() < 0.02 * truth.norm()


def test_several_heads_are_left_to_the_definition():
    assert QuickTransformer.serves(make_layers())
    assert not QuickTransformer.serves(make_layers(heads=2))
