"""Reading maps of features in Numba, for channels that lie side by side: a cell is a vector, read whole."""

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import FAST_REDUCTION, kernel
from sightline.kernels.formats import as_array, like, load

_ROWS = 64
"""least number of points that a thread is given"""


@kernel("void(float32[:,::1], int64, int64, boolean, int32[:,::1], float32[:,::1], int64, int64)")
def _locate(places, height, width, border, cells, shares, first, last):
    """Find the four cells around places (column, row), and their shares."""
    for n in range(first, last):
        x, y = places[n, 0], places[n, 1]
        if border:
            # What is no number is kept so, and so are its shares.
            x = min(max(x, np.float32(0)), np.float32(width - 1)) if x == x else x
            y = min(max(y, np.float32(0)), np.float32(height - 1)) if y == y else y
        inside = -1 < x < width and -1 < y < height
        left, top = (np.int64(np.floor(x)), np.int64(np.floor(y))) if inside else (np.int64(0), np.int64(0))
        for k in range(4):
            column, row = left + (k & 1), top + (k >> 1)
            across = x - left if k & 1 else 1 - (x - left)
            down = y - top if k >> 1 else 1 - (y - top)
            within = inside and 0 <= column < width and 0 <= row < height
            share = np.float32(across * down) if within else np.float32(0)
            shares[n, k] = share if x == x and y == y else np.float32(np.nan)
            cells[n, k] = row * width + column if within else 0


@kernel(
    "void(T[:,:,::1], int32[:,::1], float32[:,::1], int64, boolean, float32[:,::1], T[:,::1], T[:,::1],"
    "int64, int64)"
)
def _add(maps, cells, shares, begin, fresh, state, added, active, first, last):
    """Read channels from `begin` on, add them and `added` to the state, and rectify a copy of it."""
    width = state.shape[1]
    per_map = len(state) // len(maps)
    for n in range(first, last):
        m = n // per_map
        a, b, c, d = cells[n, 0], cells[n, 1], cells[n, 2], cells[n, 3]
        sa, sb, sc, sd = shares[n, 0], shares[n, 1], shares[n, 2], shares[n, 3]
        # Slices, and a loop for each array that is written: so the compiler sees that it may use vectors.
        at_a, at_b = maps[m, a, begin : begin + width], maps[m, b, begin : begin + width]
        at_c, at_d = maps[m, c, begin : begin + width], maps[m, d, begin : begin + width]
        row, more = state[n], added[n]
        if fresh:
            for k in range(width):
                row[k] = np.float32(0)
        for k in range(width):
            value = sa * load(at_a[k]) + sb * load(at_b[k])
            value += sc * load(at_c[k]) + sd * load(at_d[k])
            row[k] += value + load(more[k])
        for k in range(width):
            active[n, k] = like(active[n, k], row[k] if row[k] > 0 else row[k] * np.float32(0))


@kernel("void(float32[:,::1], T[:,::1], T[:,::1], int64, int64)")
def _add_plain(state, added, active, first, last):
    """Add to the state, and rectify a copy of it."""
    for n in range(first, last):
        for k in range(state.shape[1]):
            value = state[n, k] + load(added[n, k])
            state[n, k] = value
            active[n, k] = like(active[n, k], value if value > 0 else value * np.float32(0))


@kernel("void(T[:,:,::1], int32[:,::1], float32[:,::1], T[:,::1], int64, int64)")
def _read(maps, cells, shares, out, first, last):
    """Read all channels."""
    per_map = len(out) // len(maps)
    for n in range(first, last):
        m = n // per_map
        a, b, c, d = cells[n, 0], cells[n, 1], cells[n, 2], cells[n, 3]
        sa, sb, sc, sd = shares[n, 0], shares[n, 1], shares[n, 2], shares[n, 3]
        for k in range(out.shape[1]):
            value = sa * load(maps[m, a, k]) + sb * load(maps[m, b, k])
            value += sc * load(maps[m, c, k]) + sd * load(maps[m, d, k])
            out[n, k] = like(out[n, k], value)


@kernel("void(T[:,::1], int32[:,::1], float32[:,::1], float32[:,:,::1], int64, int64)")
def _share_out(upstream, cells, shares, out, first, last):
    """Add the gradient of points to the cells that they were read from, in some of the channels."""
    points, per_map = len(upstream), len(upstream) // len(out)
    for n in range(points):
        m = n // per_map
        for corner in range(4):
            share, cell = shares[n, corner], cells[n, corner]
            if share != 0:
                to, given = out[m, cell, first:last], upstream[n, first:last]
                for k in range(len(to)):
                    to[k] += share * load(given[k])


@kernel("void(T[:,:,::1], int32[:,::1], T[:,::1], float32[:,::1], int64, int64)", FAST_REDUCTION)
def _to_shares(maps, cells, upstream, out, first, last):
    """Gradient of the shares: the product of the cells' features with that of the point."""
    per_map = len(upstream) // len(maps)
    for n in range(first, last):
        m = n // per_map
        for corner in range(4):
            cell, total = cells[n, corner], np.float32(0)
            for k in range(upstream.shape[1]):
                total += load(maps[m, cell, k]) * load(upstream[n, k])
            out[n, corner] = total


def locate(places: Tensor, height: int, width: int, border: bool, cells: Tensor, shares: Tensor) -> None:
    """Write cells (n, 4) int32 and shares (n, 4) float32 of places (n, 2) float32."""
    arrays = places.detach().numpy(), height, width, border, cells.numpy(), shares.numpy()
    parallel.over_ranges(_locate.compiled(), len(places), *arrays)


def add(
    maps: Tensor,
    cells: Tensor,
    shares: Tensor,
    begin: int,
    fresh: bool,
    state: Tensor,
    added: Tensor,
    active: Tensor,
) -> None:
    """Write state (n, width) float32 and active (n, width); each of m maps serves n / m rows."""
    maps_, added_, active_ = as_array(maps), as_array(added), as_array(active)
    arrays = maps_, cells.numpy(), shares.numpy(), begin, fresh, state.numpy(), added_, active_
    parallel.over_ranges(_add.compiled(maps_.dtype), len(state), *arrays, least=_ROWS)


def add_plain(state: Tensor, added: Tensor, active: Tensor) -> None:
    """Write state (n, width) float32 and active (n, width)."""
    arrays = state.numpy(), as_array(added), as_array(active)
    parallel.over_ranges(_add_plain.compiled(arrays[1].dtype), len(state), *arrays, least=_ROWS)


def read(maps: Tensor, cells: Tensor, shares: Tensor, out: Tensor) -> None:
    """Write out (n, channels)."""
    arrays = as_array(maps), cells.numpy(), shares.numpy(), as_array(out)
    parallel.over_ranges(_read.compiled(arrays[0].dtype), len(out), *arrays, least=_ROWS)


def share_out(upstream: Tensor, cells: Tensor, shares: Tensor, out: Tensor) -> None:
    """Add to out (m, cells, channels) float32; each thread has its own channels, so that sums keep order."""
    arrays = as_array(upstream), cells.numpy(), shares.numpy(), out.numpy()
    work = _share_out.compiled(arrays[0].dtype)
    parallel.over_ranges(work, upstream.shape[1], *arrays, multiple=32, least=32)


def to_shares(maps: Tensor, cells: Tensor, upstream: Tensor, out: Tensor) -> None:
    """Write the gradient (n, 4) of shares, float32."""
    arrays = as_array(maps), cells.numpy(), as_array(upstream), out.numpy()
    parallel.over_ranges(_to_shares.compiled(arrays[0].dtype), len(upstream), *arrays, least=_ROWS)
