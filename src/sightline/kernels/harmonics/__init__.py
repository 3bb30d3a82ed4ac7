"""Real spherical harmonics of directions."""

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.harmonics import reference

__all__ = ["evaluate"]


def evaluate(directions: Tensor) -> Tensor:
    """Evaluate the 16 orthonormal real harmonics of degrees 0 to 3.

    Args:
        directions: (n, 3) of unit length.

    Returns:
        (n, 16), by degree and then by order. Differentiable.
    """
    constant = not (directions.requires_grad and torch.is_grad_enabled())
    if constant and use_compiled(directions) and directions.dtype == torch.float32:
        from sightline.kernels.harmonics import cpu

        return cpu.evaluate(directions)
    return reference.evaluate(directions)
