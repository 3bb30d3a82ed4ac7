"""Lens models: from camera-frame points to the image plane and back, exactly.

Notation, in this module only: camera axes are OpenCV's (x right, y down, z forward). A *plane* point is what
is left of a pixel when the intrinsics are taken off, ((u - cx) / fx, (v - cy) / fy). Coefficients come in
OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6 (radial-tangential, rational) or k1 k2 k3 k4 (fisheye, equidistant
polynomial); the formulas are those of the OpenCV documentation ("Camera Calibration and 3D Reconstruction").
A coefficient is a number where all points share it, or a tensor with an entry per point.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

Coefficients = Sequence[Any]
"""8 numbers, or 8 tensors with an entry per point"""

_STEP_TOLERANCE = 1e-8
"""Newton stops after a step this short; its error is then about the square of it, well below 1e-10"""
_NEWTON_STEPS = 12
_SAFE_STEPS = 60
_BLOCK = 16384
"""points at a time on a CPU, so that the intermediate results stay in its cache"""


class LensModel(IntEnum):
    """How a lens bends rays; the values are what `Cameras.lens` and files hold."""

    PINHOLE = 0
    OPENCV = 1
    OPENCV_FISHEYE = 2


def project_lens(
    lens: LensModel, points: Float[Tensor, "m 3"], coefficients: Coefficients
) -> Float[Tensor, "m 2"]:
    """Send camera-frame points (OpenCV axes) through a lens onto the image plane.

    The result is finite for all points, but means something only for those that the lens sees: in front of
    the camera (fisheye: also beside and behind it), within `lens_limits`.
    """
    x, y, z = points.unbind(-1)
    if lens == LensModel.OPENCV_FISHEYE:
        # On the axis the quotient below is 0/0, and so is the radius's gradient; the quotient's limit is 1/z.
        on_axis = torch.hypot(x, y) <= 1e-12 * z.abs()
        radius = torch.hypot(torch.where(on_axis, torch.ones_like(x), x), torch.where(on_axis, 0.0, y))
        theta = torch.atan2(radius, z)
        scale = torch.where(on_axis, 1 / _away_from_zero(z), _fisheye(theta, coefficients)[0] / radius)
        return torch.stack([x * scale, y * scale], -1)
    z = _away_from_zero(z)
    x, y = x / z, y / z
    if lens == LensModel.OPENCV:
        x, y, *_ = _radial_tangential(x, y, coefficients)
    return torch.stack([x, y], -1)


def unproject_lens(
    lens: LensModel, plane: Float[Tensor, "m 2"], coefficients: Coefficients, limits: Any
) -> tuple[Float[Tensor, "m 3"], Bool[Tensor, "m"]]:
    """Find the camera-frame directions (OpenCV axes, not normalised) that a lens sends to plane points.

    Args:
        coefficients: as the module says.
        limits: what `lens_limits` gives, one number or an entry per point.

    Returns:
        Directions in the dtype of `plane`, and which of them are solutions (to 1e-10). Where the lens model
        sends no ray, the direction is that of the nearest point it reaches.
    """
    if lens == LensModel.PINHOLE:
        ones = torch.ones_like(plane[:, :1])
        return torch.cat([plane, ones], -1), torch.ones_like(ones[:, 0], dtype=torch.bool)
    solve = _unproject_fisheye if lens == LensModel.OPENCV_FISHEYE else _unproject_radial_tangential
    count = len(plane)
    block = _BLOCK if plane.device.type == "cpu" else max(count, 1)
    directions = plane.new_empty(count, 3)
    valid = torch.empty(count, dtype=torch.bool, device=plane.device)
    with torch.no_grad():
        for start in range(0, count, block):
            part = slice(start, start + block)
            x, y = plane[part].T.contiguous()
            chosen = [_take(value, part) for value in coefficients]
            directions[part, 0], directions[part, 1], directions[part, 2], valid[part] = solve(
                x, y, chosen, _take(limits, part)
            )
    return directions, valid


def lens_limits(lens: LensModel, coefficients: Float[Tensor, "n 8"]) -> Float[Tensor, "n"]:
    """Find how far from the axis each lens is one-to-one: beyond, its polynomial folds back onto the picture.

    Returns:
        Radius on the undistorted plane at z = 1 (radial-tangential), or angle from the axis in radians
        (fisheye, at most pi); infinite where there is no limit. Tangential terms are left out.
    """
    if lens == LensModel.PINHOLE:
        return torch.full_like(coefficients[:, 0], torch.inf)
    rows, inverse = np.unique(
        coefficients.detach().cpu().numpy().astype(np.float64), axis=0, return_inverse=True
    )
    limit = _fisheye_limit if lens == LensModel.OPENCV_FISHEYE else _radial_limit
    found = np.array([limit(row) for row in rows])[inverse.reshape(-1)]
    return torch.from_numpy(found).to(coefficients)


def _take(value: Any, part: slice | Tensor) -> Any:
    return value[part] if isinstance(value, Tensor) and value.ndim else value


def _away_from_zero(z: Tensor) -> Tensor:
    return torch.where(z.abs() < 1e-12, torch.full_like(z, 1e-12).copysign(z), z)


def _smallest_positive_root(*polynomials: np.ndarray) -> float:
    """Take the smallest positive real root of polynomials 1 + c1 s + c2 s² + …, or infinity."""
    # Solved for 1/s, the leading coefficient is 1 however small the others are.
    roots = np.concatenate([np.roots(coefficients) for coefficients in polynomials])
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    largest = float(real.max(initial=0.0))
    return 1 / largest if largest > 1e-12 else np.inf


def _radial_limit(row: np.ndarray) -> float:
    """Find where d(r a/b)/dr or the denominator b vanishes, with a and b polynomials of s = r²."""
    poly = np.polynomial.polynomial
    a = np.array([1.0, row[0], row[1], row[4]])
    b = np.array([1.0, row[5], row[6], row[7]])
    s2 = [0.0, 2.0]
    slope = poly.polyadd(
        poly.polymul(poly.polyadd(a, poly.polymul(s2, poly.polyder(a))), b),
        -poly.polymul(poly.polymul(s2, a), poly.polyder(b)),
    )
    return float(np.sqrt(_smallest_positive_root(slope, b)))


def _fisheye_limit(row: np.ndarray) -> float:
    """Find where the distorted angle stops growing with the angle."""
    slope = np.array([1.0, 3 * row[0], 5 * row[1], 7 * row[2], 9 * row[3]])
    return min(float(np.sqrt(_smallest_positive_root(slope))), float(np.pi))


def _fisheye(theta: Tensor, k: Coefficients) -> tuple[Tensor, Tensor]:
    """Distort an angle: value and derivative."""
    u = theta * theta
    value = theta * (1 + u * (k[0] + u * (k[1] + u * (k[2] + u * k[3]))))
    slope = 1 + u * (3 * k[0] + u * (5 * k[1] + u * (7 * k[2] + u * (9 * k[3]))))
    return value, slope


def _radial(s: Tensor, k: Coefficients) -> tuple[Tensor, Tensor]:
    """Radial factor as a function of s = r², and its derivative by s."""
    k1, k2, _, _, k3, k4, k5, k6 = k
    a = 1 + s * (k1 + s * (k2 + s * k3))
    a_slope = k1 + s * (2 * k2 + s * (3 * k3))
    if _all_zero(k4, k5, k6):
        return a, a_slope
    b = _away_from_zero(1 + s * (k4 + s * (k5 + s * k6)))
    g = a / b
    return g, (a_slope - g * (k4 + s * (2 * k5 + s * (3 * k6)))) / b


def _all_zero(*values: Any) -> bool:
    return all(not isinstance(value, Tensor) and value == 0 for value in values)


def _radial_tangential(
    x: Tensor, y: Tensor, k: Coefficients
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Distort plane points; returns x, y and the (symmetric) Jacobian's entries xx, xy, yy."""
    p1, p2 = k[2], k[3]
    xx, yy, xy = x * x, y * y, x * y
    g, slope = _radial(xx + yy, k)
    slope = 2 * slope
    new_x, new_y = x * g, y * g
    j_xx, j_xy, j_yy = g + xx * slope, xy * slope, g + yy * slope
    if not _all_zero(p1, p2):
        s = xx + yy
        tilt, px, py = 2 * xy, p1 * x, p2 * y
        new_x = new_x + p1 * tilt + p2 * (s + 2 * xx)
        new_y = new_y + p2 * tilt + p1 * (s + 2 * yy)
        j_xx = j_xx + 2 * p1 * y + 6 * p2 * x
        j_xy = j_xy + 2 * (px + py)
        j_yy = j_yy + 6 * p1 * y + 2 * p2 * x
    return new_x, new_y, j_xx, j_xy, j_yy


