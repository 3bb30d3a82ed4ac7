"""Transformer layers with normalisation after each part (Vaswani et al. 2017, section 3.1)."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

# Logit of what is masked: where everything is, all weigh the same.
HIDDEN = -1e9


class TransformerLayer(nn.Module):
    """y = LN(x + attention(x)), then LN(y + MLP(y)); GELU by its tanh formula (Hendrycks, Gimpel 2016).

    Args:
        width: of the tokens.
        heads: parts of the width that attend for themselves.
        hidden: width of the perceptron's hidden layer.
    """

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (lecun(nn.Linear(width, width)) for _ in range(4))
        self.attended_norm = nn.LayerNorm(width, eps=1e-6)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for layer in (self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(
        self,
        x: Float[Tensor, "*batch tokens width"],
        skip: int = 0,
        seen: Bool[Tensor, "*batch tokens"] | None = None,
    ) -> Float[Tensor, "*batch kept width"]:
        """Refine tokens.

        Args:
            skip: so many of the first tokens are attended to, and not refined themselves.
            seen: tokens that are attended to; where there is none, all are.
        """
        kept = x[..., skip:, :]
        y = self.attended_norm(kept + self.out(self._attend(kept, x, seen)))
        return self.norm(y + self.narrow(functional.gelu(self.widen(y), approximate="tanh")))

    def _attend(self, kept: Tensor, x: Tensor, seen: Tensor | None) -> Tensor:
        # (batch, heads, tokens, width of a head)
        query, key, value = (
            layer(tokens).flatten(0, -3).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.query, kept), (self.key, x), (self.value, x))
        )
        bias = None if seen is None else hide(seen).to(query.dtype).flatten(0, -2)[:, None, None]
        return mix(query, key, value, bias).transpose(1, 2).flatten(2).view(kept.shape)


def mix(
    query: Float[Tensor, "*batch n width"],
    key: Float[Tensor, "*batch m width"],
    value: Float[Tensor, "*batch m width"],
    bias: Float[Tensor, "*#batch 1 m"] | None = None,
) -> Float[Tensor, "*batch n width"]:
    """Mix values by the softmax of scaled products of queries and keys, with what is added to logits.

    On a CPU as the formula stands: of as few tokens as here, PyTorch's own attention takes its time.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return (logits if bias is None else logits + bias).softmax(-1).to(value.dtype) @ value


def hide(seen: Bool[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Give what is added to logits."""
    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, HIDDEN)


def lecun(layer: nn.Linear | nn.Conv2d) -> Any:
    """Draw weights by LeCun's truncated normal law, and no bias (LeCun et al. 1998, section 4.6)."""
    terms = layer.weight[0].numel()
    # A normal number within two deviations has so much of the full deviation.
    nn.init.trunc_normal_(layer.weight, std=1.0, a=-2.0, b=2.0)
    with torch.no_grad():
        layer.weight /= 0.87962566103423978 * terms**0.5
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def transformer(
    layers: nn.ModuleList,
    x: Float[Tensor, "*batch tokens width"],
    skip: int = 0,
    seen: Bool[Tensor, "*batch tokens"] | None = None,
) -> Float[Tensor, "*batch kept width"]:
    """Apply layers one after the other; only the last one leaves out the first `skip` tokens."""
    for number, layer in enumerate(layers):
        x = layer(x, skip if number == len(layers) - 1 else 0, seen)
    return x
