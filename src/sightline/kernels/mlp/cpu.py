"""Small multilayer perceptron in Numba.

Features are the slow axis, samples the fast one: a block of `BLOCK` samples passes through all layers while
its activations stay in the second-level cache, and every inner loop runs over samples, so LLVM vectorises it
for whatever vectors the processor has. The products work on four outputs by four inputs at a time: 16
multiply-adds for 8 loads and 4 stores reach the processor's arithmetic peak.
"""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import FAST_REDUCTION, inline, kernel
from sightline.kernels.mlp.blocks import load_block, pad, shared_inputs, sum_weight_gradients

BLOCK = 256


@inline
def _product(matrix, x, y):
    """y = matrix · x for blocks of samples; the matrix's sizes are multiples of 4."""
    outputs, inputs = matrix.shape
    for o in range(0, outputs, 4):
        y0, y1, y2, y3 = y[o], y[o + 1], y[o + 2], y[o + 3]
        for s in range(BLOCK):
            y0[s] = 0
            y1[s] = 0
            y2[s] = 0
            y3[s] = 0
        for i in range(0, inputs, 4):
            w00, w01, w02, w03 = matrix[o, i], matrix[o, i + 1], matrix[o, i + 2], matrix[o, i + 3]
            w10, w11, w12, w13 = (
                matrix[o + 1, i],
                matrix[o + 1, i + 1],
                matrix[o + 1, i + 2],
                matrix[o + 1, i + 3],
            )
            w20, w21, w22, w23 = (
                matrix[o + 2, i],
                matrix[o + 2, i + 1],
                matrix[o + 2, i + 2],
                matrix[o + 2, i + 3],
            )
            w30, w31, w32, w33 = (
                matrix[o + 3, i],
                matrix[o + 3, i + 1],
                matrix[o + 3, i + 2],
                matrix[o + 3, i + 3],
            )
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            for s in range(BLOCK):
                a, b, c, d = x0[s], x1[s], x2[s], x3[s]
                y0[s] += w00 * a + w01 * b + w02 * c + w03 * d
                y1[s] += w10 * a + w11 * b + w12 * c + w13 * d
                y2[s] += w20 * a + w21 * b + w22 * c + w23 * d
                y3[s] += w30 * a + w31 * b + w32 * c + w33 * d


@inline(fastmath=FAST_REDUCTION)
def _outer(dy, x, total):
    """total += dy · xᵀ, summed over the samples of a block."""
    outputs, inputs = total.shape
    for o in range(0, outputs, 4):
        d0, d1, d2, d3 = dy[o], dy[o + 1], dy[o + 2], dy[o + 3]
        for i in range(0, inputs, 4):
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            zero = total.dtype.type(0)
            a00 = a01 = a02 = a03 = a10 = a11 = a12 = a13 = zero
            a20 = a21 = a22 = a23 = a30 = a31 = a32 = a33 = zero
            for s in range(BLOCK):
                p, q, r, t = d0[s], d1[s], d2[s], d3[s]
                a, b, c, d = x0[s], x1[s], x2[s], x3[s]
                a00 += p * a
                a01 += p * b
                a02 += p * c
                a03 += p * d
                a10 += q * a
                a11 += q * b
                a12 += q * c
                a13 += q * d
                a20 += r * a
                a21 += r * b
                a22 += r * c
                a23 += r * d
                a30 += t * a
                a31 += t * b
                a32 += t * c
                a33 += t * d
            t0, t1, t2, t3 = total[o], total[o + 1], total[o + 2], total[o + 3]
            t0[i] += a00
            t0[i + 1] += a01
            t0[i + 2] += a02
            t0[i + 3] += a03
            t1[i] += a10
            t1[i + 1] += a11
            t1[i + 2] += a12
            t1[i + 3] += a13
            t2[i] += a20
            t2[i + 1] += a21
            t2[i + 2] += a22
            t2[i + 3] += a23
            t3[i] += a30
            t3[i + 1] += a31
            t3[i + 2] += a32
            t3[i + 3] += a33


@inline
def _layers(packed, widths, blocks):
    """Run all layers on a block: blocks[k] are the inputs of layer k, blocks[-1] the outputs."""
    offset = 0
    last = len(widths) - 2
    for layer in range(last + 1):
        inputs, outputs = widths[layer], widths[layer + 1]
        matrix = packed[offset : offset + inputs * outputs].reshape(outputs, inputs)
        offset += inputs * outputs
        result = blocks[layer + 1, :outputs]
        _product(matrix, blocks[layer, :inputs], result)
        if layer < last:
            for o in range(outputs):
                row = result[o]
                for s in range(BLOCK):
                    row[s] = max(row[s], row.dtype.type(0))


