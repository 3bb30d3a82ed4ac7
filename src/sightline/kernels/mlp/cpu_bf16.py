"""Small multilayer perceptron in Numba with bfloat16 products, for processors that have them in vectors.

The same walk as `cpu.py`: blocks of samples through all layers in cache. Activations and weights are
rounded to bfloat16 where they are multiplied; sums, inputs, outputs and the weights' gradients stay float32.
Products over features want the two features of a pair side by side, sums over samples want two samples side
by side, so activations are kept both ways.
"""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.mlp.blocks import load_block, pad, shared_inputs, sum_weight_gradients
from sightline.kernels.mlp.vectors import LANES, outer_tile, pack_rows, product_tile

BLOCK = 512
_TILE = 4 * LANES


@inline
def _product(packed, offset, outputs, pairs, x, y):
    """y = W · x for a block; W lies packed in words from `offset`, x as pairs of features."""
    for o in range(0, outputs, 4):
        w = packed.ctypes.data + np.int64(4) * (offset + o * pairs)
        for s in range(0, BLOCK, _TILE):
            product_tile(
                w, pairs, x.ctypes.data + 4 * s, BLOCK, y.ctypes.data + 4 * (o * BLOCK + s), BLOCK, pairs
            )


@inline
def _pack(rows, y, pairs, plain, rectify):
    """Round a block of float32 rows (an even number) to pairs and plain rows."""
    for o in range(0, rows, 2):
        a = y.ctypes.data + np.int64(4) * o * BLOCK
        p = plain.ctypes.data + np.int64(2) * o * BLOCK
        out = pairs.ctypes.data + np.int64(4) * (o // 2) * BLOCK
        pack_rows(a, a + 4 * BLOCK, out, p, p + 2 * BLOCK, BLOCK // LANES, rectify)


@inline
def _layers(packed, widths, y, pairs, plain):
    """Run all layers on a block whose inputs lie in y; pairs[k] and plain[k] become the inputs of layer k."""
    offset = 0
    _pack(widths[0], y, pairs[0], plain[0], False)
    for layer in range(len(widths) - 1):
        outputs, half = widths[layer + 1], widths[layer] // 2
        _product(packed, offset, outputs, half, pairs[layer], y)
        offset += outputs * half
        if layer < len(widths) - 2:
            _pack(outputs, y, pairs[layer + 1], plain[layer + 1], True)


_ARRAYS = "float32[:,::1], float32[:,::1], int64[::1], uint32[::1], int64[::1]"


@inline
def walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    """Outputs of samples start … stop - 1, block by block."""
    widest = widths.max()
    y = np.empty((widest, BLOCK), np.float32)
    pairs = np.empty((len(widths), widest // 2, BLOCK), np.uint32)
    plain = np.empty((len(widths), widest, BLOCK), np.uint16)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, y[: widths[0]])
        _layers(packed, widths, y, pairs, plain)
        for o in range(out.shape[0]):
            row, target = y[o], out[o]
            for s in range(count):
                target[first + s] = row[s]


@inline
def walk_backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    """Gradients to the inputs, written to `to_inputs` (which may be `inputs`), and the weights, added."""
    layers = len(widths) - 1
    widest = widths.max()
    y = np.empty((widest, BLOCK), np.float32)
    pairs = np.empty((layers + 1, widest // 2, BLOCK), np.uint32)
    plain = np.empty((layers + 1, widest, BLOCK), np.uint16)
    above_pairs = np.empty((widest // 2, BLOCK), np.uint32)
    above = np.empty((widest, BLOCK), np.uint16)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, y[: widths[0]])
        _layers(packed, widths, y, pairs, plain)
        y[: widths[layers]] = 0
        for o in range(upstream.shape[0]):
            row, source = y[o], upstream[o]
            for s in range(count):
                row[s] = source[first + s]
        total, words = len(to_weights), len(packed)
        for step in range(layers):
            layer = layers - 1 - step
            ins, outs = widths[layer], widths[layer + 1]
            total -= ins * outs
            words -= ins * outs // 2
            _pack(outs, y, above_pairs, above, False)
            for o in range(0, outs, 4):
                for i in range(0, ins, 4):
                    outer_tile(
                        above.ctypes.data + np.int64(2) * o * BLOCK,
                        plain[layer].ctypes.data + np.int64(2) * i * BLOCK,
                        BLOCK // 2,
                        to_weights.ctypes.data + np.int64(4) * (total + o * ins + i),
                        ins,
                        BLOCK // (2 * LANES),
                    )
            _product(transposed, words, ins, outs // 2, above_pairs, y)
            if layer > 0:
                for i in range(ins):
                    row, hidden = y[i], plain[layer, i]
                    for s in range(BLOCK):
                        row[s] = row[s] if hidden[s] != 0 else np.float32(0)
        for i in range(to_inputs.shape[0]):
            row, target = y[i], to_inputs[i]
            for s in range(count):
                target[first + s] = row[s]


@kernel(f"void({_ARRAYS}, float32[:,::1], int64, int64)")
def _forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop)


@kernel(f"void({_ARRAYS}, uint32[::1], float32[:,::1], float32[:,::1], float32[::1], int64, int64)")
def _backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    walk_backward(
        inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
    )


def _words(matrix: np.ndarray) -> np.ndarray:
    """A matrix as words of two bfloat16, pairs along its rows."""
    halves = torch.from_numpy(np.ascontiguousarray(matrix)).to(torch.bfloat16).view(torch.int16)
    return halves.numpy().view(np.uint32).ravel()


def pack(weights: list[Tensor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices in words, also transposed, and the padded widths."""
    matrices = [pad(weight) for weight in weights]
    widths = np.array([matrices[0].shape[1], *(matrix.shape[0] for matrix in matrices)], np.int64)
    flat = np.concatenate([_words(matrix) for matrix in matrices])
    return flat, np.concatenate([_words(matrix.T) for matrix in matrices]), widths


def forward(
    inputs: Tensor, weights: list[Tensor], per_ray: Tensor | None = None, ray_indices: Tensor | None = None
) -> Tensor:
    """Outputs (out, n) of inputs (in, n), both contiguous float32."""
    samples = inputs.shape[1]
    out = inputs.new_empty(weights[-1].shape[0], samples)
    flat, _, widths = pack(weights)
    arrays = (
        inputs.detach().numpy(),
        *shared_inputs(inputs, per_ray, ray_indices),
        flat,
        widths,
        out.numpy(),
    )
    parallel.over_ranges(_forward.compiled(), samples, *arrays, multiple=BLOCK)
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
    arguments = (*fixed, upstream.numpy(), to_inputs.numpy())
    return to_inputs, sum_weight_gradients(_backward.compiled(), arguments, samples, BLOCK, weights, widths)
