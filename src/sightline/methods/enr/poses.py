"""Cameras as the volume of `enr` sees them, and motions between them."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture
from sightline.geometry import Cameras
from sightline.geometry.turning_volume import camera_turn, relative_motion, volume_poses
from sightline.methods.enr.config import EnrConfig

_MEETS = 1e-3
"""how far beside the world's middle an optical axis may pass, in distances of the camera"""
_STILL = 1e-6


def find_distance(capture: Capture, config: EnrConfig) -> float | None:
    """Find how far the cameras are from what they look at, in units of the data.

    It is what the configuration or the data says; else the cameras' median distance from the middle of the
    world, where all of them look there; else None.
    """
    if config.distance is not None:
        return config.distance
    stated = capture.extras.get("distance")
    if isinstance(stated, int | float) and stated > 0:
        return float(stated)
    centres, forward = capture.cameras.centres, capture.cameras.forward
    away = torch.linalg.vector_norm(centres, dim=1)
    beside = torch.linalg.vector_norm(torch.linalg.cross(centres, forward), dim=1)
    return float(away.median()) if bool((beside <= _MEETS * away).all()) else None


def learnt_poses(
    cameras: Cameras, distance: float, config: EnrConfig
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """Turns, and shifts in half widths of the volume; what the configuration leaves out is still.

    Args:
        distance: of the middle of the volume from the cameras.
    """
    turns, shifts = volume_poses(cameras.c2w, distance)
    shifts = shifts / config.units_per_half_width
    if config.motion == "rotation":
        shifts = torch.zeros_like(shifts)
    elif config.motion == "translation":
        turns = torch.eye(3).to(turns).expand_as(turns)
    return turns, shifts


def left_out(cameras: Cameras, distance: float, config: EnrConfig) -> str | None:
    """Name what of the cameras' motion the configuration leaves out: shifts, turns or None."""
    turns, shifts = volume_poses(cameras.c2w, distance)
    if config.motion == "rotation" and float((shifts - shifts[:1]).abs().max()) > _STILL * distance:
        return "shifts"
    if config.motion == "translation" and float((turns - turns[:1]).abs().max()) > _STILL:
        return "turns"
    return None


def free_motion(
    azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], shift: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 4"]:
    """Motion of a camera away from its source, whose own pose counts as azimuth and elevation 0.

    Args:
        azimuth: radians; the camera moves to its right.
        elevation: radians; the camera moves up.
        shift: of what the camera looks at, towards the source camera, down and right, in half widths of the
            volume. The content moves the other way.
    """
    turns = camera_turn(azimuth, elevation)
    still = torch.eye(3).to(turns).expand_as(turns)
    return relative_motion(still, torch.zeros_like(shift), turns, shift)


def seen_from(
    turn: Float[Tensor, "1 3 3"],
    moved: Float[Tensor, "1 3"],
    azimuth: Float[Tensor, "n"],
    elevation: Float[Tensor, "n"],
    shift: Float[Tensor, "n 3"],
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """Pose that a source must have had so that its own camera sees what a freely moved one does.

    The motion from that pose to the source's is `free_motion` of the other arguments.

    Args:
        turn, moved: turn and shift of the source.
        azimuth, elevation, shift: as of `free_motion`.
    """
    turns = turn @ camera_turn(azimuth, elevation).to(turn).transpose(-1, -2)
    return turns, moved - (turns @ shift.to(turn)[..., None])[..., 0]


def unlearnt_motion(
    motion: str, azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], shift: Float[Tensor, "n 3"]
) -> str | None:
    """Name what of a motion a network that learnt `motion` has never seen: shifts, turns or None."""
    if motion == "rotation" and bool((shift != 0).any()):
        return "shifts"
    if motion == "translation" and bool((azimuth != 0).any() | (elevation != 0).any()):
        return "turns"
    return None


def focal_of(capture: Capture) -> float:
    """Focal length of a capture's first camera in widths of its picture."""
    return float(capture.cameras.fx[0] / capture.cameras.width[0])
