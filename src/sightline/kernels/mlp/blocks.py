"""What both CPU backends of the perceptron share: loading of a block, padded weights, sums of gradients."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline


@inline
def load_block(inputs, per_ray, ray_indices, first, count, block):
    """Copy a block's inputs, the shared ones from their rays, with zeros after the last sample."""
    own, shared = inputs.shape[0], per_ray.shape[1]
    for i in range(own):
        row, source = block[i], inputs[i]
        for s in range(count):
            row[s] = source[first + s]
    for s in range(count):
        ray = ray_indices[first + s]
        for i in range(shared):
            block[own + i, s] = per_ray[ray, i]
    for i in range(own + shared):
        block[i, count:] = 0
    block[own + shared :] = 0


def pad(weight: Tensor) -> np.ndarray:
    """A matrix with zeros around it up to sizes that are multiples of 4."""
    rows, columns = (-(-size // 4) * 4 for size in weight.shape)
    matrix = np.zeros((rows, columns), weight.detach().numpy().dtype)
    matrix[: weight.shape[0], : weight.shape[1]] = weight.detach().numpy()
    return matrix


@functools.cache
def _nothing(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.zeros(1, 0, dtype=dtype), torch.zeros(0, dtype=torch.int64)


def shared_inputs(
    inputs: Tensor, per_ray: Tensor | None, ray_indices: Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """The shared features and the rays' indices as arrays, empty ones where there are none."""
    if per_ray is None or ray_indices is None:
        per_ray, ray_indices = _nothing(inputs.dtype)
    return per_ray.detach().to(inputs.dtype).contiguous().numpy(), ray_indices.contiguous().numpy()


def sum_weight_gradients(
    function: Callable, arguments: tuple, samples: int, block: int, weights: list[Tensor], widths: np.ndarray
) -> list[Tensor]:
    """Run a backward kernel on all samples; gives the gradient to each matrix.

    Every part has its own sums, `function(*arguments, sums, start, stop)`; they are added in the order of the
    parts.
    """
    ranges = parallel.split(samples, parallel.part_count(samples, 1024), block)
    dtype = weights[0].detach().numpy().dtype
    sums = np.zeros((max(1, len(ranges)), int((widths[1:] * widths[:-1]).sum())), dtype)
    parallel.run(
        [lambda k=k, a=a, b=b: function(*arguments, sums[k], a, b) for k, (a, b) in enumerate(ranges)]
    )
    return split_gradient(sums.sum(0), weights, widths)


def split_gradient(total: np.ndarray, weights: list[Tensor], widths: np.ndarray) -> list[Tensor]:
    """Cut a flat gradient to the padded matrices into one for each matrix."""
    gradients, offset = [], 0
    for layer, weight in enumerate(weights):
        rows, columns = int(widths[layer + 1]), int(widths[layer])
        matrix = total[offset : offset + rows * columns].reshape(rows, columns)
        gradients.append(torch.from_numpy(matrix[: weight.shape[0], : weight.shape[1]].copy()))
        offset += rows * columns
    return gradients
