"""Ray marching through a opacity grid in Numba.

A coarse grid of block maxima is asked first: in a block without matter the ray steps on without touching the
fine grid, which does not fit into the first-level cache.
"""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.marching.grid import MarchSettings
from sightline.kernels.occupancy.reference import BLOCK, SHIFT
from sightline.kernels.packed import Intervals, Samples, offsets_from_counts


@inline
def to_cube(x, y, z, contracted):
    """The point in the unit cube that the grid covers."""
    one, half = np.float32(1), np.float32(0.5)
    if not contracted:
        return (x + one) * half, (y + one) * half, (z + one) * half
    ax, ay, az = abs(x), abs(y), abs(z)
    norm = max(ax, max(ay, az))
    if norm > one:
        inverse = one / norm
        stretch = np.float32(2) - inverse
        sx, sy, sz = x * inverse, y * inverse, z * inverse
        if ax >= norm:
            sx *= stretch
        if ay >= norm:
            sy *= stretch
        if az >= norm:
            sz *= stretch
        x, y, z = sx, sy, sz
    quarter = np.float32(0.25)
    return (x + np.float32(2)) * quarter, (y + np.float32(2)) * quarter, (z + np.float32(2)) * quarter


@inline
def _slab(o, d, reach):
    """Distances at which a ray enters and leaves a slab, and the inverse of its direction."""
    safe = d if abs(d) >= np.float32(1e-12) else np.float32(1e-12)
    a, b = (-reach - o) / safe, (reach - o) / safe
    return min(a, b), max(a, b), np.float32(1) / safe


@inline
def _leave(o, inverse, block, size):
    """Distance at which a ray leaves a block of cells along one axis of the box [-1, 1]."""
    upper = np.float32(block + 1) if inverse > np.float32(0) else np.float32(block)
    return (upper * size - np.float32(1) - o) * inverse


@inline
def march_ray(
    ox, oy, oz, dx, dy, dz, grid, coarse, contracted, step, near, far, threshold, largest, least, max_bins,
    starts, ends, opacities, write,
):  # fmt: skip
    """Write the bins of one ray that hold matter from position `write` on; gives the position after them."""
    side = grid.shape[0]
    cells = np.float32(side)
    half, one = np.float32(0.5), np.float32(1)
    zero, top = np.int32(0), np.int32(side - 1)
    reach = far if contracted else one
    size = np.float32(2 * BLOCK) / cells
    per_step = one / step
    ax, bx, vx = _slab(ox, dx, reach)
    ay, by, vy = _slab(oy, dy, reach)
    az, bz, vz = _slab(oz, dz, reach)
    enter = max(near, max(ax, max(ay, az)))
    end = min(bx, min(by, bz))
    bins = 0
    t, light = enter, one
    while t < end and bins < max_bins and light >= least:
        bins += 1
        if contracted:
            radius = max(one, max(abs(ox + t * dx), max(abs(oy + t * dy), abs(oz + t * dz))))
            stop = min(t + step * (radius * radius), end)
        else:
            stop = min(enter + np.float32(bins) * step, end)
        middle = (t + stop) * half
        x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
        x, y, z = to_cube(x, y, z, contracted)
        i = min(max(np.int32(x * cells), zero), top)
        j = min(max(np.int32(y * cells), zero), top)
        k = min(max(np.int32(z * cells), zero), top)
        a, b, c = k >> SHIFT, j >> SHIFT, i >> SHIFT
        if coarse[a, b, c] > threshold:
            opacity = grid[k, j, i]
            if opacity > threshold:
                starts[write] = t
                ends[write] = stop
                opacities[write] = opacity
                light *= one - min(opacity, largest)
                write += 1
        elif not contracted:
            # Bins whose middles lie in this empty block are passed over. One too few is no harm.
            leave = _leave(ox, vx, c, size)
            leave = min(leave, min(_leave(oy, vy, b, size), _leave(oz, vz, a, size)))
            jump = np.int64((min(leave, end) - enter) * per_step - half)
            if jump > bins:
                bins = jump
                stop = min(enter + np.float32(bins) * step, end)
        t = stop
    return write


@kernel(
    "void(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1], boolean, float32, float32,"
    " float32, float32, float32, float32, int64, float32[::1], float32[::1], float32[::1], int64[::1], int64,"
    " int64)"
)
def _march(
    origins, directions, grid, coarse, contracted, step, near, far, threshold, largest, least,
    max_bins, starts, ends, opacities, counts, first, last,
):  # fmt: skip
    write = first * max_bins
    for ray in range(first, last):
        after = march_ray(
            origins[ray, 0], origins[ray, 1], origins[ray, 2],
            directions[ray, 0], directions[ray, 1], directions[ray, 2],
            grid, coarse, contracted, step, near, far, threshold, largest, least, max_bins,
            starts, ends, opacities, write,
        )  # fmt: skip
        counts[ray] = after - write
        write = after


@kernel(
    "void(float32[:,::1], float32[:,::1], int64[::1], float32[::1], boolean, float32[:,::1], int64, int64)"
)
def _locate(origins, directions, indices, distances, contracted, out, first, last):
    for n in range(first, last):
        ray, t = indices[n], distances[n]
        x = origins[ray, 0] + t * directions[ray, 0]
        y = origins[ray, 1] + t * directions[ray, 1]
        z = origins[ray, 2] + t * directions[ray, 2]
        out[n, 0], out[n, 1], out[n, 2] = to_cube(x, y, z, contracted)


def locate(origins: Tensor, directions: Tensor, samples: Samples, contracted: bool) -> Tensor:
    """Unit-cube points of samples; see `sightline.kernels.marching.locate`."""
    out = torch.empty(len(samples), 3)
    arrays = (origins, directions, samples.ray_indices, samples.distances)
    inputs = [t.contiguous().numpy() for t in arrays]
    parallel.over_ranges(_locate.compiled(), len(samples), *inputs, contracted, out.numpy(), least=4096)
    return out


def march_numbers(settings: MarchSettings) -> tuple:
    """The settings in the order in which kernels take them."""
    numbers = (settings.step, settings.near, settings.far, settings.threshold, settings.largest)
    numbers = [np.float32(v) for v in (*numbers, settings.least_transmittance)]
    return settings.contracted, *numbers, settings.max_bins


def march(
    origins: Tensor, directions: Tensor, grid: Tensor, coarse: Tensor, settings: MarchSettings
) -> tuple[Intervals, Tensor]:
    """Find the bins with matter; see `sightline.kernels.marching.march`."""
    rays = len(origins)
    capacity = rays * settings.max_bins
    # Untouched pages of these are never given memory by the operating system.
    starts, ends, opacities = (np.empty(capacity, np.float32) for _ in range(3))
    counts = np.zeros(rays, np.int64)
    ranges = parallel.split(rays, parallel.part_count(rays, 128))
    arrays = [t.float().contiguous().numpy() for t in (origins, directions, grid, coarse)]
    fixed = (*arrays, *march_numbers(settings))
    function = _march.compiled()
    if ranges:
        parallel.run(
            [lambda a=a, b=b: function(*fixed, starts, ends, opacities, counts, a, b) for a, b in ranges]
        )
    pieces = [(a * settings.max_bins, a * settings.max_bins + int(counts[a:b].sum())) for a, b in ranges]

    def joined(column: np.ndarray) -> Tensor:
        parts = [column[a:b] for a, b in pieces]
        return torch.from_numpy(np.concatenate(parts) if parts else np.empty(0, np.float32))

    offsets = offsets_from_counts(torch.from_numpy(counts))
    return Intervals(offsets, joined(starts), joined(ends)), joined(opacities)
