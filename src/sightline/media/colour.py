"""Colour maps: depth in colour and errors as heat."""

import functools

import numpy as np
from jaxtyping import Float, UInt8

NEUTRAL = (128, 128, 128)
"""colour of pixels without a value"""


@functools.cache
def _turbo_table() -> np.ndarray:
    # Imported here: depth pictures alone need matplotlib.
    from matplotlib import colormaps

    return np.rint(np.asarray(colormaps["turbo"](np.arange(256)))[:, :3] * 255).astype(np.uint8)


def turbo(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Colour values in [0, 1] from dark blue over green to dark red (clipped there); NaN is neutral grey.

    The table of 256 colours is Mikhailov's (2019), as matplotlib has it.
    """
    levels = np.rint(np.clip(np.nan_to_num(values, nan=0.0), 0, 1) * 255).astype(np.intp)
    result = np.take(_turbo_table(), levels, axis=0)
    result[np.isnan(values)] = NEUTRAL
    return result


def heat(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Colour values in [0, 1] from black over red and yellow to white; NaN is neutral grey."""
    x = np.clip(np.nan_to_num(values, nan=0.0), 0, 1)[..., None] * 3
    result = np.rint(np.clip(x - np.arange(3), 0, 1) * 255).astype(np.uint8)
    result[np.isnan(values)] = NEUTRAL
    return result


def depth_range(
    depth: Float[np.ndarray, "..."], percentiles: tuple[float, float] = (2.0, 98.0)
) -> tuple[float, float] | None:
    """Find the depths between which to spread the colours, unmoved by a few outliers.

    Frames of one video share the range of all of them: pass their depths together. None where no depth is
    finite.
    """
    finite = depth[np.isfinite(depth)]
    if finite.size == 0:
        return None
    near, far = np.percentile(finite, percentiles)
    return float(near), float(far)


def colour_depth(
    depth: Float[np.ndarray, "height width"], limits: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Show depth in colour: near is red, far is blue, pixels without depth (NaN, infinite) are neutral grey.

    Args:
        depth: any unit.
        limits: the depths at the ends of the colours; `depth_range(depth)` where not given.
    """
    limits = limits or depth_range(depth)
    if limits is None:
        return np.full((*depth.shape, 3), NEUTRAL, dtype=np.uint8)
    near, far = limits
    known = np.where(np.isfinite(depth), depth, np.nan).astype(np.float64)
    span = far - near
    position = (far - known) / span if span > 0 else known * 0 + 0.5
    return turbo(position)


def colour_error(
    prediction: Float[np.ndarray, "height width 3"],
    truth: Float[np.ndarray, "height width 3"],
    full_scale: float = 0.25,
) -> UInt8[np.ndarray, "height width 3"]:
    """Show how far two pictures in [0, 1] are apart: the mean absolute difference of the channels as heat.

    Args:
        full_scale: the difference that is shown in white.
    """
    difference = np.abs(prediction.astype(np.float64) - truth).mean(-1)
    return heat(difference / full_scale)