def _newton_step(
    x: Tensor, y: Tensor, target_x: Tensor, target_y: Tensor, k: Coefficients
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One Newton step to the point that distorts to the target: dx, dy, squared residual, whether J > 0."""
    at_x, at_y, a, b, d = _radial_tangential(x, y, k)
    ex, ey = at_x - target_x, at_y - target_y
    determinant = a * d - b * b
    scale = 1 / _away_from_zero(determinant)
    # Beyond a pole of the radial factor both eigenvalues are negative: the picture is point-mirrored there.
    upright = (determinant > 0) & (a + d > 0)
    return (d * ex - b * ey) * scale, (a * ey - b * ex) * scale, ex * ex + ey * ey, upright


def _unproject_radial_tangential(
    target_x: Tensor, target_y: Tensor, k: Coefficients, limit: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = target_x, target_y
    dx = dy = torch.ones_like(x)
    upright = torch.zeros_like(x, dtype=torch.bool)
    for _ in range(_NEWTON_STEPS):
        dx, dy, _, upright = _newton_step(x, y, target_x, target_y, k)
        x, y = x - dx, y - dy
        if torch.maximum(dx.abs().max(), dy.abs().max()) < _STEP_TOLERANCE:
            break
    # Beyond the limit lie other solutions, which the real lens never had. (NaN counts as not found.)
    found = (dx.abs() < _STEP_TOLERANCE) & (dy.abs() < _STEP_TOLERANCE) & upright
    found &= torch.hypot(x, y) <= limit
    if not bool(found.all()):
        missing = (~found).nonzero()[:, 0]
        chosen = [_take(value, missing) for value in k]
        x[missing], y[missing], found[missing] = _search_radial_tangential(
            target_x[missing], target_y[missing], chosen, _take(limit, missing)
        )
    return x, y, torch.ones_like(x), found


def _search_radial_tangential(
    target_x: Tensor, target_y: Tensor, k: Coefficients, limit: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Solve where plain Newton failed: the radial part by bisection, then shortened steps."""
    target_radius = torch.hypot(target_x, target_y)
    limit = torch.as_tensor(limit, dtype=target_x.dtype, device=target_x.device).expand_as(target_radius)

    def distorted(radius: Tensor) -> Tensor:
        return radius * _radial(radius * radius, k)[0]

    radius = _bisect(distorted, target_radius, limit)
    scale = radius / target_radius.clamp_min(1e-300)
    x, y = target_x * scale, target_y * scale
    dx, dy, error, upright = _newton_step(x, y, target_x, target_y, k)
    damping = torch.ones_like(x)
    for _ in range(_SAFE_STEPS):
        new_x, new_y = x - damping * dx, y - damping * dy
        new_dx, new_dy, new_error, new_upright = _newton_step(new_x, new_y, target_x, target_y, k)
        better = (new_error < error) & new_upright & (torch.hypot(new_x, new_y) <= limit)
        x, y = torch.where(better, new_x, x), torch.where(better, new_y, y)
        dx, dy = torch.where(better, new_dx, dx), torch.where(better, new_dy, dy)
        error = torch.where(better, new_error, error)
        upright = upright | better
        damping = torch.where(better, torch.ones_like(damping), damping / 2)
        if bool(((error < 1e-28) | (damping < 1e-9)).all()):
            break
    return x, y, (error < 1e-20) & upright


def _bisect(increasing: Callable[[Tensor], Tensor], target: Tensor, limit: Tensor) -> Tensor:
    """Find where a function that increases from 0 to `limit` reaches the target, or the limit."""
    high = torch.minimum(torch.ones_like(target), limit)
    for _ in range(_SAFE_STEPS):
        short = (increasing(high) < target) & (high < limit)
        if not bool(short.any()):
            break
        high = torch.where(short, torch.minimum(2 * high, limit), high)
    low = torch.zeros_like(target)
    for _ in range(_SAFE_STEPS):
        middle = (low + high) / 2
        below = increasing(middle) < target
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def _unproject_fisheye(
    x: Tensor, y: Tensor, k: Coefficients, limit: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Solve for the angle by Newton steps kept inside a bracket (it grows up to the limit)."""
    radius = torch.hypot(x, y)
    high = torch.as_tensor(limit, dtype=x.dtype, device=x.device).expand_as(radius)
    low = torch.zeros_like(radius)
    theta = torch.minimum(radius, high)
    last = torch.full_like(theta, torch.inf)
    for _ in range(_SAFE_STEPS):
        value, slope = _fisheye(theta, k)
        error = value - radius
        low = torch.where(error < 0, theta, low)
        high = torch.where(error < 0, high, theta)
        moved = theta - error / _away_from_zero(slope)
        # Halve the bracket where Newton leaves it, or does not settle.
        step = (moved - theta).abs()
        settles = (moved >= low) & (moved <= high) & (step <= 0.5 * last)
        moved = torch.where(settles | (step < _STEP_TOLERANCE), moved, (low + high) / 2)
        last = (moved - theta).abs()
        theta = moved
        if last.max() < _STEP_TOLERANCE:
            break
    valid = (_fisheye(theta, k)[0] - radius).abs() < 1e-10
    scale = torch.sin(theta) / radius.clamp_min(1e-300)
    return x * scale, y * scale, torch.cos(theta), valid
