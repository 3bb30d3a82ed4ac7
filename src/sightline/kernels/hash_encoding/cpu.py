"""Multiresolution hash encoding in Numba.

Samples are taken in blocks that stay in the first-level cache. For each block and level a first loop, which
LLVM vectorises over samples, writes the eight table entries and trilinear weights; a second one gathers or
scatters. Features are the slow axis of the results, as the network kernel wants them.

The gradient to the table is shared out by table entries, not by samples: each part owns a level or a segment
of one and ignores what falls outside. So no two threads meet, and every entry is summed in sample order
whatever their number.
"""

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.hash_encoding.levels import HashLevels
from sightline.kernels.hash_encoding.vectors import make_vector_access

BLOCK = 128

# Samples between asking for entries and reading them: the table doesn't fit into the second-level cache.
AHEAD = 32

_sum2, _add2, _fetch2, _slopes2 = make_vector_access(2, BLOCK)
_sum4, _add4, _fetch4, _slopes4 = make_vector_access(4, BLOCK)

_P1 = np.uint32(2654435761)
_P2 = np.uint32(805459861)


@inline
def _corners(positions, cells, size, dense, first, count, entries, weights):
    """Fill the eight entries (within the level) and weights of `count` samples, and their fractions."""
    scale = positions.dtype.type(cells)
    zero, one = positions.dtype.type(0), positions.dtype.type(1)
    last = np.int32(cells - 1)
    side = np.uint32(cells + 1)
    slab = side * side
    mask = np.uint32(size - 1)
    for k in range(count):
        n = first + k
        x = min(max(positions[n, 0], zero), one) * scale
        y = min(max(positions[n, 1], zero), one) * scale
        z = min(max(positions[n, 2], zero), one) * scale
        xi, yi, zi = min(np.int32(x), last), min(np.int32(y), last), min(np.int32(z), last)
        fx, fy, fz = x - positions.dtype.type(xi), y - positions.dtype.type(yi), z - positions.dtype.type(zi)
        gx, gy, gz = one - fx, one - fy, one - fz
        x0, y0, z0 = np.uint32(xi), np.uint32(yi), np.uint32(zi)
        if dense:
            x1 = x0 + np.uint32(1)
            ya = y0 * side
            yb = ya + side
            za = z0 * slab
            zb = za + slab
            aa, ba, ab, bb = ya + za, yb + za, ya + zb, yb + zb
            entries[0, k], entries[1, k] = aa + x0, aa + x1
            entries[2, k], entries[3, k] = ba + x0, ba + x1
            entries[4, k], entries[5, k] = ab + x0, ab + x1
            entries[6, k], entries[7, k] = bb + x0, bb + x1
        else:
            x1 = x0 + np.uint32(1)
            ya = y0 * _P1
            yb = ya + _P1
            za = z0 * _P2
            zb = za + _P2
            aa, ba, ab, bb = ya ^ za, yb ^ za, ya ^ zb, yb ^ zb
            entries[0, k], entries[1, k] = (aa ^ x0) & mask, (aa ^ x1) & mask
            entries[2, k], entries[3, k] = (ba ^ x0) & mask, (ba ^ x1) & mask
            entries[4, k], entries[5, k] = (ab ^ x0) & mask, (ab ^ x1) & mask
            entries[6, k], entries[7, k] = (bb ^ x0) & mask, (bb ^ x1) & mask
        waa, wba, wab, wbb = gy * gz, fy * gz, gy * fz, fy * fz
        weights[0, k], weights[1, k] = waa * gx, waa * fx
        weights[2, k], weights[3, k] = wba * gx, wba * fx
        weights[4, k], weights[5, k] = wab * gx, wab * fx
        weights[6, k], weights[7, k] = wbb * gx, wbb * fx


@inline
def encode_range(positions, table, cells, sizes, offsets, dense, out, vectors, start, stop):
    """Encode samples start … stop - 1; `vectors` where the table is float32."""
    features = table.shape[1]
    entries = np.empty((8, BLOCK), np.uint32)
    weights = np.empty((8, BLOCK), table.dtype)
    # Level by level, so that the caches hold as much as they can of one level's entries.
    for level in range(len(cells)):
        rows = table[offsets[level] : offsets[level] + sizes[level]]
        t, e, w = rows.ctypes.data, entries.ctypes.data, weights.ctypes.data
        for first in range(start, stop, BLOCK):
            count = min(BLOCK, stop - first)
            _corners(positions, cells[level], sizes[level], dense[level], first, count, entries, weights)
            if vectors and features == 4:
                out0, out1 = out[4 * level], out[4 * level + 1]
                out2, out3 = out[4 * level + 2], out[4 * level + 3]
                for k in range(min(AHEAD, count)):
                    _fetch4(t, e + 4 * k)
                for k in range(count):
                    _fetch4(t, e + 4 * min(k + AHEAD, count - 1))
                    a, b, c, d = _sum4(t, e + 4 * k, w + 4 * k)
                    out0[first + k] = a
                    out1[first + k] = b
                    out2[first + k] = c
                    out3[first + k] = d
            elif vectors and features == 2:
                out0, out1 = out[2 * level], out[2 * level + 1]
                for k in range(min(AHEAD, count)):
                    _fetch2(t, e + 4 * k)
                for k in range(count):
                    _fetch2(t, e + 4 * min(k + AHEAD, count - 1))
                    a, b = _sum2(t, e + 4 * k, w + 4 * k)
                    out0[first + k] = a
                    out1[first + k] = b
            else:
                for k in range(count):
                    for feature in range(features):
                        total = table.dtype.type(0)
                        for corner in range(8):
                            total += weights[corner, k] * rows[entries[corner, k], feature]
                        out[features * level + feature, first + k] = total


