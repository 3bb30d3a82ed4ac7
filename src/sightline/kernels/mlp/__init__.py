"""Small multilayer perceptron without biases, block by block in cache (Müller et al. 2021, section 3)."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.first_order import first_order
from sightline.kernels.mlp import reference

__all__ = ["perceptron", "uses_bfloat16"]


def perceptron(
    inputs: Tensor,
    weights: list[Tensor],
    per_ray: Tensor | None = None,
    ray_indices: Tensor | None = None,
    *,
    narrow: bool = False,
) -> Tensor:
    """Apply linear layers without biases, ReLU between them, nothing after the last.

    Args:
        inputs: (n, a) features of each sample.
        weights: matrices (out, in) from the first layer to the last; the first has a + b columns.
        per_ray: (rays, b) features that the samples of a ray share (its direction), taken as constants.
        ray_indices: (n,) ray of each sample, with `per_ray`.
        narrow: factors may be rounded to bfloat16 where the processor multiplies these faster. Sums,
            results and gradients stay float32.

    Returns:
        (n, out of the last layer). Differentiable in `inputs` and `weights`.
    """
    if not use_compiled(inputs):
        return reference.perceptron(inputs, weights, per_ray, ray_indices)
    narrow = narrow and inputs.dtype == torch.float32 and uses_bfloat16()
    return _Perceptron.apply(narrow, inputs, per_ray, ray_indices, *weights)


def uses_bfloat16() -> bool:
    """Say whether `narrow` makes a difference on this processor."""
    from sightline.kernels.mlp.vectors import has_bf16_dot

    return has_bf16_dot()


def _backend(narrow: bool) -> ModuleType:
    if narrow:
        from sightline.kernels.mlp import cpu_bf16

        return cpu_bf16
    from sightline.kernels.mlp import cpu

    return cpu


class _Perceptron(torch.autograd.Function):
    """Keeps the inputs only: the backward pass computes the hidden layers again while they fit in cache."""

    @staticmethod
    def forward(
        ctx,
        narrow: bool,
        inputs: Tensor,
        per_ray: Tensor | None,
        ray_indices: Tensor | None,
        *weights: Tensor,
    ) -> Tensor:
        columns = inputs.T.contiguous()
        ctx.narrow = narrow
        ctx.save_for_backward(columns, per_ray, ray_indices, *weights)
        return _backend(narrow).forward(columns, list(weights), per_ray, ray_indices).T

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        columns, per_ray, ray_indices, *weights = ctx.saved_tensors
        upstream = gradients[0].T.contiguous()
        to_inputs, to_weights = _backend(ctx.narrow).backward(
            columns, list(weights), upstream, per_ray, ray_indices
        )
        return None, to_inputs.T, None, None, *to_weights
