"""Small multilayer perceptron without biases in plain PyTorch: what other backends are tested against."""

import torch
from torch import Tensor


def perceptron(
    inputs: Tensor, weights: list[Tensor], per_ray: Tensor | None = None, ray_indices: Tensor | None = None
) -> Tensor:
    """Apply the layers with ReLU between them; see `sightline.kernels.mlp.perceptron`."""
    hidden = inputs
    if per_ray is not None and ray_indices is not None:
        hidden = torch.cat([inputs, per_ray[ray_indices]], -1)
    for weight in weights[:-1]:
        hidden = torch.relu(hidden @ weight.T)
    return hidden @ weights[-1].T
