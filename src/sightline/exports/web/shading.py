"""Colours of what rays meet in sparse voxels: of samples, of visits, and where their gradients go.

A sample's colour is interpolated between the points around it; what a visit of a block adds changes with the
direction (`harmonics`), by coefficients of a grid of half the resolution.
"""

import numpy as np

from sightline.kernels.compiling import inline

LEAST_SHEEN = 0.02
"""weight of a visit below which its colour does not change with the direction"""

_F = np.float32
_SHEEN = _F(LEAST_SHEEN)


@inline
def harmonics(dx, dy, dz, basis):
    """Polynomials of a direction that colours change with: none, 3 of the first degree, 5 of the second."""
    if len(basis) == 0:
        return
    basis[0], basis[1], basis[2] = dx, dy, dz
    if len(basis) > 3:
        basis[3], basis[4], basis[5] = dx * dy, dy * dz, dx * dz
        basis[6], basis[7] = dx * dx - dy * dy, _F(3) * dz * dz - _F(1)


@inline
def sheen(residual, halves, slot, x, y, z, basis, colour):
    """What a visit's colour has besides that of its points, for one direction; writes (3,) `colour`."""
    x, y, z = x * _F(0.5), y * _F(0.5), z * _F(0.5)
    i, j, k = min(int(x), 1), min(int(y), 1), min(int(z), 1)
    fx, fy, fz = x - _F(i), y - _F(j), z - _F(k)
    colour[:] = _F(0)
    for c in range(8):
        a, b, d = c & 1, (c >> 1) & 1, c >> 2
        point = halves[slot, ((k + d) * 3 + j + b) * 3 + i + a]
        if point < 0:
            continue
        weight = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy) * (fz if d else _F(1) - fz)
        for n in range(len(basis)):
            share = weight * basis[n]
            for channel in range(3):
                colour[channel] += share * residual[point, 3 * n + channel]


@inline
def base_colour(values, corners, fills, slot, row, colour):
    """Colour of the points around a sample; those that hold nothing have their block's mean."""
    i, j, k = min(int(row[0]), 3), min(int(row[1]), 3), min(int(row[2]), 3)
    fx, fy, fz = row[0] - _F(i), row[1] - _F(j), row[2] - _F(k)
    colour[:] = _F(0)
    for c in range(8):
        a, b, d = c & 1, (c >> 1) & 1, c >> 2
        point = corners[slot, ((k + d) * 5 + j + b) * 5 + i + a]
        weight = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy) * (fz if d else _F(1) - fz)
        for channel in range(3):
            value = values[point, 1 + channel] if point >= 0 else fills[slot, channel]
            colour[channel] += weight * value


@inline
def shines(basis, place):
    """Whether a visit's colour changes with the direction."""
    return len(basis) > 0 and place[3] > _SHEEN


@inline
def add_visits(
    values, corners, fills, halves, residual, count, visits, places, samples, basis, colours, sheens, seen
):  # fmt: skip
    """Add to (3,) `seen` what the visits of a walk show.

    Args:
        count: of visits; they and their samples are as `marching.walk` wrote them.
        basis: the polynomials of the ray's direction.
        colours: (samples, 3) gets each sample's colour.
        sheens: (visits, 3) gets what directions add to a visit's.
    """
    for v in range(count):
        slot, place = visits[v, 0], places[v]
        for n in range(visits[v, 1], visits[v, 2]):
            base_colour(values, corners, fills, slot, samples[n], colours[n])
            for channel in range(3):
                seen[channel] += samples[n, 5] * colours[n, channel]
        if shines(basis, place):
            sheen(residual, halves, slot, place[0], place[1], place[2], basis, sheens[v])
            for channel in range(3):
                seen[channel] += place[3] * sheens[v, channel]


@inline
def add_to_points(gradients, corners, slot, row, code_slope, colour_slope, weight):
    """Add a sample's slopes to the gradients, (points, 4), of the points around it."""
    i, j, k = min(int(row[0]), 3), min(int(row[1]), 3), min(int(row[2]), 3)
    fx, fy, fz = row[0] - _F(i), row[1] - _F(j), row[2] - _F(k)
    for c in range(8):
        a, b, d = c & 1, (c >> 1) & 1, c >> 2
        point = corners[slot, ((k + d) * 5 + j + b) * 5 + i + a]
        if point >= 0:
            part = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy) * (fz if d else _F(1) - fz)
            gradients[point, 0] += part * code_slope
            for channel in range(3):
                gradients[point, 1 + channel] += part * weight * colour_slope[channel]


@inline
def add_to_halves(gradients, halves, slot, place, basis, colour_slope):
    """Add a visit's slopes to the gradients of what directions add to the colours around it."""
    x, y, z = place[0] * _F(0.5), place[1] * _F(0.5), place[2] * _F(0.5)
    i, j, k = min(int(x), 1), min(int(y), 1), min(int(z), 1)
    fx, fy, fz = x - _F(i), y - _F(j), z - _F(k)
    for c in range(8):
        a, b, d = c & 1, (c >> 1) & 1, c >> 2
        point = halves[slot, ((k + d) * 3 + j + b) * 3 + i + a]
        if point < 0:
            continue
        part = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy) * (fz if d else _F(1) - fz)
        for n in range(len(basis)):
            share = place[3] * part * basis[n]
            for channel in range(3):
                gradients[point, 3 * n + channel] += share * colour_slope[channel]
