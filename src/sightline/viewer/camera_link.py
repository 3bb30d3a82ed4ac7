"""The camera of a browser, in the frame of the data."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sightline.geometry.poses import interpolate_poses
from sightline.viewer.shown_frame import ShownFrame

_FLIGHT_SECONDS, _FLIGHT_FRAMES = 0.4, 10


class CameraLink:
    """Reads and moves a browser's camera.

    Args:
        client: viser's handle of the browser.
        frame: of the scene that it shows.
    """

    def __init__(self, client: Any, frame: ShownFrame):
        self.client, self.frame = client, frame

    def pose(self) -> Float[np.ndarray, "3 4"]:
        """Camera to world, x right, y up, z backward."""
        camera = self.client.camera
        return self.frame.from_browser(camera.wxyz, camera.position)

    def put(self, c2w: Float[np.ndarray, "3 4"], fov: float | None = None) -> None:
        """Set the camera; it then turns about what it looks at."""
        camera = self.client.camera
        position = self.frame.place(c2w[:, 3])
        with self.client.atomic():
            # The horizon tilts with the picture where that was taken so.
            camera.up_direction = _upwards(c2w, self.frame.up)
            camera.position = position
            camera.look_at = position - self.frame.depth_ahead(c2w) * c2w[:, 2]
            if fov is not None:
                camera.fov = fov
        self.client.flush()

    def fly(self, c2w: Float[np.ndarray, "3 4"], fov: float, stopped: Callable[[], bool]) -> None:
        """Move to a pose in a moment; ends at once where `stopped` says so. Blocks meanwhile."""
        both = torch.from_numpy(np.stack([self.pose(), c2w]))
        before = float(self.client.camera.fov)
        for part in np.linspace(0, 1, _FLIGHT_FRAMES + 1)[1:-1]:
            if stopped():
                return
            eased = float(part * part * (3 - 2 * part))
            pose = interpolate_poses(both, torch.tensor([eased], dtype=torch.float64))[0].numpy()
            self.put(pose, before + eased * (fov - before))
            time.sleep(_FLIGHT_SECONDS / _FLIGHT_FRAMES)
        self.put(c2w, fov)

    def straighten(self) -> None:
        """Let up in the picture be up in the scene."""
        self.client.camera.up_direction = self.frame.up
        self.client.flush()


def _upwards(c2w: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Give the direction nearest to the scene's up that appears upwards in a camera's picture."""
    right, above = c2w[:, 0], c2w[:, 1]
    level = up - (up @ right) * right
    length = float(np.linalg.norm(level))
    if length < 0.05 or float(level @ above) <= 0.05 * length:
        return above
    return level / length
