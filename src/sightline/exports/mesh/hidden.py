"""What no light reaches: the inside of opaque matter, of which photos say nothing and fields hold noise."""

from itertools import product

import numpy as np
from jaxtyping import Bool, Float

from sightline.exports.grids import Grid

_DARK = 1.0
"""optical depth in every direction beyond which a point is inside"""


def hidden_points(density: Float[np.ndarray, "x y z"], grid: Grid) -> Bool[np.ndarray, "x y z"]:
    """Find the points of a grid from which no light gets out of the box.

    Light is followed along the 26 directions to a point's neighbours; a point is hidden where less than
    1 / e gets out along each of them.
    """
    least = np.full(grid.shape, np.inf, dtype=np.float32)
    for direction in product((-1, 0, 1), repeat=3):
        if any(direction):
            length = float(np.linalg.norm(grid.spacing * direction))
            _follow(density, direction, length, least)
    return least > _DARK


def _follow(density: np.ndarray, direction: tuple[int, ...], length: float, least: np.ndarray) -> None:
    """Lower `least` to the optical depths between the border and each point, along one direction."""
    # Layers along the first axis that the direction moves on, in the order in which light comes in.
    axis = next(k for k in range(3) if direction[k])
    forward = slice(None, None, direction[axis])
    layers = np.moveaxis(density, axis, 0)[forward]
    lowest = np.moveaxis(least, axis, 0)[forward]
    across = [direction[k] for k in range(3) if k != axis]
    into = tuple(slice(max(0, step), min(0, step) or None) for step in across)
    out_of = tuple(slice(max(0, -step), min(0, -step) or None) for step in across)
    depth = np.zeros(layers.shape[1:], dtype=np.float32)
    np.minimum(lowest[0], depth, out=lowest[0])
    for k in range(1, len(layers)):
        entered = np.zeros_like(depth)
        entered[into] = (depth + layers[k - 1] * np.float32(length))[out_of]
        depth = entered
        np.minimum(lowest[k], depth, out=lowest[k])
