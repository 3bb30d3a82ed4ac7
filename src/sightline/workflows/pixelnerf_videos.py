"""The camera paths of pixelNeRF's videos, in the frames of the data sets that they go around."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry.pixelnerf_paths import dtu_path, object_orbit, photo_orbit
from sightline.geometry.poses import normalise, up_direction

PATH = "pixelnerf"
PHOTO = "photo"
"""format of a capture that a method made of a photo without camera"""
_FRAMES, _PHOTO_FRAMES = 40, 24
_PER_SECOND, _PHOTO_PER_SECOND = 30.0, 15.0
_ELEVATION = 10.0
"""degrees above objects of data sets; a photo's own height otherwise"""
_SAME = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_FROM_Z_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
_WORLDS = {
    "srn": _SAME,
    "multi-object": _SAME,
    "nmr": _FROM_Z_UP,
    "nmr-unseen": _FROM_Z_UP,
    "dtu": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
}
"""format of a data set → rows of the rotation from the published program's world into its own"""


def has_path(capture: Capture) -> bool:
    """Whether the published program makes videos of such data."""
    return capture.format in _WORLDS or capture.format == PHOTO


def frames_per_second(capture: Capture) -> float:
    """How fast the published videos of such data are."""
    return _PHOTO_PER_SECOND if capture.format == PHOTO else _PER_SECOND


def middle_of_photo(capture: Capture) -> Float[Tensor, "3"]:
    """Where the object of a photo is: ahead of its camera, at the middle of near and far."""
    pose = capture.cameras.c2w[0].double()
    return pose[:, 3] - _radius(capture) * pose[:, 2]


def path_poses(
    capture: Capture, frames: int | None = None, elevation: float | None = None
) -> Float[Tensor, "frames2 3 4"]:
    """Make the published path around an object, of a photo, or over a scan of DTU.

    An orbit is around the origin, or before a photo's camera, at the middle of near and far; other data than
    that of the published experiments has its own upward direction.

    Args:
        frames: 40, or 24 for a photo, where not given; six fifths of it come out for DTU, as published.
        elevation: degrees above the object: 10, or 0 for a photo, where not given.

    Raises:
        InputError: an elevation for DTU, or a scan without the frame that its path is in.
    """
    if capture.format == PHOTO:
        around = photo_orbit(frames or _PHOTO_FRAMES, _radius(capture), -(elevation or 0.0))
        # Its origin is in the object, and its axes are the photo's camera's.
        turn, middle = capture.cameras.c2w[0, :, :3].double(), middle_of_photo(capture)
        return torch.cat([turn @ around[..., :3], turn @ around[..., 3:] + middle[:, None]], -1)
    if capture.format == "dtu":
        if elevation is not None:
            raise InputError(
                "The path over scans of DTU has no elevation", where="--elevation", fix="Leave it away"
            )
        if capture.near is None:
            raise InputError(
                "The scan is not normalised, and the path is made for scans that are",
                where=capture.path,
                fix="Use --path orbit or interpolate",
            )
        return _turned(_WORLDS["dtu"], dtu_path(frames or _FRAMES))
    level = object_orbit(
        frames or _FRAMES, _radius(capture), -(_ELEVATION if elevation is None else elevation)
    )
    return _turned(_WORLDS.get(capture.format) or _onto(up_direction(capture.cameras.c2w)), level)


def _radius(capture: Capture) -> float:
    if capture.near is not None and capture.far is not None:
        return float(capture.near.min() + capture.far.max()) / 2
    return float(capture.cameras.centres.norm(dim=-1).median())


def _turned(world: Tensor | tuple, poses: Tensor) -> Tensor:
    return torch.as_tensor(world, dtype=torch.float64) @ poses


def _onto(up: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Make a rotation that takes z to `up`, by the shortest turn."""
    up = normalise(up.double())
    z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    if float(up[2]) < -1 + 1e-9:
        return torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    x, y, w = torch.linalg.cross(z, up).tolist()
    cross = torch.tensor([[0.0, -w, y], [w, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + cross + cross @ cross / (1 + up[2])
