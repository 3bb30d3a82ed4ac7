"""Between the frame of the data and the one that browsers draw in.

Browsers keep 32-bit numbers and clip what is nearer than 0.01 or farther than 1000, and depths of pictures
travel as multiples of 1e-5 up to 167: the scene is moved and scaled so that its cameras are a few units from
the middle. Axes stay. viser's cameras look along z with y down (OpenCV), and quaternions have w first.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from sightline.geometry import Cameras
from sightline.geometry.poses import quaternion_to_rotation, rotation_to_quaternion, up_direction
from sightline.geometry.trajectories import survey

DISTANCE = 4.0
"""of the median camera from the middle, in the browser's units"""
FARTHEST = 167.0
"""depth that nothing is behind"""
_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """x' = scale · (x - middle)."""

    middle: Float[np.ndarray, "3"]
    scale: float
    up: Float[np.ndarray, "3"]
    """unit length"""

    @staticmethod
    def around(cameras: Cameras, focus: Float[torch.Tensor, "3"] | None = None) -> "ShownFrame":
        """Choose the frame by where the cameras are and look."""
        layout = survey(cameras, focus)
        up = up_direction(cameras.c2w)
        return ShownFrame(layout.focus.cpu().numpy(), DISTANCE / layout.distance, up.cpu().numpy())

    def place(self, point: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
        """Take points of the data's frame to the browser's."""
        return (np.asarray(point, dtype=np.float64) - self.middle) * self.scale

    def replace(self, point: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
        """Take points of the browser's frame to the data's."""
        return np.asarray(point, dtype=np.float64) / self.scale + self.middle

    def to_browser(
        self, c2w: Float[np.ndarray, "3 4"]
    ) -> tuple[Float[np.ndarray, "4"], Float[np.ndarray, "3"]]:
        """Give a pose as viser has it: quaternion and position."""
        rotation = np.asarray(c2w, dtype=np.float64)[:, :3] @ _FLIP
        return rotation_to_quaternion(torch.from_numpy(rotation)).numpy(), self.place(c2w[:, 3])

    def from_browser(
        self, wxyz: Float[np.ndarray, "4"], position: Float[np.ndarray, "3"]
    ) -> Float[np.ndarray, "3 4"]:
        """Give viser's pose as ours: camera to world, x right, y up, z backward."""
        turn = quaternion_to_rotation(torch.from_numpy(np.asarray(wxyz, dtype=np.float64))).numpy()
        return np.concatenate([turn @ _FLIP, self.replace(position)[:, None]], 1)

    def depth_ahead(self, c2w: Float[np.ndarray, "3 4"]) -> float:
        """Distance, in the browser's units, at which a camera sees the scene: what it then turns about."""
        ahead = float((self.middle - c2w[:, 3]) @ -c2w[:, 2]) * self.scale
        return ahead if ahead > 0.1 else DISTANCE / 2
