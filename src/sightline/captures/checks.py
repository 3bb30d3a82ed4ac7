"""What can be wrong with the frames of a capture, each with a message that names the frame."""

import os
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.foundation.errors import InputError

if TYPE_CHECKING:
    from sightline.captures.capture import Capture

# Poses written with 6 decimals deviate by 1e-6, those of careless exporters by 1e-4.
ORTHONORMAL_TOLERANCE = 1e-3
_REMOVE = "Remove this frame or estimate its pose again"


def check_pose(matrix: Any, where: str) -> np.ndarray:
    """Check one camera-to-world matrix and give its first three rows, float64 (3, 4).

    InputError for a matrix that is not 3x4 or 4x4, holds NaN or infinity, whose axes are not unit length and
    perpendicular, or that is a mirror image.
    """
    try:
        pose = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("The pose is not a matrix of numbers", where=where, fix=_REMOVE) from error
    if pose.shape not in ((3, 4), (4, 4)):
        raise InputError(
            f"The pose must be a 3x4 or 4x4 matrix, its shape is {pose.shape}", where=where, fix=_REMOVE
        )
    pose = pose[:3]
    if not np.isfinite(pose).all():
        raise InputError(
            "The pose holds NaN or infinite numbers",
            where=where,
            fix=_REMOVE,
        )
    rotation = pose[:, :3]
    deviation = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if deviation > ORTHONORMAL_TOLERANCE:
        raise InputError(
            f"The pose is not a rotation: axes not perpendicular or not of length 1 (off by {deviation:.2g})",
            where=where,
            fix="Remove scale and shear from the matrix; a scaled scene has scaled camera positions only",
        )
    if np.linalg.det(rotation) < 0:
        raise InputError(
            "The pose is mirrored: its axes are left-handed",
            where=where,
            fix="Negate one axis of this camera, or of the world in all frames (x right, y up, z backward)",
        )
    return pose


def resolve_inside(root: Path, file_path: Any, where: str) -> tuple[str, Path]:
    """Turn a `file_path` of a data file into a name (forward slashes) and a path that is inside `root`.

    Backslashes count as separators. InputError for a path that leaves `root`, by `..` or as an absolute path.
    """
    if not isinstance(file_path, str) or not file_path.strip():
        raise InputError(f"The path of the image is missing or not a text: {file_path!r}", where=where)
    text = file_path.replace("\\", "/")
    drive = PureWindowsPath(text).drive
    if drive and os.name != "nt":
        raise _leaves(file_path, root, where)
    # Compared as texts and not resolved: a link inside the folder may lead to images elsewhere.
    base = Path(os.path.abspath(root))
    path = Path(os.path.normpath(base / text))
    for start in (base, root.resolve()):
        if path.is_relative_to(start) and path != start:
            name = path.relative_to(start).as_posix()
            return name, root / name
    raise _leaves(file_path, root, where)


def _leaves(file_path: str, root: Path, where: str) -> InputError:
    return InputError(
        f"The path {file_path!r} leads out of the data folder {str(root)!r}",
        where=where,
        fix="Write paths relative to the data folder, with the images inside it",
    )


def size_ratio(stated: tuple[int, int], actual: tuple[int, int], where: str) -> Fraction:
    """Check an image's size against the size its camera states; give actual / stated.

    The ratio is 1 or the same exact whole factor (up or down) for both sides; else InputError.
    """
    across, down = Fraction(actual[0], stated[0]), Fraction(actual[1], stated[1])
    if across == down and 1 in (across.numerator, across.denominator):
        return across
    raise InputError(
        f"The image has {actual[0]}x{actual[1]} pixels, its camera is stated for {stated[0]}x{stated[1]}",
        where=where,
        fix="Use the images that the cameras were made for, or ones that are smaller by a whole factor",
    )


def require_training_views(capture: "Capture", minimum: int = 2) -> None:
    """Refuse a capture with too few views to train on; a single view shows no depth."""
    count = len(capture.splits.get("train", ()))
    if count >= minimum:
        return
    raise InputError(
        f"The capture has {count} training views of {len(capture)}, at least {minimum} are needed",
        where=capture.path,
        fix="Give more photos with poses"
        if len(capture) < minimum
        else "Hold out fewer views (--holdout 0 holds out none)",
    )


def check_schema(found: int, known: int, what: str, where: object = None) -> None:
    """Refuse a record that a newer version wrote.

    Args:
        what: what it is a record of, for the message.
    """
    if found > known:
        raise InputError(
            f"The record of the {what} has schema {found}, newer than {known}",
            where=where,
            fix="Use a newer version of Sightline",
        )
