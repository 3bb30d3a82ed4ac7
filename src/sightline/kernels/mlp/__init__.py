"""Small bias-free multilayer perceptron, evaluated block by block in cache (Müller et al. 2021, section
3)."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.mlp import reference

__all__ = ["perceptron"]


def perceptron(
    inputs: Tensor, weights: list[Tensor], per_ray: Tensor | None = None, ray_indices: Tensor | None = None
) -> Tensor:
    """Apply linear layers without biases, ReLU between them, nothing after the last.

    Args:
        inputs: (n, a) features of each sample.
        weights: matrices (out, in) from the first layer to the last; the first has a + b columns.
        per_ray: (rays, b) features that the samples of a ray share (its direction), taken as constants.
        ray_indices: (n,) ray of each sample, with `per_ray`.

    Returns:
        (n, out of the last layer). Differentiable in `inputs` and `weights`.
    """
    if not use_compiled(inputs):
        return reference.perceptron(inputs, weights, per_ray, ray_indices)
    return _Perceptron.apply(inputs, per_ray, ray_indices, *weights)


class _Perceptron(torch.autograd.Function):
    """Keeps the inputs only: the backward pass computes the hidden layers again while they fit in cache."""

    @staticmethod
    def forward(
        ctx, inputs: Tensor, per_ray: Tensor | None, ray_indices: Tensor | None, *weights: Tensor
    ) -> Tensor:
        from sightline.kernels.mlp import cpu

        columns = inputs.T.contiguous()
        ctx.save_for_backward(columns, per_ray, ray_indices, *weights)
        return cpu.forward(columns, list(weights), per_ray, ray_indices).T

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> Any:
        from sightline.kernels.mlp import cpu

        columns, per_ray, ray_indices, *weights = ctx.saved_tensors
        to_inputs, to_weights = cpu.backward(
            columns, list(weights), gradients[0].T.contiguous(), per_ray, ray_indices
        )
        return to_inputs.T, None, None, *to_weights
