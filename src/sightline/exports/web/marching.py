"""Rays through sparse voxels on the CPU: the same walk, sample for sample, as the page's shader.

Space is a cube of cells; a block is 4 x 4 x 4 of them, with its 5 x 5 x 5 corners. Positions g are in cells.
A ray of the model frame is straight in the grid, too, or straight piece by piece where space is contracted
(`sightline.kernels.marching.contract`): within one piece a step of λ dg/dt leads from t to
t + λ / (1 - kλ), where k is the rate at which the distance r from the centre (in the maximum norm) grows,
divided by r. A block's optical depth along the piece is τ λ / (h r²), with r where the ray enters: what
contraction takes from the length of a step, the stored density has been given.

Walks write what they meet into a scratch: visits of blocks, and samples within each of them.
"""

import math

import numpy as np

from sightline.kernels.compiling import inline

BLOCK = 4
CORNERS = (BLOCK + 1) ** 3
HALF_CORNERS = 27
MOST_SAMPLES = 1024
MOST_VISITS = 1024
LEAST_LIGHT = 1e-2
"""a ray ends where less light is left"""
THINNEST = 0.02
"""optical depth of one cell that a code near 0 stands for"""
RISE = math.log(1 + 24.0 / THINNEST)
"""codes 0 to 1 stand for optical depths THINNEST (exp(RISE code) - 1), up to 24 per cell"""

_F = np.float32
_FAR_AWAY = _F(1e6)
_THIN, _RISE = _F(THINNEST), _F(RISE)
_LEAST = _F(LEAST_LIGHT)
# Further than a block's face, in cells, so that rounding cannot hold a ray at it.
_OVER = _F(2e-3)


@inline
def _next_crossing(ox, oy, oz, dx, dy, dz, t):
    """Distance at which the contraction's formula changes next: at faces of the box and between pyramids."""
    best = _FAR_AWAY
    over = t + _F(1e-5) * (_F(1) + t)
    for n in range(12):
        if n == 0:
            top, under = _F(1) - ox, dx
        elif n == 1:
            top, under = _F(-1) - ox, dx
        elif n == 2:
            top, under = _F(1) - oy, dy
        elif n == 3:
            top, under = _F(-1) - oy, dy
        elif n == 4:
            top, under = _F(1) - oz, dz
        elif n == 5:
            top, under = _F(-1) - oz, dz
        elif n == 6:
            top, under = ox - oy, dy - dx
        elif n == 7:
            top, under = ox + oy, -dy - dx
        elif n == 8:
            top, under = ox - oz, dz - dx
        elif n == 9:
            top, under = ox + oz, -dz - dx
        elif n == 10:
            top, under = oy - oz, dz - dy
        else:
            top, under = oy + oz, -dz - dy
        if abs(under) > _F(1e-9):
            crossing = top / under
            if crossing > over and crossing < best:
                best = crossing
    return best


@inline
def _exit(g, way, low, high):
    """Steps until a position leaves [low, high] on one axis."""
    if way > _F(1e-12):
        return (high - g) / way
    if way < _F(-1e-12):
        return (low - g) / way
    return _FAR_AWAY


@inline
def _slab(o, d, reach):
    safe = d if abs(d) >= _F(1e-12) else _F(1e-12)
    a, b = (-reach - o) / safe, (reach - o) / safe
    return min(a, b), max(a, b)


@inline
def _grid_position(px, py, pz, dx, dy, dz, contracted, reach, cell):
    """Position in cells, its change with t, k, and r."""
    one, two = _F(1), _F(2)
    r, k = one, _F(0)
    wx, wy, wz = dx, dy, dz
    if contracted:
        ax, ay, az = abs(px), abs(py), abs(pz)
        largest = max(ax, max(ay, az))
        if largest > one:
            r = largest
            inverse = one / r
            if ax >= r:
                axis, sign, rate = 0, (one if px > 0 else -one), dx
            elif ay >= r:
                axis, sign, rate = 1, (one if py > 0 else -one), dy
            else:
                axis, sign, rate = 2, (one if pz > 0 else -one), dz
            rate *= sign
            px *= inverse
            py *= inverse
            pz *= inverse
            wx, wy, wz = (dx - px * rate) * inverse, (dy - py * rate) * inverse, (dz - pz * rate) * inverse
            radial = sign * rate * inverse * inverse
            place = sign * (two - inverse)
            if axis == 0:
                px, wx = place, radial
            elif axis == 1:
                py, wy = place, radial
            else:
                pz, wz = place, radial
            k = rate * inverse
    scale = one / cell
    return (
        (px + reach) * scale, (py + reach) * scale, (pz + reach) * scale,
        wx * scale, wy * scale, wz * scale, k, r,
    )  # fmt: skip


@inline
def depth_slope(code):
    """How the optical depth of a cell grows with its code."""
    return _THIN * _RISE * math.exp(_RISE * code)


