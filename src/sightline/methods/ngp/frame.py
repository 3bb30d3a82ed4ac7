"""The model frame of `ngp`: where the box of interest lies, found from what the capture holds."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.geometry import Cameras, Similarity
from sightline.geometry.poses import focus_point

# Views that carving looks at, and the side of its voxel grid.
_CARVING_VIEWS = 32
_CARVING_SIDE = 64


@dataclass(frozen=True)
class Frame:
    """The similarity from the input frame to the model frame, in which the box of interest is [-1, 1]³."""

    to_model: Similarity
    contracted: bool
    near: float
    """no matter nearer to a camera than this, model units"""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for run.json."""
        return {"to_model": self.to_model.to_json(), "contracted": self.contracted, "near": self.near}

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Frame":
        """Inverse of `to_json`."""
        return Frame(Similarity.from_json(value["to_model"]), bool(value["contracted"]), float(value["near"]))


def find_frame(capture: Capture, scene: str) -> Frame:
    """Choose the frame of a capture.

    Bounded scenes: the given box, else the box of the visual hull that the images' alpha carves. Unbounded
    scenes: a cube about the point that the cameras look at, reaching to the cameras.

    Args:
        scene: "bounded", "unbounded" or "auto" (bounded where images carry alpha).
    """
    if scene == "auto":
        scene = "bounded" if capture.background == "alpha" else "unbounded"
    cameras = capture.cameras
    centre, reach = _looked_at(cameras)
    if scene == "unbounded":
        return Frame(_cube(centre, reach), True, near=0.05)
    if capture.box is not None:
        low, high = (torch.as_tensor(corner, dtype=torch.float64) for corner in capture.box)
    elif capture.background == "alpha":
        low, high = _carved_box(capture, centre, reach)
    else:
        low, high = centre - reach, centre + reach
    side = float((high - low).max()) / 2
    return Frame(_cube((low + high) / 2, side), False, near=1e-3)


def _cube(centre: Tensor, half: float) -> Similarity:
    scale = 1.0 / half
    return Similarity(scale, torch.eye(3, dtype=torch.float64), -scale * centre.double())


def _looked_at(cameras: Cameras) -> tuple[Tensor, float]:
    """The point that the optical axes meet nearest, and the median distance of the cameras from it."""
    centres = cameras.centres.double()
    focus = focus_point(cameras.c2w).double()
    distance = float((centres - focus).norm(dim=-1).median())
    return focus, max(distance, 1e-6)


def _carved_box(capture: Capture, centre: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Corners of the visual hull, found twice: in a coarse cube, then in the box of what was found."""
    views = capture.splits.get("train") or tuple(range(len(capture)))
    chosen = [views[k] for k in np.unique(np.linspace(0, len(views) - 1, _CARVING_VIEWS).round().astype(int))]
    masks = [(image[..., 3] > 8).astype(np.uint8) for image in capture.images.load(chosen)]
    low, high = centre - reach, centre + reach
    for _ in range(2):
        found = _carve(capture.cameras, chosen, masks, low, high)
        if found is None:
            break
        low, high = found
    return low, high


def _carve(
    cameras: Cameras, views: list[int], masks: list[np.ndarray], low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Box, one cell wider, around the cells that no view shows as empty; None where there are none."""
    steps = [
        torch.linspace(float(a), float(b), _CARVING_SIDE + 1, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    ]
    middles = [(axis[1:] + axis[:-1]) / 2 for axis in steps]
    points = torch.stack(torch.meshgrid(*middles, indexing="ij"), -1).view(-1, 3)
    cell = (high - low) / _CARVING_SIDE
    alive = torch.arange(len(points))
    seen = torch.zeros(len(points), dtype=torch.long)
    for view, mask in zip(views, masks, strict=True):
        pixels, depth = cameras.project(points[alive], view)
        height, width = mask.shape
        inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        # A cell is a few pixels wide: it stays where any matter shows within it.
        radius = int(torch.ceil(float(cell.max()) * cameras.fx[view] / depth.clamp(min=1e-6).median() / 2))
        grown = torch.from_numpy(cv2.dilate(mask, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))) > 0
        x, y = (pixels[:, k].clamp(0, size - 1).long() for k, size in ((0, width), (1, height)))
        keep = ~inside | grown[y, x]
        seen[alive] += inside
        alive = alive[keep]
        if not len(alive):
            return None
    # What few views see cannot be carved; an object that was photographed is in most of them.
    hull = points[alive[2 * seen[alive] >= len(views)]]
    if not len(hull):
        return None
    return torch.maximum(hull.amin(0) - 1.5 * cell, low), torch.minimum(hull.amax(0) + 1.5 * cell, high)
