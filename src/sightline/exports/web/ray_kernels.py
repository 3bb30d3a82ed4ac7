"""Kernels over rays through sparse voxels: which points they see, what they see, how to see better."""

import numpy as np

from sightline.exports.web.marching import MOST_SAMPLES, MOST_VISITS, depth_slope, walk
from sightline.exports.web.shading import add_to_halves, add_to_points, add_visits, harmonics, shines
from sightline.kernels.compiling import kernel

_F = np.float32
_TREE = "int32[:,:,::1], int32[:,::1], float32[:,::1]"
_WALK = "boolean, float32, float32, float32, float32, float32"
_RAYS = "float32[:,::1], float32[:,::1]"


@kernel(f"void({_RAYS}, {_TREE}, {_WALK}, float32[::1], int32[::1], int64, int64)")
def score(
    origins, directions, slots, corners, values, contracted, near, far, density, stride, phase, out, who,
    first, last,
):  # fmt: skip
    """Largest weight with which any of the rays sees each point, (points,), and which ray that is."""
    visits, places = np.empty((MOST_VISITS, 3), np.int32), np.empty((MOST_VISITS, 5), np.float32)
    samples = np.empty((MOST_SAMPLES, 7), np.float32)
    for ray in range(first, last):
        count, _, _ = walk(
            origins[ray, 0], origins[ray, 1], origins[ray, 2],
            directions[ray, 0], directions[ray, 1], directions[ray, 2],
            slots, corners, values, contracted, near, far, density, stride, phase, visits, places, samples,
        )  # fmt: skip
        for v in range(count):
            slot = visits[v, 0]
            for n in range(visits[v, 1], visits[v, 2]):
                row = samples[n]
                i, j, k = min(int(row[0]), 3), min(int(row[1]), 3), min(int(row[2]), 3)
                fx, fy, fz = row[0] - _F(i), row[1] - _F(j), row[2] - _F(k)
                for c in range(8):
                    a, b, d = c & 1, (c >> 1) & 1, c >> 2
                    point = corners[slot, ((k + d) * 5 + j + b) * 5 + i + a]
                    if point >= 0:
                        part = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy)
                        part *= (fz if d else _F(1) - fz) * row[5]
                        if part > out[point]:
                            out[point], who[point] = part, ray


@kernel(
    f"void({_RAYS}, {_TREE}, float32[:,::1], int32[:,::1], float32[:,::1], {_WALK}, float32[:,::1],"
    " int64, int64)"
)
def show(
    origins, directions, slots, corners, values, fills, halves, residual, contracted, near, far, density,
    stride, phase, out, first, last,
):  # fmt: skip
    """Colour without background, light that is left, and sum of weight times t of rays, (rays, 5)."""
    visits, places = np.empty((MOST_VISITS, 3), np.int32), np.empty((MOST_VISITS, 5), np.float32)
    samples = np.empty((MOST_SAMPLES, 7), np.float32)
    colours, sheens = np.empty((MOST_SAMPLES, 3), np.float32), np.empty((MOST_VISITS, 3), np.float32)
    basis = np.empty(residual.shape[1] // 3, np.float32)
    for ray in range(first, last):
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        count, _, light = walk(
            origins[ray, 0], origins[ray, 1], origins[ray, 2], dx, dy, dz,
            slots, corners, values, contracted, near, far, density, stride, phase, visits, places, samples,
        )  # fmt: skip
        harmonics(dx, dy, dz, basis)
        out[ray] = _F(0)
        add_visits(
            values, corners, fills, halves, residual, count, visits, places, samples, basis, colours, sheens,
            out[ray],
        )  # fmt: skip
        out[ray, 3] = light
        for v in range(count):
            out[ray, 4] += places[v, 3] * places[v, 4]


@kernel(
    f"void({_RAYS}, float32[:,::1], float32[:,::1], {_TREE}, float32[:,::1], int32[:,::1], float32[:,::1],"
    f" {_WALK}, float32, float32[:,::1], float32[:,::1], float64[::1], int64, int64)"
)
def learn(
    origins, directions, targets, behind, slots, corners, values, fills, halves, residual, contracted, near,
    far, density, stride, phase, factor, to_values, to_residual, loss, first, last,
):  # fmt: skip
    """Add the gradients of `factor` times the rays' squared errors; `loss[0]` grows by the errors.

    Where within a block the change of its colour is looked up counts as fixed.
    """
    visits, places = np.empty((MOST_VISITS, 3), np.int32), np.empty((MOST_VISITS, 5), np.float32)
    samples = np.empty((MOST_SAMPLES, 7), np.float32)
    colours = np.empty((MOST_SAMPLES, 3), np.float32)
    sheens = np.empty((MOST_VISITS, 3), np.float32)
    basis, slope, seen = np.empty(residual.shape[1] // 3, np.float32), np.empty(3, np.float32), np.empty(3)
    for ray in range(first, last):
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        count, _, light = walk(
            origins[ray, 0], origins[ray, 1], origins[ray, 2], dx, dy, dz,
            slots, corners, values, contracted, near, far, density, stride, phase, visits, places, samples,
        )  # fmt: skip
        harmonics(dx, dy, dz, basis)
        for channel in range(3):
            seen[channel] = light * behind[ray, channel]
        add_visits(
            values, corners, fills, halves, residual, count, visits, places, samples, basis, colours, sheens,
            seen,
        )  # fmt: skip
        after = _F(0)
        for channel in range(3):
            error = seen[channel] - targets[ray, channel]
            loss[0] += error * error
            slope[channel] = _F(2) * factor * error
            after += slope[channel] * behind[ray, channel]
        after *= light
        for v in range(count - 1, -1, -1):
            slot, place = visits[v, 0], places[v]
            extra = _F(0)
            if shines(basis, place):
                add_to_halves(to_residual, halves, slot, place, basis, slope)
                for channel in range(3):
                    extra += slope[channel] * sheens[v, channel]
            for n in range(visits[v, 2] - 1, visits[v, 1] - 1, -1):
                row = samples[n]
                own = extra
                for channel in range(3):
                    own += slope[channel] * colours[n, channel]
                # With τ the optical depth: dw/dτ is the light behind the sample, less what it hides.
                to_depth = (row[6] - row[5]) * own - after
                to_code = to_depth * row[4] * depth_slope(row[3])
                add_to_points(to_values, corners, slot, row, to_code, slope, row[5])
                after += row[5] * own
