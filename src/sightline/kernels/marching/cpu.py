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
from sightline.kernels.occupancy import summarise
from sightline.kernels.occupancy.marks import mark_place
from sightline.kernels.occupancy.reference import BLOCK
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
def from_cube_gradient(x, y, z, gx, gy, gz, contracted):
    """Gradient to a point of the model frame, of one to its point in the unit cube; see `to_cube`."""
    one, half, quarter = np.float32(1), np.float32(0.5), np.float32(0.25)
    if not contracted:
        return gx * half, gy * half, gz * half
    ax, ay, az = abs(x), abs(y), abs(z)
    norm = max(ax, max(ay, az))
    if norm > one:
        inverse = one / norm
        # The largest coordinate k becomes ±(2 - 1/|k|), the others are divided by |k|.
        square = inverse * inverse
        if ax >= norm:
            across = (gy * y + gz * z) * square
            gx, gy, gz = gx * square - (across if x > 0 else -across), gy * inverse, gz * inverse
        elif ay >= norm:
            across = (gx * x + gz * z) * square
            gx, gy, gz = gx * inverse, gy * square - (across if y > 0 else -across), gz * inverse
        else:
            across = (gx * x + gy * y) * square
            gx, gy, gz = gx * inverse, gy * inverse, gz * square - (across if z > 0 else -across)
    return gx * quarter, gy * quarter, gz * quarter


@inline
def _slab(o, d, reach):
    """Distances at which a ray enters and leaves a slab, and the inverse of its direction."""
    safe = d if abs(d) >= np.float32(1e-12) else np.float32(1e-12)
    a, b = (-reach - o) / safe, (reach - o) / safe
    return min(a, b), max(a, b), np.float32(1) / safe


@inline
def _is_marked(marks, i, j, k):
    word, bit = mark_place(i, j, k)
    return marks[word] & bit != 0


@inline
def _cell(x, cells, top):
    return min(max(np.int32(x * cells), np.int32(0)), top)


@inline
def _block_walk(o, d, inverse, enter, block_size, blocks):
    """First block of a ray along an axis, its direction, the distance at its end, and from end to end."""
    place = (o + enter * d + np.float32(1)) / block_size
    block = min(max(np.int32(place), np.int32(0)), blocks - np.int32(1))
    way = np.int32(1) if inverse > np.float32(0) else np.int32(-1)
    edge = np.float32(block + (np.int32(1) if way > 0 else np.int32(0)))
    return block, way, (edge * block_size - np.float32(1) - o) * inverse, block_size * abs(inverse)


@inline
def _march_box(
    ox, oy, oz, dx, dy, dz, vx, vy, vz, enter, end, grid, coarse, marks, step, threshold, largest, least,
    max_bins, starts, ends, opacities, write,
):  # fmt: skip
    """Bins of equal length, through blocks of the box one after the other (Amanatides and Woo 1987)."""
    one, half = np.float32(1), np.float32(0.5)
    cells, top = np.float32(grid.shape[0]), np.int32(grid.shape[0] - 1)
    block_size, blocks = np.float32(2 * BLOCK) / cells, np.int32(coarse.shape[0])
    i, way_i, next_x, across_x = _block_walk(ox, dx, vx, enter, block_size, blocks)
    j, way_j, next_y, across_y = _block_walk(oy, dy, vy, enter, block_size, blocks)
    k, way_k, next_z, across_z = _block_walk(oz, dz, vz, enter, block_size, blocks)
    per_step = one / step
    zero, nothing = np.int32(0), np.float32(0)
    light, t, done = one, enter, 0
    while t < end and light >= least:
        leave = min(min(next_x, next_y), min(next_z, end))
        if coarse[k, j, i] > threshold:
            # Bins whose middle lies in the block, and one more on either side for rounding.
            first = max(done, np.int64((t - enter) * per_step - half))
            done = min(np.int64((leave - enter) * per_step + half) + 1, max_bins)
            for n in range(first, done):
                start = enter + np.float32(n) * step
                if start >= end or light < least:
                    break
                stop = min(enter + np.float32(n + 1) * step, end)
                middle = (start + stop) * half
                x = _cell((ox + middle * dx + one) * half, cells, top)
                y = _cell((oy + middle * dy + one) * half, cells, top)
                z = _cell((oz + middle * dz + one) * half, cells, top)
                if _is_marked(marks, x, y, z):
                    opacity = grid[z, y, x]
                    starts[write], ends[write], opacities[write] = start, stop, opacity
                    light *= one - min(opacity, largest)
                    write += 1
        # Selections, not branches: which way a ray leaves cannot be predicted.
        in_x = (next_x <= next_y) & (next_x <= next_z)
        in_y = (next_y <= next_z) & (not in_x)
        in_z = not (in_x or in_y)
        i += way_i if in_x else zero
        j += way_j if in_y else zero
        k += way_k if in_z else zero
        next_x += across_x if in_x else nothing
        next_y += across_y if in_y else nothing
        next_z += across_z if in_z else nothing
        if min(min(i, j), k) < 0 or max(max(i, j), k) >= blocks:
            break
        t = leave
    return write