@inline
def _code_at(values, corners, slot, x, y, z):
    """Code at a position (in cells) within a block."""
    i, j, k = min(int(x), 3), min(int(y), 3), min(int(z), 3)
    fx, fy, fz = x - _F(i), y - _F(j), z - _F(k)
    total = _F(0)
    for c in range(8):
        a, b, d = c & 1, (c >> 1) & 1, c >> 2
        point = corners[slot, ((k + d) * 5 + j + b) * 5 + i + a]
        if point >= 0:
            weight = (fx if a else _F(1) - fx) * (fy if b else _F(1) - fy) * (fz if d else _F(1) - fz)
            total += weight * values[point, 0]
    return total


@inline
def walk(
    ox, oy, oz, dx, dy, dz, slots, corners, values, contracted, near, far, density, stride, phase,
    visits, visit_places, samples,
):  # fmt: skip
    """Follow a ray; gives the number of visits, of samples, and the light that is left.

    Args:
        slots: (blocks, blocks, blocks) [z, y, x] slot of a block, or minus the blocks to the next one.
        corners: (slots, 125) points of each slot's corners, -1 for what holds nothing.
        values: (points, 4) code, red, green, blue.
        density: what optical depths are multiplied by.
        stride: cells between samples; phase: where within its stretch a sample lies, 0 to 1.
        visits: int32 (MOST_VISITS, 3) slot, first sample, sample after the last.
        visit_places: float32 (MOST_VISITS, 5) position of its weight in the block, weight, entry t.
        samples: float32 (MOST_SAMPLES, 7) position in the block, code, optical depth per unit of the code's
            own, weight, light before it.
    """
    one, zero = _F(1), _F(0)
    blocks = slots.shape[0]
    reach = _F(2) if contracted else one
    cell = _F(2) * reach / _F(blocks * BLOCK)
    limit = far if contracted else one
    ax, bx = _slab(ox, dx, limit)
    ay, by = _slab(oy, dy, limit)
    az, bz = _slab(oz, dz, limit)
    t = max(near, max(ax, max(ay, az)))
    end = min(bx, min(by, bz))
    n_visits, n_samples, light = 0, 0, one
    crossing = -one
    for _ in range(4 * blocks + 64):
        if t >= end or light < _LEAST or n_visits >= MOST_VISITS or n_samples + 16 > MOST_SAMPLES:
            break
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        gx, gy, gz, wx, wy, wz, k, r = _grid_position(px, py, pz, dx, dy, dz, contracted, reach, cell)
        i = min(max(int(gx * _F(0.25)), 0), blocks - 1)
        j = min(max(int(gy * _F(0.25)), 0), blocks - 1)
        m = min(max(int(gz * _F(0.25)), 0), blocks - 1)
        slot = slots[m, j, i]
        wide = 0 if slot >= 0 else -slot - 1
        low_x, low_y, low_z = _F(4 * (i - wide)), _F(4 * (j - wide)), _F(4 * (m - wide))
        span = _F(4 * (2 * wide + 1))
        steps = min(
            _exit(gx, wx, low_x, low_x + span),
            min(_exit(gy, wy, low_y, low_y + span), _exit(gz, wz, low_z, low_z + span)),
        )
        speed = max(abs(wx), max(abs(wy), abs(wz)))
        steps = max(steps, zero) + _OVER / max(speed, _F(1e-9))
        if contracted:
            if crossing <= t:
                crossing = _next_crossing(ox, oy, oz, dx, dy, dz, t)
            # In steps of the grid's path; at least a little, so that the crossing is left behind.
            left = min(crossing, end) - t
            left += _F(2e-6) * (one + t)
            steps = min(steps, left / (one + k * left))
        else:
            steps = min(steps, end - t + _F(1e-6))
        bend = one - k * steps
        forward = steps / bend if bend > _F(1e-6) else _FAR_AWAY
        if slot >= 0:
            length = steps * math.sqrt(wx * wx + wy * wy + wz * wz)
            count = min(max(math.ceil(length / stride), 1), 16)
            each = steps / _F(count)
            scale = density * each / (cell * r * r)
            first = n_samples
            weight_sum, sx, sy, sz = zero, zero, zero, zero
            for n in range(count):
                along = (_F(n) + phase) * each
                x = min(max(gx + along * wx - low_x, zero), _F(4))
                y = min(max(gy + along * wy - low_y, zero), _F(4))
                z = min(max(gz + along * wz - low_z, zero), _F(4))
                code = _code_at(values, corners, slot, x, y, z)
                if code > zero:
                    depth = _THIN * (math.exp(_RISE * code) - one) * scale
                    through = math.exp(-depth)
                    weight = light * (one - through)
                    row = samples[n_samples]
                    row[0], row[1], row[2], row[3], row[4] = x, y, z, code, scale
                    row[5], row[6] = weight, light
                    n_samples += 1
                    light *= through
                    weight_sum += weight
                    sx += weight * x
                    sy += weight * y
                    sz += weight * z
            if n_samples > first:
                visits[n_visits, 0], visits[n_visits, 1], visits[n_visits, 2] = slot, first, n_samples
                inverse = one / max(weight_sum, _F(1e-12))
                place = visit_places[n_visits]
                place[0], place[1], place[2] = sx * inverse, sy * inverse, sz * inverse
                place[3], place[4] = weight_sum, t
                n_visits += 1
        t += forward
    return n_visits, n_samples, light