_ARRAYS = "T[:,::1], T[:,::1], int64[::1], T[::1], int64[::1]"


@inline
def walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    """Outputs of samples start … stop - 1, block by block."""
    blocks = np.empty((len(widths), widths.max(), BLOCK), out.dtype)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, blocks[0, : widths[0]])
        _layers(packed, widths, blocks)
        result = blocks[len(widths) - 1]
        for o in range(out.shape[0]):
            row, target = result[o], out[o]
            for s in range(count):
                target[first + s] = row[s]


@inline(fastmath=FAST_REDUCTION)
def walk_backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    """Gradients to the inputs, written to `to_inputs` (which may be `inputs`), and the weights, added."""
    layers = len(widths) - 1
    widest = widths.max()
    blocks = np.empty((layers + 1, widest, BLOCK), upstream.dtype)
    gradient = np.empty((2, widest, BLOCK), upstream.dtype)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, blocks[0, : widths[0]])
        _layers(packed, widths, blocks)
        above = gradient[0]
        above[: widths[layers]] = 0
        for o in range(upstream.shape[0]):
            row, source = above[o], upstream[o]
            for s in range(count):
                row[s] = source[first + s]
        offset = len(packed)
        for step in range(layers):
            layer = layers - 1 - step
            ins, outs = widths[layer], widths[layer + 1]
            offset -= ins * outs
            above, below = gradient[step % 2], gradient[(step + 1) % 2]
            _outer(
                above[:outs], blocks[layer, :ins], to_weights[offset : offset + ins * outs].reshape(outs, ins)
            )
            _product(transposed[offset : offset + ins * outs].reshape(ins, outs), above[:outs], below[:ins])
            if layer > 0:
                for i in range(ins):
                    row, hidden = below[i], blocks[layer, i]
                    for s in range(BLOCK):
                        row[s] = row[s] if hidden[s] > 0 else row.dtype.type(0)
        for i in range(to_inputs.shape[0]):
            row, target = gradient[layers % 2, i], to_inputs[i]
            for s in range(count):
                target[first + s] = row[s]


@kernel(f"void({_ARRAYS}, T[:,::1], int64, int64)")
def _forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop)


@kernel(f"void({_ARRAYS}, T[::1], T[:,::1], T[:,::1], T[::1], int64, int64)", fastmath=FAST_REDUCTION)
def _backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    walk_backward(
        inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
    )


def pack(weights: list[Tensor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flatten the padded matrices, also transposed; and give the padded widths."""
    padded = [pad(weight) for weight in weights]
    widths = np.array([padded[0].shape[1], *(matrix.shape[0] for matrix in padded)], np.int64)
    flat = np.concatenate([matrix.ravel() for matrix in padded])
    return flat, np.concatenate([matrix.T.ravel() for matrix in padded]), widths


def forward(
    inputs: Tensor, weights: list[Tensor], per_ray: Tensor | None = None, ray_indices: Tensor | None = None
) -> Tensor:
    """Outputs (out, n) of inputs (in, n), both contiguous."""
    samples = inputs.shape[1]
    out = inputs.new_empty(weights[-1].shape[0], samples)
    flat, _, widths = pack(weights)
    function = _forward.compiled(flat.dtype)
    shared, indices = shared_inputs(inputs, per_ray, ray_indices)
    parallel.over_ranges(
        function, samples, inputs.detach().numpy(), shared, indices, flat, widths, out.numpy(), multiple=BLOCK
    )
    return out


def backward(
    inputs: Tensor,
    weights: list[Tensor],
    upstream: Tensor,
    per_ray: Tensor | None = None,
    ray_indices: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Gradients to the inputs (in, n) and to each matrix, from (out, n) for the outputs."""
    samples = inputs.shape[1]
    flat, transposed, widths = pack(weights)
    to_inputs = torch.empty_like(inputs)
    fixed = (inputs.detach().numpy(), *shared_inputs(inputs, per_ray, ray_indices), flat, widths, transposed)
    varying = (upstream.numpy(), to_inputs.numpy())
    function = _backward.compiled(flat.dtype)
    return to_inputs, sum_weight_gradients(function, (*fixed, *varying), samples, BLOCK, weights, widths)
