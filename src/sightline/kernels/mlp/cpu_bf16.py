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
from sightline.kernels.mlp.vectors import (
    LANES,
    masked_tile,
    outer_tile,
    pack_rows,
    product_tile,
    rectified_tile,
    rectified_tile_kept,
)

BLOCK = 128
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
def _hidden(packed, offset, outputs, pairs, x, out, plain, keep):
    """The same, rectified and packed for the next layer; plain rows, too, where they are kept."""
    for o in range(0, outputs, 4):
        w = packed.ctypes.data + np.int64(4) * (offset + o * pairs)
        for s in range(0, BLOCK, _TILE):
            source = x.ctypes.data + np.int64(4) * s
            target = out.ctypes.data + np.int64(4) * (o // 2 * BLOCK + s)
            if keep:
                copy = plain.ctypes.data + np.int64(2) * (o * BLOCK + s)
                rectified_tile_kept(w, pairs, source, BLOCK, target, copy, pairs)
            else:
                rectified_tile(w, pairs, source, BLOCK, target, pairs)


@inline
def _through_hidden(packed, offset, outputs, pairs, x, out, plain, hidden):
    """A gradient's way back through a rectified layer whose plain outputs were `hidden`."""
    for o in range(0, outputs, 4):
        w = packed.ctypes.data + np.int64(4) * (offset + o * pairs)
        for s in range(0, BLOCK, _TILE):
            source = x.ctypes.data + np.int64(4) * s
            target = out.ctypes.data + np.int64(4) * (o // 2 * BLOCK + s)
            place = np.int64(2) * (o * BLOCK + s)
            masked_tile(
                w, pairs, source, BLOCK, target, plain.ctypes.data + place, hidden.ctypes.data + place, pairs
            )


@inline
def _pack(rows, y, pairs, plain):
    """Round a block of float32 rows (an even number) to pairs and plain rows."""
    for o in range(0, rows, 2):
        a = y.ctypes.data + np.int64(4) * o * BLOCK
        p = plain.ctypes.data + np.int64(2) * o * BLOCK
        out = pairs.ctypes.data + np.int64(4) * (o // 2) * BLOCK
        pack_rows(a, a + 4 * BLOCK, out, p, p + 2 * BLOCK, BLOCK // LANES, False)


@inline
def _layers(packed, widths, pairs, plain, keep):
    """Run all layers but the last: pairs[k] and, where kept, plain[k] become the inputs of layer k.

    Gives where the last layer's words begin.
    """
    offset = 0
    for layer in range(len(widths) - 2):
        outputs, half = widths[layer + 1], widths[layer] // 2
        _hidden(packed, offset, outputs, half, pairs[layer], pairs[layer + 1], plain[layer + 1], keep)
        offset += outputs * half
    return offset


_ARRAYS = "float32[:,::1], float32[:,::1], int64[::1], uint32[::1], int64[::1]"


@inline
def walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    """Outputs of samples start … stop - 1, block by block."""
    last, widest = len(widths) - 2, widths.max()
    y = np.empty((widest, BLOCK), np.float32)
    pairs = np.empty((last + 1, widest // 2, BLOCK), np.uint32)
    plain = np.empty((last + 1, widest, BLOCK), np.uint16)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, y[: widths[0]])
        _pack(widths[0], y, pairs[0], plain[0])
        offset = _layers(packed, widths, pairs, plain, False)
        _product(packed, offset, widths[last + 1], widths[last] // 2, pairs[last], y)
        for o in range(out.shape[0]):
            row, target = y[o], out[o]
            for s in range(count):
                target[first + s] = row[s]


@inline
def walk_backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    """Gradients to the inputs, written to `to_inputs` (which may be `inputs`), and the weights, added."""
    layers, widest = len(widths) - 1, widths.max()
    y = np.empty((widest, BLOCK), np.float32)
    pairs = np.empty((layers, widest // 2, BLOCK), np.uint32)
    plain = np.empty((layers, widest, BLOCK), np.uint16)
    # Gradients of a layer's outputs and of its inputs, which take turns.
    above_pairs = np.empty((2, widest // 2, BLOCK), np.uint32)
    above = np.empty((2, widest, BLOCK), np.uint16)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(inputs, per_ray, ray_indices, first, count, y[: widths[0]])
        _pack(widths[0], y, pairs[0], plain[0])
        _layers(packed, widths, pairs, plain, True)
        for o in range(upstream.shape[0]):
            row, source = y[o], upstream[o]
            for s in range(count):
                row[s] = source[first + s]
            row[count:] = 0
        y[upstream.shape[0] : widths[layers]] = 0
        _pack(widths[layers], y, above_pairs[0], above[0])
        total, words = len(to_weights), len(packed)
        for step in range(layers):
            layer, now = layers - 1 - step, step % 2
            ins, outs = widths[layer], widths[layer + 1]
            total -= ins * outs
            words -= ins * outs // 2
            for o in range(0, outs, 4):
                for i in range(0, ins, 4):
                    outer_tile(
                        above[now].ctypes.data + np.int64(2) * o * BLOCK,
                        plain[layer].ctypes.data + np.int64(2) * i * BLOCK,
                        BLOCK // 2,
                        to_weights.ctypes.data + np.int64(4) * (total + o * ins + i),
                        ins,
                        BLOCK // (2 * LANES),
                    )
            if layer > 0:
                _through_hidden(
                    transposed, words, ins, outs // 2, above_pairs[now], above_pairs[1 - now], above[1 - now],
                    plain[layer],
                )  # fmt: skip
        _product(transposed, 0, to_inputs.shape[0], widths[1] // 2, above_pairs[(layers - 1) % 2], y)
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
