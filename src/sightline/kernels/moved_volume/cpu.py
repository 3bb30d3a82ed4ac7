"""Moving a volume in Numba, for channels that lie side by side: a voxel is a vector, read whole.

Places along a row follow from its first one and a step, in float64: they cost little beside the channels."""

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.formats import as_array, like, load


@inline
def _begin(motion, axis, z, y, sides):
    """Where the first voxel of a row is read, in voxels along an axis, and how far on each next one is."""
    half = sides[axis] * 0.5
    pz, py = (2 * z + 1) / sides[0] - 1.0, (2 * y + 1) / sides[1] - 1.0
    step = motion[axis, 2] * 2.0 / sides[2]
    middle = motion[axis, 0] * pz + motion[axis, 1] * py - np.float64(motion[axis, 2]) + motion[axis, 3]
    return (middle + 1.0 + 0.5 * step) * half - 0.5, step * half


@inline
def _row(motion, z, y, sides):
    """As `_begin`, along all axes."""
    z_at, z_step = _begin(motion, 0, z, y, sides)
    y_at, y_step = _begin(motion, 1, z, y, sides)
    x_at, x_step = _begin(motion, 2, z, y, sides)
    return (z_at, y_at, x_at), (z_step, y_step, x_step)


@inline
def _inside(zs, ys, xs, sides):
    """Say whether anything is near a place; there is nothing at places that are no numbers."""
    return -1 < zs < sides[0] and -1 < ys < sides[1] and -1 < xs < sides[2]


@inline
def _split(at, side):
    """The voxels before and after a place along an axis, and their shares; one that is outside has none."""
    low = np.int64(np.floor(at))
    after = at - low
    before = 1 - after if low >= 0 else 0.0
    after = after if low + 1 < side else 0.0
    return max(low, 0), min(low + 1, side - 1), np.float32(before), np.float32(after)


@inline
def _around(zs, ys, xs, sides):
    """The four rows of voxels around a place and their shares, and its two columns and theirs."""
    z0, z1, wz0, wz1 = _split(zs, sides[0])
    y0, y1, wy0, wy1 = _split(ys, sides[1])
    x0, x1, wx0, wx1 = _split(xs, sides[2])
    rows, columns = sides[1], sides[2]
    low, high = z0 * rows, z1 * rows
    starts = (low + y0) * columns, (low + y1) * columns, (high + y0) * columns, (high + y1) * columns
    return starts, (wz0 * wy0, wz0 * wy1, wz1 * wy0, wz1 * wy1), (x0, x1), (wx0, wx1)


@kernel("void(T[:,:,::1], float32[:,:,::1], int64[::1], T[:,:,::1], int64, int64)")
def _move(volumes, motions, sides, out, first, last):
    """Read slices; they are counted over all motions."""
    channels, rows, columns = out.shape[2], sides[1], sides[2]
    for task in range(first, last):
        n, z = task // sides[0], task % sides[0]
        m = min(n, len(volumes) - 1)
        for y in range(rows):
            begin, step = _row(motions[n], z, y, sides)
            for x in range(columns):
                here = (z * rows + y) * columns + x
                zs, ys, xs = begin[0] + x * step[0], begin[1] + x * step[1], begin[2] + x * step[2]
                if not _inside(zs, ys, xs, sides):
                    for c in range(channels):
                        out[n, here, c] = 0
                    continue
                (a, b, d, e), (wa, wb, wd, we), (x0, x1), (wx0, wx1) = _around(zs, ys, xs, sides)
                for c in range(channels):
                    left = wa * load(volumes[m, a + x0, c]) + wb * load(volumes[m, b + x0, c])
                    left += wd * load(volumes[m, d + x0, c]) + we * load(volumes[m, e + x0, c])
                    right = wa * load(volumes[m, a + x1, c]) + wb * load(volumes[m, b + x1, c])
                    right += wd * load(volumes[m, d + x1, c]) + we * load(volumes[m, e + x1, c])
                    out[n, here, c] = like(out[n, here, c], wx0 * left + wx1 * right)


@inline
def _add(out, n, place, share, upstream, here):
    if share != 0:
        for c in range(out.shape[2]):
            out[n, place, c] += share * load(upstream[n, here, c])


@kernel("void(T[:,:,::1], float32[:,:,::1], int64[::1], float32[:,:,::1], int64, int64)")
def _move_back(upstream, motions, sides, out, first, last):
    """Share the gradient of each voxel out to those that it was read from; volumes are counted."""
    rows, columns = sides[1], sides[2]
    for n in range(first, last):
        out[n] = 0
        for z in range(sides[0]):
            for y in range(rows):
                begin, step = _row(motions[n], z, y, sides)
                for x in range(columns):
                    here = (z * rows + y) * columns + x
                    zs, ys, xs = begin[0] + x * step[0], begin[1] + x * step[1], begin[2] + x * step[2]
                    if not _inside(zs, ys, xs, sides):
                        continue
                    starts, shares, ends, parts = _around(zs, ys, xs, sides)
                    for k in range(4):
                        for m in range(2):
                            _add(out, n, starts[k] + ends[m], shares[k] * parts[m], upstream, here)


def forward(volumes: Tensor, motions: Tensor, sides: tuple[int, ...], out: Tensor) -> None:
    """Write volumes (n, voxels, channels), of one volume or n, moved by n motions."""
    arrays = as_array(volumes), motions.numpy(), np.asarray(sides), as_array(out)
    work = _move.compiled(arrays[0].dtype)
    parallel.over_ranges(work, len(motions) * sides[0], *arrays, least=1)


def backward(upstream: Tensor, motions: Tensor, sides: tuple[int, ...], out: Tensor) -> None:
    """Write the gradient to n volumes (n, voxels, channels), float32."""
    arrays = as_array(upstream), motions.numpy(), np.asarray(sides), out.numpy()
    work = _move_back.compiled(arrays[0].dtype)
    parallel.over_ranges(work, len(motions), *arrays, least=1)
