"""How published systems treat the poses and depth bounds of a capture before they train on it.

A capture keeps the frame and the units of its files. A method that works in a frame of its own calls one of
`TREATMENTS` by name when it prepares, trains on `Treated.c2w`, and undoes `Treated.similarity` in everything
that leaves it. Depth bounds are per view and along the optical axis, in the units of the poses beside them.

LLFF captures (Mildenhall 2019) come in two layouts. In a forward-facing one every ray goes ahead (-z of the
average camera), so normalised device coordinates reach from the near plane to infinity. In a 360 one the
cameras stand around their subject, and a finite range of depths in world space is needed (`depth_range`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.cameras import Cameras
from sightline.geometry.poses import nearest_to_axes, normalise, recentre, transform_poses
from sightline.geometry.similarity import Similarity

NEAREST_DEPTH = 4 / 3
"""where the nearest depth bound of a capture lies after `recentre_and_scale`"""
_SPHERIFY_REFERENCE = (0.1, 0.2, 0.3)
"""fixes the turn about the up axis, which nothing else does"""
# Share of the views whose near bounds, and far bounds, the robust range covers.
_COVERED = 0.95
_MARGIN = 0.9

Layout = Literal["forward-facing", "360"]


@dataclass(frozen=True, eq=False)
class Treated:
    """Poses and depth bounds in the frame that a treatment made."""

    c2w: Float[Tensor, "n 3 4"]
    near: Float[Tensor, "n"]
    far: Float[Tensor, "n"]
    similarity: Similarity
    """from the frame of the files to this one; lengths and bounds are multiplied by its scale"""


def untreated(c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"]) -> Treated:
    """Keep the frame of the files, as all systems do with Blender and DeepVoxels captures."""
    return Treated(c2w.double(), near.double(), far.double(), Similarity.identity())


def recentre_and_scale(
    c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"]
) -> Treated:
    """Make the average pose the identity and put the nearest depth at 4/3 (LLFF captures, all systems).

    The scale is 1 / (0.75 x the least depth bound). Systems differ in whether they scale before or after they
    recentre, which gives the same.

    Raises:
        InputError: a bound is not a positive number.
    """
    recentred, similarity = recentre(c2w)
    return _scaled(recentred, near, far, similarity, scale_factor(near, far))


def spherify(c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"]) -> Treated:
    """Put the subject of a 360 capture at the origin, up along z, the cameras at distance 1 (bmild).

    The poses are recentred and scaled first. The subject is the point nearest to all optical axes, up is from
    there to the mean camera, and the root mean square distance of the cameras becomes 1.

    Raises:
        InputError: a bound is not a positive number, the optical axes are parallel, so that there is no
            subject, or the cameras stand evenly around it, so that there is no up.
    """
    first = recentre_and_scale(c2w, near, far)
    subject = nearest_to_axes(first.c2w)
    if subject is None:
        raise InputError(
            "The cameras look in parallel directions, so there is no point that they stand around",
            fix="Treat this capture as forward-facing",
        )
    centres = first.c2w[:, :, 3]
    up = centres.mean(0) - subject
    spread = (centres - subject).square().sum(-1).mean().sqrt()
    if float(up.norm()) < 1e-6 * float(spread):
        raise InputError(
            "The cameras stand evenly on all sides of their subject, so this treatment finds no up",
            fix="Recentre and scale the capture instead, or leave its frame as it is",
        )
    z = normalise(up)
    x = normalise(torch.linalg.cross(torch.tensor(_SPHERIFY_REFERENCE).to(z), z))
    y = normalise(torch.linalg.cross(z, x))
    rotation = torch.stack([x, y, z])
    moved = Similarity(1.0, rotation, -(rotation @ subject))
    poses = transform_poses(first.c2w, moved)
    scale = 1 / float(poses[:, :, 3].square().sum(-1).mean().sqrt())
    return _scaled(poses, first.near, first.far, moved.compose(first.similarity), scale)


TREATMENTS: dict[str, Callable[[Tensor, Tensor, Tensor], Treated]] = {
    "none": untreated,
    "recentre": recentre_and_scale,
    "spherify": spherify,
}
"""treatments by name"""


def treat(
    name: str, c2w: Float[Tensor, "n 3 4"], near: Float[Tensor, "n"], far: Float[Tensor, "n"]
) -> Treated:
    """Apply the treatment `name`; InputError lists the names there are."""
    if name not in TREATMENTS:
        raise InputError(
            f"There is no treatment of poses {name!r}", fix=f"Choose one of: {', '.join(TREATMENTS)}"
        )
    return TREATMENTS[name](c2w, near, far)


def scale_factor(near: Float[Tensor, "n"], far: Float[Tensor, "n"]) -> float:
    """Find the scale that puts the least depth bound at 4/3; InputError where one is not positive."""
    least = float(torch.minimum(near, far).min())
    if not least > 0:
        raise InputError(
            f"The depth bounds of the capture start at {least:g}, so its size is unknown",
            fix="Depth bounds must be positive: estimate them again, or open the capture's COLMAP model",
        )
    return NEAREST_DEPTH / least


def _scaled(c2w: Tensor, near: Tensor, far: Tensor, similarity: Similarity, scale: float) -> Treated:
    grow = Similarity(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    return Treated(
        transform_poses(c2w, grow), near.double() * scale, far.double() * scale, grow.compose(similarity)
    )


def depth_range(
    near: Float[Tensor, "n"], far: Float[Tensor, "n"], rule: str = "nerf_pl"
) -> tuple[float, float]:
    """Choose one range of depths for rays in world space, from the bounds of all views.

    Args:
        near: bounds of each view, in the units that rays are in.
        far: the same for the farthest depth.
        rule: `nerf_pl` (flax_nerf too): from the least bound to the greatest, at most 8 times the least;
            `bmild`: from 0.9 times the least to the greatest; `robust`: from 0.9 times the near bound that
            95 % of the views keep to the far bound that 95 % keep, so that a few stray points in one view do
            not cut off what the others see.

    Raises:
        InputError: an unknown rule.
    """
    least, most = float(torch.minimum(near, far).min()), float(torch.maximum(near, far).max())
    if rule == "nerf_pl":
        return least, min(8 * least, most)
    if rule == "bmild":
        return _MARGIN * least, most
    if rule == "robust":
        low = float(torch.quantile(near.double(), 1 - _COVERED))
        return _MARGIN * low, float(torch.quantile(far.double(), _COVERED))
    raise InputError(f"There is no depth range {rule!r}", fix="Choose one of: nerf_pl, bmild, robust")


def shell_range(c2w: Float[Tensor, "n 3 4"], margin: float = 1.0) -> tuple[float, float]:
    """Give the depths of a subject of radius `margin` at the origin (DeepVoxels): mean distance -+ margin."""
    distance = float(c2w[:, :, 3].double().norm(dim=-1).mean())
    return distance - margin, distance + margin


def central_view(c2w: Float[Tensor, "n 3 4"]) -> int:
    """Find the view nearest to the mean of all camera centres; the earliest of equals."""
    centres = c2w[:, :, 3].double()
    return int((centres - centres.mean(0)).norm(dim=-1).argmin())


def capture_layout(cameras: Cameras) -> Layout:
    """Tell a forward-facing capture from a 360 one.

    It is forward-facing where every ray of every camera goes ahead of the average camera, which is what
    normalised device coordinates need.
    """
    c2w, _ = recentre(cameras.c2w)
    indices = torch.arange(len(cameras))
    width, height = cameras.width.double(), cameras.height.double()
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        corners = torch.stack([x * width, y * height], -1)
        directions, _ = cameras.local_directions(indices, corners)
        if bool(((c2w[:, 2, :3] * directions).sum(-1) >= 0).any()):
            return "360"
    return "forward-facing"