@inline
def _march_space(
    ox, oy, oz, dx, dy, dz, enter, end, grid, coarse, marks, step, threshold, largest, least, max_bins,
    starts, ends, opacities, write,
):  # fmt: skip
    """Bins through contracted space, which grow outside the box."""
    one, half = np.float32(1), np.float32(0.5)
    cells, top = np.float32(grid.shape[0]), np.int32(grid.shape[0] - 1)
    bins, t, light = 0, enter, one
    while t < end and bins < max_bins and light >= least:
        bins += 1
        radius = max(one, max(abs(ox + t * dx), max(abs(oy + t * dy), abs(oz + t * dz))))
        stop = min(t + step * (radius * radius), end)
        middle = (t + stop) * half
        x, y, z = to_cube(ox + middle * dx, oy + middle * dy, oz + middle * dz, True)
        i, j, k = _cell(x, cells, top), _cell(y, cells, top), _cell(z, cells, top)
        if _is_marked(marks, i, j, k):
            opacity = grid[k, j, i]
            starts[write], ends[write], opacities[write] = t, stop, opacity
            light *= one - min(opacity, largest)
            write += 1
        t = stop
    return write


@inline
def march_ray(
    ox, oy, oz, dx, dy, dz, grid, coarse, marks, contracted, step, near, far, threshold, largest, least,
    max_bins, starts, ends, opacities, write,
):  # fmt: skip
    """Write the bins of one ray that hold matter from position `write` on; gives the position after them."""
    reach = far if contracted else np.float32(1)
    ax, bx, vx = _slab(ox, dx, reach)
    ay, by, vy = _slab(oy, dy, reach)
    az, bz, vz = _slab(oz, dz, reach)
    enter = max(near, max(ax, max(ay, az)))
    end = min(bx, min(by, bz))
    if enter >= end:
        return write
    if contracted:
        return _march_space(
            ox, oy, oz, dx, dy, dz, enter, end, grid, coarse, marks, step, threshold, largest, least,
            max_bins, starts, ends, opacities, write,
        )  # fmt: skip
    return _march_box(
        ox, oy, oz, dx, dy, dz, vx, vy, vz, enter, end, grid, coarse, marks, step, threshold, largest, least,
        max_bins, starts, ends, opacities, write,
    )  # fmt: skip


@kernel(
    "void(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1], uint64[:,:,::1], boolean,"
    " float32, float32, float32, float32, float32, float32, int64, float32[::1], float32[::1], float32[::1],"
    " int64[::1], int64, int64)"
)
def _march(
    origins, directions, grid, coarse, marks, contracted, step, near, far, threshold, largest, least,
    max_bins, starts, ends, opacities, counts, first, last,
):  # fmt: skip
    write = first * max_bins
    for ray in range(first, last):
        after = march_ray(
            origins[ray, 0], origins[ray, 1], origins[ray, 2],
            directions[ray, 0], directions[ray, 1], directions[ray, 2],
            grid, coarse, marks, contracted, step, near, far, threshold, largest, least, max_bins,
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


def grid_arrays(
    grid: Tensor, coarse: Tensor | None, marks: Tensor | None, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grid with its maxima and marks as kernels take them; what is not given is found."""
    if coarse is None or marks is None:
        coarse, marks = summarise(grid, threshold)
    return (
        grid.float().contiguous().numpy(),
        coarse.float().contiguous().numpy(),
        marks.numpy().view(np.uint64),
    )


def march(
    origins: Tensor,
    directions: Tensor,
    grid: Tensor,
    coarse: Tensor | None,
    settings: MarchSettings,
    marks: Tensor | None,
) -> tuple[Intervals, Tensor]:
    """Find the bins with matter; see `sightline.kernels.marching.march`."""
    rays = len(origins)
    capacity = rays * settings.max_bins
    # Untouched pages of these are never given memory by the operating system.
    starts, ends, opacities = (np.empty(capacity, np.float32) for _ in range(3))
    counts = np.zeros(rays, np.int64)
    ranges = parallel.split(rays, parallel.part_count(rays, 128))
    arrays = [t.float().contiguous().numpy() for t in (origins, directions)]
    fixed = (*arrays, *grid_arrays(grid, coarse, marks, settings.threshold), *march_numbers(settings))
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
