"""Depth as numbers: what is measured, and the files of each frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.foundation.files import write_json
from sightline.geometry import Cameras
from sightline.media.colour import colour_depth
from sightline.media.depth import LARGEST, write_depth
from sightline.media.images import write_png
from sightline.methods.base import Rendering

DepthKind = Literal["distance", "z", "sum", "disparity", "ndc"]
DepthFormat = Literal["pfm", "png", "npy", "bytes"]
_NEAREST = 0.75
"""of the smallest depth bound: the near plane of published device coordinates"""
_ROOM = 1.5
"""what 16 bits can hold, over the farthest depth that small pictures of the path show"""
_SAYS = {
    "distance": "distance along the ray, units of the data",
    "z": "depth along the optical axis, units of the data",
    "sum": "distances along the ray, weighted by opacity and not divided by it, units of the data",
    "disparity": "1 / distance along the ray, per unit of the data",
    "ndc": "device depth 1 - near / z: 0 on the near plane, 1 at infinity",
}


@dataclass(frozen=True)
class DepthPlan:
    """What depth output is asked for."""

    kind: DepthKind = "distance"
    formats: tuple[DepthFormat, ...] = ()
    scale: float | None = None
    """16-bit steps per unit, for PNG; chosen from the path where not given"""

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise InputError(f"The scale must be above 0, not {self.scale:g}", where="--depth-scale")

    @property
    def label(self) -> str:
        """How files beside the pictures are named."""
        return "disparity" if self.kind == "disparity" else "depth"

    def steps_per_unit(self, farthest: float | None) -> float:
        """16-bit steps per unit: as asked, or so that half more than `farthest` fits."""
        if self.scale is not None:
            return self.scale
        if self.kind == "ndc":
            return float(LARGEST)
        return LARGEST / (_ROOM * farthest) if farthest else 1.0


def near_plane(capture: Capture, smallest: float | None) -> float:
    """The near plane of device depths: from the data's depth bounds, else from the smallest depth found."""
    bounds = None if capture.near is None else capture.near[np.isfinite(capture.near)]
    if bounds is not None and len(bounds) and bounds.min() > 0:
        return _NEAREST * float(bounds.min())
    if not smallest:
        raise InputError(
            "Device depth needs a near plane, and neither the data nor the path has any depth",
            where="--depth-kind ndc",
        )
    return _NEAREST * smallest


def measure(rendering: Rendering, camera: Cameras, kind: DepthKind, near: float = 1.0) -> np.ndarray:
    """Give one camera's depth as float32 (h, w) of the kind asked for, NaN where there is nothing.

    Args:
        near: near plane in units of the data, for device depth, which is 1 where there is nothing.
    """
    if rendering.depth is None or (kind == "sum" and rendering.depth_sum is None):
        raise InputError("This method gives no depth", where="--depth", fix="Leave the flags of depth away")
    distance = rendering.depth.float().cpu()
    if kind == "sum":
        assert rendering.depth_sum is not None
        return rendering.depth_sum.float().cpu().numpy()
    if kind == "disparity":
        return (1 / distance.clamp_min(1e-12)).numpy()
    if kind == "distance":
        return distance.numpy()
    rays = camera.to("cpu").image_rays(0)
    cosine = (rays.directions.double() @ camera.forward[0].cpu().double()).view(distance.shape)
    z = (distance * cosine).float()
    if kind == "z":
        return z.numpy()
    return torch.nan_to_num(1 - near / z.clamp_min(1e-12), nan=1.0).clamp(0, 1).numpy()


def colour_measured(values: np.ndarray, kind: DepthKind, limits: tuple[float, float] | None) -> np.ndarray:
    """Show a map in colour, near in red: for disparity the large values are near."""
    if kind != "disparity":
        return colour_depth(values, limits)
    return colour_depth(-values, None if limits is None else (-limits[1], -limits[0]))


class DepthFiles:
    """Writes the maps of frames into a folder, and a JSON file that says what they are.

    Args:
        folder: made if it is not there.
        names: file names of frames, without suffix; numbers where not given.
        scale: 16-bit steps per unit, for PNG.
        near: near plane, for device depth.
    """

    def __init__(
        self, folder: Path, plan: DepthPlan, names: Sequence[str] | None, scale: float, near: float | None
    ):
        self.folder, self.plan, self.names = folder, plan, names
        self.scale = scale
        about: dict[str, Any] = {"kind": plan.kind, "meaning": _SAYS[plan.kind], "nothing": _nothing(plan)}
        if "png" in plan.formats:
            about["png_steps_per_unit"] = scale
        if plan.kind == "ndc":
            about["near"] = near
        if "bytes" in plan.formats:
            about["bytes"] = "float32, little-endian, top row first, no header; the colour picture is beside"
        write_json(folder / "depth.json", about)

    def put(self, index: int, values: np.ndarray, picture: np.ndarray) -> None:
        """Write one frame's map in all formats; with raw bytes its picture too, as a pair."""
        name = f"{index:04d}" if self.names is None else self.names[index]
        for suffix in self.plan.formats:
            write_depth(self.folder / f"depth_{name}.{suffix}", values.astype(np.float32), self.scale)
        if "bytes" in self.plan.formats:
            write_png(self.folder / f"{name}.png", picture)


def _nothing(plan: DepthPlan) -> str:
    if plan.kind in ("ndc", "sum"):
        return "1 where there is nothing" if plan.kind == "ndc" else "0 where there is nothing"
    return "NaN where there is nothing; 0 in png and bytes"
