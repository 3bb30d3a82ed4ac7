"""The frame that `nerf` trains in, and how far its rays reach, found from what the capture holds."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, Similarity
from sightline.geometry.ndc import from_ndc_points
from sightline.geometry.treatments import capture_layout, depth_range, treat
from sightline.methods.depth_bounds import looked_at, view_bounds
from sightline.methods.nerf.config import NerfConfig

Kind = Literal["bounded", "forward", "surround"]

# NeRF-synthetic: cameras about 4 units from the middle of an object that all programs look for from 2 to 6.
_CLASSIC_FORMATS = ("blender", "tiny_nerf")
_CLASSIC_DISTANCE = (3.0, 5.0)
_CLASSIC_RANGE = (2.0, 6.0)
# Other objects are brought to this distance.
_DISTANCE = 4.0


@dataclass(frozen=True, eq=False)
class Frame:
    """The frame that the networks see, and the range of their rays."""

    kind: Kind
    to_model: Similarity
    """from the frame of the data to the model frame (before normalised device coordinates)"""
    near: float
    """where rays begin: in model units, or 0 in normalised device coordinates"""
    far: float
    ndc: tuple[float, float] | None
    """2 focal / width and 2 focal / height of normalised device coordinates, whose near plane is at 1; None
    for world rays"""
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]]
    """corners of the box that holds what the scene shows, in the frame of the data"""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for run.json."""
        return {
            "kind": self.kind,
            "to_model": self.to_model.to_json(),
            "near": self.near,
            "far": self.far,
            "ndc": None if self.ndc is None else list(self.ndc),
            "bounds": [list(corner) for corner in self.bounds],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Frame":
        """Inverse of `to_json`."""
        low, high = (tuple(float(x) for x in corner) for corner in value["bounds"])
        ndc = value["ndc"]
        return Frame(
            kind=value["kind"],
            to_model=Similarity.from_json(value["to_model"]),
            near=float(value["near"]),
            far=float(value["far"]),
            ndc=None if ndc is None else (float(ndc[0]), float(ndc[1])),
            bounds=(low, high),  # type: ignore[arg-type]
        )


def find_frame(capture: Capture, config: NerfConfig) -> Frame:
    """Choose the frame of a capture, by the rules of the published programs where they have one.

    Raises:
        InputError: depths that are needed are not known, a view looks backwards in a forward-facing scene, or
            near is not below far.
    """
    kind = config.scene if config.scene != "auto" else choose_kind(capture)
    frame = {"bounded": _bounded, "forward": _forward, "surround": _surround}[kind](capture, config)
    check_range(frame, config, capture.path)
    return frame


def check_range(frame: Frame, config: NerfConfig, where: object = None) -> None:
    """Raise InputError where rays of a frame cannot be sampled as the configuration says."""
    if not frame.near < frame.far:
        raise InputError(
            f"Rays would begin at {frame.near:g} and end at {frame.far:g}",
            where=where,
            fix="Give --near and --far, in units of the data",
        )
    if config.disparity and not frame.near > 0:
        raise InputError(
            f"Samples cannot be even in inverse depth where rays begin at {frame.near:g}"
            + (", as they do in normalised device coordinates" if frame.ndc is not None else ""),
            where="--disparity",
            fix="Leave it away, or choose another --scene"
            if frame.ndc is not None
            else "Leave it away, or give a --near above 0",
        )


def choose_kind(capture: Capture) -> Kind:
    """Tell objects by their background, and forward-facing captures from others by the cameras."""
    if capture.background != "photo":
        return "bounded"
    return "forward" if capture_layout(capture.cameras) == "forward-facing" else "surround"


def _bounded(capture: Capture, config: NerfConfig) -> Frame:
    """An object: the data's own frame where its range is known, else one with the cameras 4 units away."""
    cameras = capture.cameras
    focus, distances = looked_at(cameras)
    given = config.near is not None and config.far is not None
    to_model = Similarity.identity()
    if given:
        assert config.near is not None
        assert config.far is not None
        near, far = config.near, config.far
    elif capture.near is not None and capture.far is not None:
        near, far = float(np.min(capture.near)), float(np.max(capture.far))
    elif capture.format in _CLASSIC_FORMATS and _within(distances, _CLASSIC_DISTANCE):
        near, far = _CLASSIC_RANGE
    elif capture.box is not None:
        low, high = (torch.as_tensor(corner, dtype=torch.float64) for corner in capture.box)
        to_model = _to_origin((low + high) / 2, distances)
        near, far = _range_of_box(to_model, low, high, cameras)
    else:
        to_model = _to_origin(focus, distances)
        near, far = _CLASSIC_RANGE
    near, far = _override(config, near, far, 1.0 if given else to_model.scale)
    if capture.box is not None:
        low, high = (torch.as_tensor(corner, dtype=torch.float64) for corner in capture.box)
    else:
        half = (far - near) / 2 / to_model.scale
        low, high = focus - half, focus + half
    return Frame("bounded", to_model, near, far, None, _corners(torch.stack([low, high])))


def _forward(capture: Capture, config: NerfConfig) -> Frame:
    """Recentred and scaled so that the nearest depth is at 4/3; normalised device coordinates from 0 to 1."""
    cameras = capture.cameras
    if capture_layout(cameras) != "forward-facing":
        raise InputError(
            "Some views look sideways or backwards, seen from the mean of all: normalised device coordinates "
            "hold only what is before it",
            where="--scene forward",
            fix="Use --scene surround, or --scene bounded for an object before a plain background",
        )
    nears, fars = view_bounds(capture, config.near, config.far)
    treated = treat("recentre", cameras.c2w, nears, fars)
    scale = (
        float(2 * cameras.fx[0] / cameras.width[0]),
        float(2 * cameras.fy[0] / cameras.height[0]),
    )
    farthest = max(float(treated.far.max()), 2.0)
    cube = torch.tensor([[x, y, t] for x in (-1, 1) for y in (-1, 1) for t in (0.0, 1 - 1 / farthest)])
    cube[:, 2] = 2 * cube[:, 2] - 1
    corners = treated.similarity.inverse().apply(from_ndc_points(cube.double(), scale))
    return Frame("forward", treated.similarity, 0.0, 1.0, scale, _corners(corners))


def _surround(capture: Capture, config: NerfConfig) -> Frame:
    """Recentred and scaled, or the cameras on a unit sphere; world rays over the range of depths."""
    nears, fars = view_bounds(capture, config.near, config.far)
    treated = treat(config.surround_poses, capture.cameras.c2w, nears, fars)
    near, far = depth_range(treated.near, treated.far, config.surround_range)
    near, far = _override(config, near, far, treated.similarity.scale)
    focus, distances = looked_at(capture.cameras)
    half = min(float(distances.median()), far / treated.similarity.scale)
    bounds = _corners(torch.stack([focus - half, focus + half]))
    return Frame("surround", treated.similarity, near, far, None, bounds)


def _override(config: NerfConfig, near: float, far: float, scale: float) -> tuple[float, float]:
    return (
        near if config.near is None else config.near * scale,
        far if config.far is None else config.far * scale,
    )


def _within(distances: Tensor, limits: tuple[float, float]) -> bool:
    return limits[0] <= float(distances.min()) and float(distances.max()) <= limits[1]


def _to_origin(centre: Tensor, distances: Tensor) -> Similarity:
    scale = _DISTANCE / max(float(distances.median()), 1e-9)
    return Similarity(scale, torch.eye(3, dtype=torch.float64), -scale * centre)


def _range_of_box(to_model: Similarity, low: Tensor, high: Tensor, cameras: Cameras) -> tuple[float, float]:
    """From before the sphere around the box to behind it, over all cameras, model units."""
    radius = float((high - low).norm()) / 2 * to_model.scale
    distances = (to_model.apply(cameras.centres.double())).norm(dim=-1)
    near = float(distances.min()) - radius
    return max(near, 0.02 * _DISTANCE), float(distances.max()) + radius


def _corners(points: Tensor) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    low, high = points.amin(0).tolist(), points.amax(0).tolist()
    if not all(map(math.isfinite, [*low, *high])):
        raise InputError("The bounds of the scene are not finite")
    return tuple(low), tuple(high)  # type: ignore[return-value]
