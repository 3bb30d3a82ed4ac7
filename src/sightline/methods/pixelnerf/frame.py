"""Where the network's frame lies in the data's, and how far its rays reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture
from sightline.foundation.errors import InputError, warn
from sightline.geometry.poses import focus_point
from sightline.geometry.similarity import Similarity
from sightline.methods.pixelnerf.config import PixelNerfConfig

_DISTANCE = 2.0
"""of the cameras from the origin in the centred frame"""
_OFF_CENTRE = 0.25
"""of the cameras' distance: how far they may look past the origin before the frame is centred"""
_REACH = 0.6
"""of the cameras' distance: how far rays reach before and behind the origin where nothing says it"""


@dataclass(frozen=True)
class Frame:
    """The network's frame."""

    to_model: Similarity
    near: float
    """in units of the network's frame"""
    far: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {"to_model": self.to_model.to_json(), "near": self.near, "far": self.far}

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Frame":
        """Read what `to_json` wrote."""
        return Frame(Similarity.from_json(value["to_model"]), float(value["near"]), float(value["far"]))


def published_frame(config: PixelNerfConfig) -> Frame:
    """Give the frame without looking at data: the data's own, between the distances of the configuration.

    Raises:
        InputError: the configuration does not say near and far.
    """
    if config.near is None or config.far is None:
        raise InputError(
            "How far rays reach is not known", fix="Give --near and --far, a preset that has them, or --data"
        )
    scale = config.world_scale
    identity = Similarity.identity()
    return Frame(Similarity(scale, identity.rotation, identity.translation), config.near, config.far)


def find_frame(captures: Sequence[Capture], config: PixelNerfConfig) -> Frame:
    """Find the frame from some captures of the data.

    Warns where the cameras of a frame that was not moved look past the origin, or stand where rays between
    near and far cannot meet what is there.
    """
    focus = np.mean([focus_point(capture.cameras.c2w).numpy() for capture in captures], axis=0)
    centres = np.concatenate([capture.cameras.centres.numpy() for capture in captures])
    distance = float(np.median(np.linalg.norm(centres - focus, axis=1)))
    beside = float(np.linalg.norm(focus)) / max(distance, 1e-9)
    centred = config.frame == "centred" or (config.frame == "auto" and beside > _OFF_CENTRE)
    scale = config.world_scale * (_DISTANCE / distance if centred else 1.0)
    translation = -scale * torch.from_numpy(focus) if centred else torch.zeros(3, dtype=torch.float64)
    frame = Similarity(scale, torch.eye(3, dtype=torch.float64), translation)
    near, far = _depth_range(captures, config, scale, distance)
    reach = np.linalg.norm(centres * scale + translation.numpy(), axis=1)
    if not centred and (np.median(reach) < near or np.median(reach) > far or beside > 2 * _OFF_CENTRE):
        warn(
            f"The cameras are {np.median(reach):.3g} from the origin and look at a point "
            f"{beside * distance:.3g} beside it, while rays go from {near:.3g} to {far:.3g}: objects must "
            f"stand at the origin. Use --frame centred, or --near and --far. Where: {captures[0].path}."
        )
    return Frame(frame, near, far)


def _depth_range(
    captures: Sequence[Capture], config: PixelNerfConfig, scale: float, distance: float
) -> tuple[float, float]:
    if config.near is not None and config.far is not None:
        return config.near, config.far
    stated = [(c.near.min(), c.far.max()) for c in captures if c.near is not None and c.far is not None]
    if len(stated) == len(captures):
        near, far = min(near for near, _ in stated), max(far for _, far in stated)
        return float(near) * scale, float(far) * scale
    near, far = (1 - _REACH) * distance, (1 + _REACH) * distance
    warn(
        f"The data does not say how near and far things are; rays go from {near:.3g} to {far:.3g}, around "
        f"the distance of what cameras look at. Where: {captures[0].path}."
    )
    return near * scale, far * scale
