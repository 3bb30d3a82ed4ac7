"""How near and far from its cameras a scene is."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture, Points
from sightline.foundation.errors import InputError, warn
from sightline.geometry import Cameras, axes_meet, focus_point

# Depths of a scene of which the cameras alone are known, in distances from what they look at.
_GUESSED = (0.2, 4.0)
# Points of the sparse model that may be nearer than near, or farther than far, in a view.
_STRAY = (0.001, 0.999)


def view_bounds(
    capture: Capture, near: float | None = None, far: float | None = None
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Depths (n,) of the nearest and farthest matter of each view, in units of the data.

    They are the given ones, else the capture's, else those of its sparse points, else guessed from how far
    the cameras are from what they all look at, with a warning.

    Raises:
        InputError: nothing tells, or what is given is not above 0.
    """
    if near is not None and far is not None:
        if not near > 0:
            raise InputError(
                "The size of the scene follows from where it is nearest to the cameras, and that is given as "
                f"{near:g}",
                where="--near",
                fix="Give a --near above 0, in units of the data, or leave --near and --far away",
            )
        return _same_for_all(capture, near, far)
    if capture.near is not None and capture.far is not None:
        return torch.from_numpy(capture.near), torch.from_numpy(capture.far)
    if capture.points is not None and len(capture.points):
        return _bounds_of_points(capture, capture.points)
    if not axes_meet(capture.cameras.c2w):
        raise InputError(
            "It is not known how near and far the scene is: the capture has neither depths nor points",
            where=capture.path,
            fix="Give --near and --far in units of the data, or open a COLMAP model or poses_bounds.npy",
        )
    _, distances = looked_at(capture.cameras)
    near, far = _GUESSED[0] * float(distances.min()), _GUESSED[1] * float(distances.max())
    warn(
        f"The capture does not say how near and far its scene is: depths from {near:.3g} to {far:.3g} are "
        "guessed from the cameras. Give --near and --far, in units of the data, where you know better"
    )
    return _same_for_all(capture, near, far)


def _same_for_all(capture: Capture, near: float, far: float) -> tuple[Tensor, Tensor]:
    like = torch.ones(len(capture), dtype=torch.float64)
    return near * like, far * like


def _bounds_of_points(capture: Capture, sparse: Points) -> tuple[Tensor, Tensor]:
    points = torch.from_numpy(sparse.positions)
    rows = []
    for view in range(len(capture)):
        seen = capture.cameras.sees(points, view)
        if int(seen.sum()) < 2:
            continue
        _, depth = capture.cameras.project(points[seen], view)
        rows.append(torch.quantile(depth.double(), torch.tensor(_STRAY, dtype=torch.float64)))
    if not rows:
        raise InputError("No view sees any of the capture's points", where=capture.path)
    # What a view without points sees is taken to be as far as what the others do.
    near, far = torch.stack(rows).unbind(-1)
    count = len(capture) - len(rows)
    return torch.cat([near, near.min().expand(count)]), torch.cat([far, far.max().expand(count)])


def looked_at(cameras: Cameras) -> tuple[Float[Tensor, "3"], Float[Tensor, "n"]]:
    """Find the point that the optical axes meet nearest, and the cameras' distances from it."""
    focus = focus_point(cameras.c2w).double()
    return focus, (cameras.centres.double() - focus).norm(dim=-1)