@kernel(
    "void(T[:,::1], T[:,::1], int64[::1], int64[::1], int64[::1], boolean[::1], T[:,::1], boolean, int64,"
    " int64)"
)
def _forward(positions, table, cells, sizes, offsets, dense, out, vectors, start, stop):
    encode_range(positions, table, cells, sizes, offsets, dense, out, vectors, start, stop)


@inline
def scatter_level(
    positions, gradient, rows, cells, size, dense, first_row, vectors, segment_start, segment_stop
):
    """Add one level's gradient to the entries [segment_start, segment_stop) of its rows."""
    features = rows.shape[1]
    entries = np.empty((8, BLOCK), np.uint32)
    weights = np.empty((8, BLOCK), rows.dtype)
    whole = vectors and segment_start == 0 and segment_stop == size
    t, e, w = rows.ctypes.data, entries.ctypes.data, weights.ctypes.data
    for first in range(0, len(positions), BLOCK):
        count = min(BLOCK, len(positions) - first)
        _corners(positions, cells, size, dense, first, count, entries, weights)
        # Samples that nothing depends on (behind surfaces) cost no memory traffic.
        if whole and features == 4:
            row0, row1 = gradient[first_row], gradient[first_row + 1]
            row2, row3 = gradient[first_row + 2], gradient[first_row + 3]
            for k in range(min(AHEAD, count)):
                _fetch4(t, e + 4 * k)
            for k in range(count):
                _fetch4(t, e + 4 * min(k + AHEAD, count - 1))
                n = first + k
                a, b, c, d = (
                    np.float32(row0[n]),
                    np.float32(row1[n]),
                    np.float32(row2[n]),
                    np.float32(row3[n]),
                )
                if a != 0 or b != 0 or c != 0 or d != 0:
                    _add4(t, e + 4 * k, w + 4 * k, (a, b, c, d))
        elif whole and features == 2:
            row0, row1 = gradient[first_row], gradient[first_row + 1]
            for k in range(min(AHEAD, count)):
                _fetch2(t, e + 4 * k)
            for k in range(count):
                _fetch2(t, e + 4 * min(k + AHEAD, count - 1))
                a, b = np.float32(row0[first + k]), np.float32(row1[first + k])
                if a != 0 or b != 0:
                    _add2(t, e + 4 * k, w + 4 * k, (a, b))
        else:
            for k in range(count):
                for corner in range(8):
                    entry, weight = entries[corner, k], weights[corner, k]
                    if entry >= segment_start and entry < segment_stop:
                        for feature in range(features):
                            rows[entry, feature] += weight * gradient[first_row + feature, first + k]


@kernel("void(T[:,::1], T[:,::1], T[:,::1], int64, int64, boolean, int64, boolean, int64, int64)")
def _scatter(positions, gradient, rows, cells, size, dense, first_row, vectors, segment_start, segment_stop):
    scatter_level(
        positions, gradient, rows, cells, size, dense, first_row, vectors, segment_start, segment_stop
    )


