"""Adam in one pass over parameters and moments, instead of a dozen."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def fused_adam(parameters: Iterable[Tensor], **settings: Any) -> torch.optim.Adam:
    """Make PyTorch's fused Adam (Kingma and Ba 2015) for parameters of any shape.

    Its update does not tell autograd that parameters have changed, by which copies of them in other formats
    are known to be old: here every step counts their versions on.
    """
    parameters = list(parameters)
    adam = torch.optim.Adam(parameters, fused=True, **settings)

    def note(*_: Any) -> None:
        torch.autograd.graph.increment_version(parameters)

    adam.register_step_post_hook(note)
    return adam
