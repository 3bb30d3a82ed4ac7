"""What methods that project into pictures ask of views."""

from collections.abc import Sequence

import numpy as np

from sightline.captures import Capture
from sightline.captures.straightening import bends_light
from sightline.foundation.errors import InputError


def check_views(capture: Capture, views: Sequence[int], method: str) -> tuple[int, int]:
    """Refuse views with lenses that bend light, or of several sizes; gives their width and height.

    Args:
        views: indices of those that are used.
        method: whose name the message has.

    Raises:
        InputError: there are such views.
    """
    cameras = capture.cameras[list(views)]
    if bends_light(cameras):
        raise InputError(
            f"{method} needs pictures without lens distortion", where=capture.path, fix="Undistort them first"
        )
    sizes = np.unique(capture.images.sizes[list(views)], axis=0)
    if len(sizes) > 1:
        listing = ", ".join(f"{width}x{height}" for width, height in sizes.tolist()[:3])
        raise InputError(
            f"The views of {capture.name} have several sizes ({listing})",
            where=capture.path,
            fix="Bring them to one size",
        )
    return int(sizes[0, 0]), int(sizes[0, 1])