@inline
def slope_range(
    positions, table, gradient, cells, sizes, offsets, dense, shares, out, vectors, start, stop
):  # fmt: skip
    """Add the gradients to positions start … stop - 1, each level's times its share, to `out`.

    Args:
        gradient: (width, ·) gradients to the encoded features.
        vectors: where the table is float32.
    """
    features = table.shape[1]
    entries = np.empty((8, BLOCK), np.uint32)
    weights = np.empty((8, BLOCK), table.dtype)
    for level in range(len(cells)):
        scale = table.dtype.type(cells[level]) * shares[level]
        if scale == 0:
            continue
        rows = table[offsets[level] : offsets[level] + sizes[level]]
        t, e, w = rows.ctypes.data, entries.ctypes.data, weights.ctypes.data
        for first in range(start, stop, BLOCK):
            count = min(BLOCK, stop - first)
            _corners(positions, cells[level], sizes[level], dense[level], first, count, entries, weights)
            if vectors and features == 4:
                row0, row1 = gradient[4 * level], gradient[4 * level + 1]
                row2, row3 = gradient[4 * level + 2], gradient[4 * level + 3]
                for k in range(min(AHEAD, count)):
                    _fetch4(t, e + 4 * k)
                for k in range(count):
                    _fetch4(t, e + 4 * min(k + AHEAD, count - 1))
                    n = first + k
                    upstream = (
                        np.float32(row0[n]),
                        np.float32(row1[n]),
                        np.float32(row2[n]),
                        np.float32(row3[n]),
                    )
                    x, y, z = _slopes4(t, e + 4 * k, w + 4 * k, upstream)
                    out[n, 0] += x * scale
                    out[n, 1] += y * scale
                    out[n, 2] += z * scale
            elif vectors and features == 2:
                row0, row1 = gradient[2 * level], gradient[2 * level + 1]
                for k in range(min(AHEAD, count)):
                    _fetch2(t, e + 4 * k)
                for k in range(count):
                    _fetch2(t, e + 4 * min(k + AHEAD, count - 1))
                    n = first + k
                    x, y, z = _slopes2(t, e + 4 * k, w + 4 * k, (np.float32(row0[n]), np.float32(row1[n])))
                    out[n, 0] += x * scale
                    out[n, 1] += y * scale
                    out[n, 2] += z * scale
            else:
                for k in range(count):
                    n = first + k
                    for axis in range(3):
                        step, slope = 1 << axis, table.dtype.type(0)
                        for low in range(8):
                            if low & step == 0:
                                both = weights[low, k] + weights[low + step, k]
                                for feature in range(features):
                                    above = rows[entries[low + step, k], feature]
                                    rise = above - rows[entries[low, k], feature]
                                    slope += both * rise * gradient[features * level + feature, n]
                        out[n, axis] += slope * scale


@kernel(
    "void(T[:,::1], T[:,::1], T[:,::1], int64[::1], int64[::1], int64[::1], boolean[::1], T[::1], T[:,::1],"
    " boolean, int64, int64)"
)
def _position_gradient(
    positions, table, gradient, cells, sizes, offsets, dense, shares, out, vectors, start, stop
):  # fmt: skip
    slope_range(positions, table, gradient, cells, sizes, offsets, dense, shares, out, vectors, start, stop)


def layout(levels: HashLevels) -> tuple[np.ndarray, ...]:
    """Cells, entries and first entry of each level, and whether it is dense, as kernels take them."""
    return levels.resolutions, levels.sizes, levels.offsets, levels.dense


def encode(positions: Tensor, table: Tensor, levels: HashLevels) -> Tensor:
    """Encode (n, 3) positions; returns (levels.width, n), contiguous."""
    out = table.new_empty(levels.width, len(positions))
    rows = table.detach().numpy()
    function = _forward.compiled(rows.dtype)
    parallel.over_ranges(
        function,
        len(positions),
        positions.detach().numpy(),
        rows,
        *layout(levels),
        out.numpy(),
        rows.dtype == np.float32,
        multiple=BLOCK,
    )
    return out


def accumulate_table_gradient(positions: Tensor, gradient: Tensor, out: Tensor, levels: HashLevels) -> None:
    """Add a gradient, given as (levels.width, n) for the encoded features, to `out`, shaped as the table."""
    points, upstream, rows = positions.detach().numpy(), gradient.detach().numpy(), out.detach().numpy()
    function = _scatter.compiled(rows.dtype)
    threads = parallel.thread_count()
    segments = max(1, -(-threads // levels.levels))
    jobs = []
    for level in range(levels.levels):
        size, offset = int(levels.sizes[level]), int(levels.offsets[level])
        part = rows[offset : offset + size]
        facts = (int(levels.resolutions[level]), size, bool(levels.dense[level]), level * levels.features)
        facts = (*facts, rows.dtype == np.float32)
        for a, b in parallel.split(size, segments):
            jobs.append((points, upstream, part, *facts, a, b))
    # The finest levels take longest, since their entries are spread widest: they begin.
    parallel.run([lambda job=job: function(*job) for job in reversed(jobs)])


def position_gradient(positions: Tensor, table: Tensor, gradient: Tensor, levels: HashLevels) -> Tensor:
    """Gradient to the positions, (n, 3), from (levels.width, n) for the encoded features."""
    out = positions.new_zeros(positions.shape)
    rows = table.detach().numpy()
    parallel.over_ranges(
        _position_gradient.compiled(rows.dtype),
        len(positions),
        positions.detach().numpy(),
        rows,
        gradient.detach().numpy(),
        *layout(levels),
        np.ones(levels.levels, rows.dtype),
        out.numpy(),
        rows.dtype == np.float32,
        multiple=BLOCK,
    )
    # Clamping hides what lies outside.
    return out.masked_fill_((positions < 0) | (positions > 1), 0)
