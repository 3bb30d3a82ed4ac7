"""Group normalisation and leaky ReLU in Numba, for channels that lie side by side.

A picture or volume is a matrix of places by channels. Its rows are taken in blocks: sums of a block are
float32 vectors over the channels, those of all blocks are added in float64, and statistics of groups follow
from them. Values are shifted by the first place's before they are squared, so that a mean that is large
beside the deviation costs no digits. Numbers of bfloat16 are widened when they are
read and rounded when they are written.
"""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import FAST_REDUCTION, inline, kernel
from sightline.kernels.formats import as_array, like, load

_ROWS = 512
"""places of a block: its sums are added up in float32"""
_SCALE, _SHIFT, _MEAN, _RATE, _SLANT, _OFFSET = range(6)
"""rows of what is known of each channel: y = scale · x + shift; the group's mean and 1 / deviation;
of the gradient: scale · (gradient to y) + slant · (x - mean) + offset"""


@inline(fastmath=FAST_REDUCTION)
def _measure(x, sums, first, last):
    """Sums of shifted values and of their squares, block after block."""
    places, channels = x.shape[1:]
    blocks = sums.shape[1]
    total, square = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for task in range(first, last):
        n, block = task // blocks, task % blocks
        total[:], square[:] = 0, 0
        begin, end = block * _ROWS, min(places, (block + 1) * _ROWS)
        # Four places at a time: sums are read and written once for them.
        whole = begin + (end - begin) // 4 * 4
        for s in range(begin, whole, 4):
            for c in range(channels):
                middle = load(x[n, 0, c])
                v0, v1 = load(x[n, s, c]) - middle, load(x[n, s + 1, c]) - middle
                v2, v3 = load(x[n, s + 2, c]) - middle, load(x[n, s + 3, c]) - middle
                total[c] += (v0 + v1) + (v2 + v3)
                square[c] += (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        for s in range(whole, end):
            for c in range(channels):
                value = load(x[n, s, c]) - load(x[n, 0, c])
                total[c] += value
                square[c] += value * value
        for c in range(channels):
            sums[n, block, 0, c] = total[c]
            sums[n, block, 1, c] = square[c]


@inline
def _settle(x, sums, weight, bias, groups, epsilon, lines, first, last):
    """From the sums of blocks to the line of each channel."""
    places, channels = x.shape[1:]
    width = channels // groups
    for n in range(first, last):
        for c in range(channels):
            for block in range(1, sums.shape[1]):
                sums[n, 0, 0, c] += sums[n, block, 0, c]
                sums[n, 0, 1, c] += sums[n, block, 1, c]
        for g in range(groups):
            mean = 0.0
            for c in range(g * width, (g + 1) * width):
                mean += sums[n, 0, 0, c] / places + load(x[n, 0, c])
            mean /= width
            squares = 0.0
            for c in range(g * width, (g + 1) * width):
                away = sums[n, 0, 0, c] / places
                squares += max(sums[n, 0, 1, c] - places * away * away, 0.0)
                squares += places * (away + load(x[n, 0, c]) - mean) ** 2
            rate = 1 / np.sqrt(squares / (places * width) + epsilon)
            for c in range(g * width, (g + 1) * width):
                lines[n, _SCALE, c] = weight[c] * rate
                lines[n, _SHIFT, c] = bias[c] - mean * weight[c] * rate
                lines[n, _MEAN, c] = mean
                lines[n, _RATE, c] = rate


@inline
def _apply(x, lines, slope, y, first, last):
    """Scale and shift each channel, and multiply what is negative then by the slope."""
    places, channels = x.shape[1:]
    blocks = -(-places // _ROWS)
    for task in range(first, last):
        n, block = task // blocks, task % blocks
        scale, shift = lines[n, _SCALE], lines[n, _SHIFT]
        for s in range(block * _ROWS, min(places, (block + 1) * _ROWS)):
            for c in range(channels):
                value = load(x[n, s, c]) * scale[c] + shift[c]
                y[n, s, c] = like(x[n, s, c], value if value > 0 else value * slope)


@inline(fastmath=FAST_REDUCTION)
def _measure_back(x, upstream, lines, slope, sums, first, last):
    """Sums of the gradient to the normalised values, and of it times x - mean, block after block."""
    places, channels = x.shape[1:]
    blocks = sums.shape[1]
    total, product = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for task in range(first, last):
        n, block = task // blocks, task % blocks
        scale, shift, mean = lines[n, _SCALE], lines[n, _SHIFT], lines[n, _MEAN]
        total[:], product[:] = 0, 0
        begin, end = block * _ROWS, min(places, (block + 1) * _ROWS)
        whole = begin + (end - begin) // 4 * 4
        for s in range(begin, whole, 4):
            for c in range(channels):
                a, b, m = scale[c], shift[c], mean[c]
                v0, v1 = load(x[n, s, c]), load(x[n, s + 1, c])
                v2, v3 = load(x[n, s + 2, c]), load(x[n, s + 3, c])
                g0, g1 = load(upstream[n, s, c]), load(upstream[n, s + 1, c])
                g2, g3 = load(upstream[n, s + 2, c]), load(upstream[n, s + 3, c])
                g0 = g0 if v0 * a + b > 0 else g0 * slope
                g1 = g1 if v1 * a + b > 0 else g1 * slope
                g2 = g2 if v2 * a + b > 0 else g2 * slope
                g3 = g3 if v3 * a + b > 0 else g3 * slope
                total[c] += (g0 + g1) + (g2 + g3)
                product[c] += (g0 * (v0 - m) + g1 * (v1 - m)) + (g2 * (v2 - m) + g3 * (v3 - m))
        for s in range(whole, end):
            for c in range(channels):
                value, gradient = load(x[n, s, c]), load(upstream[n, s, c])
                gradient = gradient if value * scale[c] + shift[c] > 0 else gradient * slope
                total[c] += gradient
                product[c] += gradient * (value - mean[c])
        for c in range(channels):
            sums[n, block, 0, c] = total[c]
            sums[n, block, 1, c] = product[c]


@inline
def _settle_back(sums, weight, places, groups, lines, first, last):
    """From the sums of blocks to the lines of the gradient; totals are left in the first block's."""
    channels = len(weight)
    width = channels // groups
    for n in range(first, last):
        for c in range(channels):
            for block in range(1, sums.shape[1]):
                sums[n, 0, 0, c] += sums[n, block, 0, c]
                sums[n, 0, 1, c] += sums[n, block, 1, c]
        for g in range(groups):
            rate = np.float64(lines[n, _RATE, g * width])
            plain, slanted = 0.0, 0.0
            for c in range(g * width, (g + 1) * width):
                plain += weight[c] * sums[n, 0, 0, c]
                slanted += weight[c] * sums[n, 0, 1, c]
            for c in range(g * width, (g + 1) * width):
                lines[n, _SLANT, c] = -(rate**3) * slanted / (places * width)
                lines[n, _OFFSET, c] = -rate * plain / (places * width)
        for c in range(channels):
            sums[n, 0, 1, c] *= lines[n, _RATE, c]


@inline
def _apply_back(x, upstream, lines, slope, out, first, last):
    """Gradient to the values."""
    places, channels = x.shape[1:]
    blocks = -(-places // _ROWS)
    for task in range(first, last):
        n, block = task // blocks, task % blocks
        scale, shift, mean = lines[n, _SCALE], lines[n, _SHIFT], lines[n, _MEAN]
        slant, offset = lines[n, _SLANT], lines[n, _OFFSET]
        for s in range(block * _ROWS, min(places, (block + 1) * _ROWS)):
            for c in range(channels):
                value, gradient = load(x[n, s, c]), load(upstream[n, s, c])
                gradient = gradient if value * scale[c] + shift[c] > 0 else gradient * slope
                found = gradient * scale[c] + (value - mean[c]) * slant[c] + offset[c]
                out[n, s, c] = like(x[n, s, c], found)


_IN, _LINES, _SUMS = "T[:,:,::1]", "float32[:,:,::1]", "float64[:,:,:,::1]"
_SETTINGS = "float32[::1], float32[::1], int64, float64"
_RANGE = "int64, int64"


@kernel(f"void({_IN}, {_SUMS}, {_SETTINGS}, {_LINES}, float32, {_IN}, {_RANGE})")
def _forward_pictures(x, sums, weight, bias, groups, epsilon, lines, slope, y, first, last):
    """All passes over each picture, while it is in cache."""
    blocks = sums.shape[1]
    for n in range(first, last):
        _measure(x, sums, n * blocks, (n + 1) * blocks)
        _settle(x, sums, weight, bias, groups, epsilon, lines, n, n + 1)
        _apply(x, lines, slope, y, n * blocks, (n + 1) * blocks)


@kernel(f"void({_IN}, {_SUMS}, {_RANGE})")
def _measure_blocks(x, sums, first, last):
    _measure(x, sums, first, last)


@kernel(f"void({_IN}, {_SUMS}, {_SETTINGS}, {_LINES}, float32, {_IN}, {_RANGE})")
def _apply_blocks(x, sums, weight, bias, groups, epsilon, lines, slope, y, first, last):
    _apply(x, lines, slope, y, first, last)


@kernel(f"void({_IN}, {_SUMS}, {_SETTINGS}, {_LINES}, {_RANGE})")
def _settle_pictures(x, sums, weight, bias, groups, epsilon, lines, first, last):
    _settle(x, sums, weight, bias, groups, epsilon, lines, first, last)


@kernel(f"void({_IN}, {_IN}, {_SUMS}, float32[::1], int64, {_LINES}, float32, {_IN}, {_RANGE})")
def _backward_pictures(x, upstream, sums, weight, groups, lines, slope, out, first, last):
    """All passes over each picture, while it is in cache."""
    blocks = sums.shape[1]
    for n in range(first, last):
        _measure_back(x, upstream, lines, slope, sums, n * blocks, (n + 1) * blocks)
        _settle_back(sums, weight, x.shape[1], groups, lines, n, n + 1)
        _apply_back(x, upstream, lines, slope, out, n * blocks, (n + 1) * blocks)


@kernel(f"void({_IN}, {_IN}, {_SUMS}, float32[::1], int64, {_LINES}, float32, {_IN}, {_RANGE})")
def _measure_back_blocks(x, upstream, sums, weight, groups, lines, slope, out, first, last):
    _measure_back(x, upstream, lines, slope, sums, first, last)


@kernel(f"void({_IN}, {_IN}, {_SUMS}, float32[::1], int64, {_LINES}, float32, {_IN}, {_RANGE})")
def _settle_back_pictures(x, upstream, sums, weight, groups, lines, slope, out, first, last):
    _settle_back(sums, weight, x.shape[1], groups, lines, first, last)


@kernel(f"void({_IN}, {_IN}, {_SUMS}, float32[::1], int64, {_LINES}, float32, {_IN}, {_RANGE})")
def _apply_back_blocks(x, upstream, sums, weight, groups, lines, slope, out, first, last):
    _apply_back(x, upstream, lines, slope, out, first, last)


def forward(
    x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, groups: int, slope: float, epsilon: float
) -> Tensor:
    """Write the output, and give the lines that `backward` needs.

    Args:
        x: (n, places, channels) contiguous, float32 or bfloat16.
        y: of the same kind, to be written.
        weight, bias: (channels,) float32.
    """
    count, places, channels = x.shape
    blocks = -(-places // _ROWS)
    sums = np.empty((count, blocks, 2, channels))
    lines = x.new_empty(count, 6, channels, dtype=torch.float32)
    values, known = as_array(x), lines.numpy()
    given = values, sums, weight.detach().numpy(), bias.detach().numpy(), groups, epsilon, known
    kind, out = values.dtype, as_array(y)
    if _by_picture(count):
        parallel.over_ranges(_forward_pictures.compiled(kind), count, *given, slope, out, least=1)
    else:
        parallel.over_ranges(_measure_blocks.compiled(kind), count * blocks, values, sums, least=1)
        _settle_pictures.compiled(kind)(*given, 0, count)
        parallel.over_ranges(_apply_blocks.compiled(kind), count * blocks, *given, slope, out, least=1)
    return lines


def backward(
    x: Tensor, upstream: Tensor, found: Tensor, weight: Tensor, lines: Tensor, groups: int, slope: float
) -> tuple[Tensor, Tensor]:
    """Write the gradient to x, and give those to weight and bias.

    Args:
        x: as for `forward`.
        upstream: gradient to the output, of the same kind.
        found: of the same kind, to be written.
        lines: what `forward` gave.
    """
    count, places, channels = x.shape
    blocks = -(-places // _ROWS)
    sums = np.empty((count, blocks, 2, channels))
    values, kind = as_array(x), as_array(x).dtype
    given = (
        *(values, as_array(upstream), sums, weight.detach().numpy(), groups),
        *(lines.numpy(), slope, as_array(found)),
    )
    if _by_picture(count):
        parallel.over_ranges(_backward_pictures.compiled(kind), count, *given, least=1)
    else:
        parallel.over_ranges(_measure_back_blocks.compiled(kind), count * blocks, *given, least=1)
        _settle_back_pictures.compiled(kind)(*given, 0, count)
        parallel.over_ranges(_apply_back_blocks.compiled(kind), count * blocks, *given, least=1)
    totals = torch.from_numpy(sums[:, 0].sum(0)).float()
    return totals[1], totals[0]


def _by_picture(count: int) -> bool:
    """Say whether there are enough pictures to take each through all passes, while it is in cache."""
    return count >= 2 * parallel.thread_count()
