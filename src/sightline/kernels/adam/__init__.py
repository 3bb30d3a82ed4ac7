"""Adam that leaves untouched entries alone (Kingma & Ba 2015; Müller et al. 2022, section 4)."""

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.adam import reference

__all__ = ["step"]


@torch.no_grad()
def step(
    parameter: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    rate: float,
    betas: tuple[float, float],
    eps: float,
    corrections: tuple[float, float],
) -> None:
    """Update a parameter in place where its gradient is not zero, and clear the gradient.

    Entries that no sample touched keep their value and their moments, which saves most of the memory traffic
    of a table of which a step touches a small part.

    Args:
        parameter, gradient, first, second: contiguous tensors of one shape; the optimiser keeps the moments.
        rate: learning rate.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
        corrections: 1 - beta^t for both moments, the usual correction of their start from zero.
    """
    compiled = use_compiled(parameter) and parameter.dtype == torch.float32
    settings = {"rate": rate, "betas": betas, "eps": eps, "corrections": corrections}
    if not compiled:
        reference.step(parameter, gradient, first, second, **settings)
        return
    from sightline.kernels.adam import cpu

    cpu.step(parameter, gradient, first, second, **settings)
