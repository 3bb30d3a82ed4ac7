"""Ray marching through a density grid in Numba.

A coarse grid of block maxima is asked first: in a block without matter the ray steps on without touching the fine grid,
which does not fit into the first-level cache.
"""

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.marching.grid import MarchSettings
from sightline.kernels.packed import Intervals, offsets_from_counts

BLOCK = 8


@inline
def _contract(x, y, z):
    """The point in the unit cube, for contracted space."""
    one = np.float32(1)
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
    safe = d if abs(d) >= np.float32(1e-12) else np.float32(1e-12)
    a, b = (-reach - o) / safe, (reach - o) / safe
    return min(a, b), max(a, b)


@kernel(
    "void(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1], boolean, float32, float32, float32,"
    " float32, int64, float32[::1], float32[::1], float32[::1], int64[::1], int64, int64)"
)
def _march(
    origins, directions, grid, coarse, contracted, step, near, far, threshold, max_bins, starts, ends, densities, counts,
    first, last,
):  # fmt: skip
    side = grid.shape[0]
    cells = np.float32(side)
    half, one = np.float32(0.5), np.float32(1)
    top = np.int64(side - 1)
    write = first * max_bins
    reach = far if contracted else one
    for ray in range(first, last):
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        ax, bx = _slab(ox, dx, reach)
        ay, by = _slab(oy, dy, reach)
        az, bz = _slab(oz, dz, reach)
        t = max(near, max(ax, max(ay, az)))
        end = min(bx, min(by, bz))
        begin = write
        bins = 0
        while t < end and bins < max_bins:
            length = step
            if contracted:
                radius = max(abs(ox + t * dx), max(abs(oy + t * dy), abs(oz + t * dz)))
                if radius > one:
                    length = step * radius * radius
            stop = min(t + length, end)
            bins += 1
            middle = (t + stop) * half
            x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
            if contracted:
                x, y, z = _contract(x, y, z)
            else:
                x, y, z = (x + one) * half, (y + one) * half, (z + one) * half
            i = min(max(np.int64(x * cells), 0), top)
            j = min(max(np.int64(y * cells), 0), top)
            k = min(max(np.int64(z * cells), 0), top)
            size = stop - t
            if coarse[k // BLOCK, j // BLOCK, i // BLOCK] * size > threshold:
                density = grid[k, j, i]
                if density * size > threshold:
                    starts[write] = t
                    ends[write] = stop
                    densities[write] = density
                    write += 1
            t = stop
        counts[ray] = write - begin


def coarsen(grid: Tensor) -> Tensor:
    """Largest density in each block of the grid."""
    return torch.nn.functional.max_pool3d(grid[None, None], BLOCK, ceil_mode=True)[0, 0].contiguous()


def march(
    origins: Tensor, directions: Tensor, grid: Tensor, settings: MarchSettings
) -> tuple[Intervals, Tensor]:
    """Find the bins with matter; see `sightline.kernels.marching.march`."""
    rays = len(origins)
    capacity = rays * settings.max_bins
    # Untouched pages of these are never given memory by the operating system.
    starts, ends, densities = (np.empty(capacity, np.float32) for _ in range(3))
    counts = np.zeros(rays, np.int64)
    ranges = parallel.split(rays, max(1, min(parallel.thread_count(), rays // 64)))
    fixed = (
        origins.float().contiguous().numpy(),
        directions.float().contiguous().numpy(),
        grid.float().contiguous().numpy(),
        coarsen(grid.float()).numpy(),
        settings.contracted,
        *(np.float32(v) for v in (settings.step, settings.near, settings.far, settings.threshold)),
        settings.max_bins,
    )
    function = _march.compiled()
    if ranges:
        parallel.run(
            [lambda a=a, b=b: function(*fixed, starts, ends, densities, counts, a, b) for a, b in ranges]
        )
    pieces = [(a * settings.max_bins, a * settings.max_bins + int(counts[a:b].sum())) for a, b in ranges]

    def joined(column: np.ndarray) -> Tensor:
        parts = [column[a:b] for a, b in pieces]
        return torch.from_numpy(np.concatenate(parts) if parts else np.empty(0, np.float32))

    offsets = offsets_from_counts(torch.from_numpy(counts))
    return Intervals(offsets, joined(starts), joined(ends)), joined(densities)
