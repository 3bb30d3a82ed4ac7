"""The box around an object in a picture, which early training draws its rays from (Yu et al. 2021, B.2.1)."""

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.captures import Capture
from sightline.foundation.errors import warn
from sightline.methods.pixelnerf.config import PixelNerfConfig


def object_box(capture: Capture, index: int, config: PixelNerfConfig) -> Float[np.ndarray, "4"] | None:
    """Find the box of a view: least column and row, greatest column and row, all within it.

    None where nothing tells the object from its surroundings. The whole picture where it is all background,
    with a warning.
    """
    found = _object_pixels(capture, index, config)
    if found is None:
        return None
    if not found.any():
        warn(f"{capture.image_names[index]} shows nothing but background. Where: {capture.path}.")
        height, width = found.shape
        return np.array([0, 0, width - 1, height - 1], np.float32)
    return extent(found)


def extent(pixels: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "4"]:
    """Give the box around the pixels that are set."""
    columns, rows = np.flatnonzero(pixels.any(0)), np.flatnonzero(pixels.any(1))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)


def _object_pixels(capture: Capture, index: int, config: PixelNerfConfig) -> np.ndarray | None:
    if capture.silhouettes is not None and capture.background != "photo":
        return capture.silhouettes[index] > 0
    image = capture.images[index]
    if image.shape[2] == 4:
        return (image != 0).any(-1)
    if capture.background != "white":
        return None
    return (image != 255).all(-1) if config.saturated_background else (image != 255).any(-1)


def pixels_in_boxes(
    boxes: Float[np.ndarray, "rays 4"],
    across: Float[np.ndarray, "rays"],
    down: Float[np.ndarray, "rays"],
) -> Int[np.ndarray, "rays 2"]:
    """Choose a pixel (column, row) in the box of each ray.

    Args:
        across: in [0, 1), where between the least and the greatest column.
        down: the same for rows.
    """
    least, greatest = boxes[:, :2], boxes[:, 2:]
    places = np.stack([across, down], -1).astype(np.float32)
    return np.floor(places * (greatest + 1 - least) + least).astype(np.int64)
