"""What a transformer layer does between its products: attention among few tokens, sums, normalisation.

Vaswani et al. 2017, section 3.1, with the normalisation of Ba et al. 2016 after each sum; without gradients.
"""

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.formats import FORMATS
from sightline.kernels.tokens import reference


def add_and_normalise(state: Tensor, added: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """Add to a state and normalise each of its rows.

    Args:
        state: (n, width) float32, which is changed.
        added: (n, width) float32 or bfloat16.
        scale, shift: (width,) float32, of the normalised rows.
        epsilon: what is added to the variance.

    Returns:
        The state in the type of `added`.
    """
    if not use_compiled(state) or added.dtype not in FORMATS:
        return reference.add_and_normalise(state, added, scale, shift, epsilon)
    from sightline.kernels.tokens import cpu

    active = torch.empty_like(added, memory_format=torch.contiguous_format)
    cpu.add_and_normalise(state, added.contiguous(), scale, shift, epsilon, active)
    return active


def attend(entered: Tensor, keys: Tensor, seen: Tensor | None, tokens: int) -> Tensor:
    """Attend among few tokens of each group.

    Args:
        entered: (groups · tokens, 2 · width) float32 or bfloat16: queries, by which logits are products with
            the keys, and values.
        keys: (groups · tokens, width) of the same type.
        seen: (groups, tokens) bool, which are attended to; all where not given, and all alike where there is
            none.

    Returns:
        (groups · tokens, width) of that type.
    """
    if not use_compiled(entered) or entered.dtype not in FORMATS:
        return reference.attend(entered, keys, seen, tokens)
    from sightline.kernels.tokens import cpu

    out = torch.empty_like(keys, memory_format=torch.contiguous_format)
    cpu.attend(entered.contiguous(), keys.contiguous(), seen, tokens, out)
    return out
