"""What a transformer layer does between its products in PyTorch: the definition."""

from torch import Tensor
from torch.nn import functional


def add_and_normalise(state: Tensor, added: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """See `sightline.kernels.tokens.add_and_normalise`."""
    state.copy_(functional.layer_norm(state + added, state.shape[1:], scale, shift, epsilon))
    return state.to(added.dtype)


def attend(entered: Tensor, keys: Tensor, seen: Tensor | None, tokens: int) -> Tensor:
    """See `sightline.kernels.tokens.attend`."""
    queries, values = (part.float().unflatten(0, (-1, tokens)) for part in entered.chunk(2, -1))
    logits = queries @ keys.float().unflatten(0, (-1, tokens)).transpose(1, 2)
    if seen is not None:
        logits = logits.masked_fill(~seen[:, None], -1e9)
    return (logits.softmax(-1) @ values).flatten(0, 1).to(keys.dtype)
