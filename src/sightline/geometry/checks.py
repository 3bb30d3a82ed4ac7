"""What makes camera numbers usable; each error names the first camera that is not."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.lenses import LensModel

_ROTATION_TOLERANCE = 1e-3


def read_poses(c2w: Any) -> Tensor:
    """Copy one matrix or many, 3 x 4 or 4 x 4, into an (n, 3, 4) tensor of float64."""
    poses = _tensor("c2w", c2w, torch.float64)
    if poses.ndim == 2:
        poses = poses[None]
    if poses.ndim != 3 or tuple(poses.shape[1:]) not in {(3, 4), (4, 4)}:
        raise InputError(f"Camera poses must be 3 x 4 or 4 x 4 matrices, not {tuple(poses.shape)}")
    if poses.shape[1] == 4:
        last = poses.new_tensor([0.0, 0.0, 0.0, 1.0])
        _refuse(~((poses[:, 3] - last).abs() <= 1e-6).all(-1), "its pose's last row is not 0 0 0 1")
    return poses[:, :3].clone()


def _tensor(name: str, value: Any, dtype: torch.dtype, device: Any = None) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"The cameras' {name} are not an array of numbers ({error})") from error


def read_numbers(name: str, value: Any, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copy one number for all cameras, or one for each, into an (n,) tensor."""
    tensor = _tensor(name, value, dtype, device).reshape(-1)
    if len(tensor) not in {1, n}:
        raise InputError(f"There are {len(tensor)} values of {name} for {n} cameras")
    return tensor.expand(n).clone()


def read_whole(name: str, value: Tensor) -> Tensor:
    """Turn whole numbers (n,) into int64; refuse others."""
    _refuse(~(torch.isfinite(value) & (value == value.round())), f"its {name} is not a whole number")
    return value.long()


def read_coefficients(value: Any, n: int, device: torch.device) -> Tensor:
    """Copy up to 8 distortion coefficients, shared or a row per camera, into an (n, 8) tensor."""
    if value is None:
        return torch.zeros(n, 8, dtype=torch.float64, device=device)
    given = _tensor("distortion coefficients", value, torch.float64, device)
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or given.shape[1] > 8 or len(given) not in {1, n}:
        raise InputError(
            f"Distortion of shape {tuple(given.shape)} does not fit {n} cameras x 8 coefficients"
        )
    padded = torch.zeros(n, 8, dtype=torch.float64, device=device)
    padded[:, : given.shape[1]] = given
    return padded


def _refuse(bad: Tensor, reason: str) -> None:
    if bool(bad.any()):
        index = int(bad.nonzero()[0])
        raise InputError(f"Camera {index} cannot be used: {reason}", where=f"camera index {index}")


def check_cameras(fields: Mapping[str, Tensor]) -> None:
    """Refuse cameras that cannot be used; `fields` are those of `Cameras`, by name."""
    rotation = fields["c2w"][:, :, :3]
    _refuse(~torch.isfinite(fields["c2w"]).flatten(1).all(-1), "its pose holds a number that is not finite")
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    deviation = (rotation.mT @ rotation - identity).abs().amax((1, 2))
    _refuse(deviation > _ROTATION_TOLERANCE, "its rotation is not orthonormal (scaled, sheared or damaged)")
    _refuse(torch.linalg.det(rotation) < 0, "its rotation is mirrored (determinant -1)")
    for name in ("fx", "fy", "cx", "cy"):
        _refuse(~torch.isfinite(fields[name]), f"its {name} is not finite")
    for name in ("fx", "fy", "width", "height"):
        _refuse(fields[name] <= 0, f"its {name} is not positive")
    _refuse(~torch.isfinite(fields["distortion"]).all(-1), "its distortion is not finite")
    _refuse((fields["lens"] < 0) | (fields["lens"] >= len(LensModel)), "its lens model is unknown")
