"""Algebra of camera poses: making, averaging, aligning and interpolating them, and reading a scene's layout
off them.

Poses are c2w matrices (3 x 4) with camera axes x right, y up, z backward; everything is computed in float64.
Quaternions have w first.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry.similarity import Similarity

_PARALLEL = 1e-4
"""optical axes count as parallel below this mean squared sine of their angles (about half a degree)"""


def normalise(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Scale vectors to unit length; zero stays zero."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min(1e-300)


def look_at(
    eye: Float[Tensor, "*batch 3"],
    target: Float[Tensor, "*#batch 3"],
    up: Float[Tensor, "*#batch 3"],
) -> Float[Tensor, "*batch 3 4"]:
    """Make poses at `eye` that look at `target`, with `up` upwards in the picture.

    Where `up` is along the view, or the target is the eye itself, another axis takes its place: the answer is
    always a valid pose.
    """
    eye = eye.double()
    up = normalise(up.to(eye)).expand_as(eye)
    backward = normalise(eye - target.to(eye))
    backward = torch.where(_vanishes(backward), _some_perpendicular(up), backward)
    right = torch.linalg.cross(up, backward)
    right = normalise(torch.where(_vanishes(right), _some_perpendicular(backward), right))
    return torch.stack([right, torch.linalg.cross(backward, right), backward, eye], -1)


def _vanishes(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True) < 1e-8


def _some_perpendicular(vectors: Tensor) -> Tensor:
    """Unit vectors at right angles to unit vectors, from the coordinate axis that is least along each."""
    axis = torch.nn.functional.one_hot(vectors.abs().argmin(-1), 3).to(vectors)
    return normalise(torch.linalg.cross(axis, vectors))


def average_pose(c2w: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3 4"]:
    """Average poses: mean centre, mean viewing direction, mean up (LLFF).

    Where the viewing directions cancel (cameras all around their subject), the first camera's takes their
    place.
    """
    c2w = c2w.double()
    mean = c2w.mean(0)
    centre = mean[:, 3]
    backward = torch.where(_vanishes(mean[:, 2]), c2w[0, :, 2], mean[:, 2])
    return look_at(centre, centre - backward, mean[:, 1])


def recentre(c2w: Float[Tensor, "n 3 4"]) -> tuple[Float[Tensor, "n 3 4"], Similarity]:
    """Move the world so that the average pose becomes the identity.

    Returns:
        The poses in the new frame, and the map from the old frame to it.
    """
    average = average_pose(c2w)
    rotation = average[:, :3].T.contiguous()
    moved = Similarity(1.0, rotation, -(rotation @ average[:, 3]))
    return transform_poses(c2w, moved), moved


def transform_poses(c2w: Float[Tensor, "n 3 4"], similarity: Similarity) -> Float[Tensor, "n 3 4"]:
    """Express poses in another frame; their rotations stay rotations."""
    c2w = c2w.double()
    centres = similarity.apply(c2w[:, :, 3])
    return torch.cat([similarity.rotation.to(c2w) @ c2w[:, :, :3], centres[:, :, None]], -1)


def fit_similarity(source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"]) -> Similarity:
    """Find the similarity that maps source points to target points with least squared error (Umeyama 1991).

    Where the points leave something open (fewer than three, or all on a line), one of the best maps is
    returned. Source points that all coincide, or targets that do, give scale 1.
    """
    source, target = source.double(), target.double()
    source_mean, target_mean = source.mean(0), target.mean(0)
    source_offsets, target_offsets = source - source_mean, target - target_mean
    u, spread, vt = torch.linalg.svd(target_offsets.T @ source_offsets)
    signs = torch.ones_like(spread)
    # Without this the best orthogonal matrix may be a reflection.
    signs[2] = torch.where(torch.linalg.det(u) * torch.linalg.det(vt) < 0, -1.0, 1.0)
    rotation = (u * signs) @ vt
    variance = float((source_offsets**2).sum())
    scale = float((spread * signs).sum()) / variance if variance > 0 else 1.0
    scale = scale if scale > 0 else 1.0
    return Similarity(scale, rotation, target_mean - scale * (rotation @ source_mean))


def rotation_to_quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Turn rotation matrices into unit quaternions, w first and not negative (Shepperd 1978)."""
    m = rotation.double()
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Row i holds the quaternion times four of its i-th entry; the row of the largest entry is the accurate
    # one.
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, wx, wy, wz], -1),
            torch.stack([wx, 1 + xx - yy - zz, xy, xz], -1),
            torch.stack([wy, xy, 1 - xx + yy - zz, yz], -1),
            torch.stack([wz, xz, yz, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quaternion = torch.take_along_dim(candidates, best[..., None, None], -2).squeeze(-2)
    quaternion = quaternion / torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def quaternion_to_rotation(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn quaternions (w first, of any length but zero) into rotation matrices."""
    q = quaternion.double()
    w, x, y, z = (q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def slerp(
    start: Float[Tensor, "m 4"], end: Float[Tensor, "m 4"], fraction: Float[Tensor, "m"]
) -> Float[Tensor, "m 4"]:
    """Interpolate unit quaternions along the shorter arc at constant angular speed (Shoemake 1985)."""
    dot = (start * end).sum(-1, keepdim=True)
    end = torch.where(dot < 0, -end, end)
    angle = torch.acos(dot.abs().clamp_max(1.0))
    fraction = fraction.to(start)[:, None]
    sine = torch.sin(angle)
    # Below this angle the arc is a line to rounding, and the quotients are 0/0.
    near = sine < 1e-8
    sine = torch.where(near, torch.ones_like(sine), sine)
    first = torch.where(near, 1 - fraction, torch.sin((1 - fraction) * angle) / sine)
    second = torch.where(near, fraction, torch.sin(fraction * angle) / sine)
    mixed = first * start + second * end
    return mixed / torch.linalg.vector_norm(mixed, dim=-1, keepdim=True)


def interpolate_poses(
    c2w: Float[Tensor, "n 3 4"], t: Float[Tensor, "m"], loop: bool = False
) -> Float[Tensor, "m 3 4"]:
    """Go smoothly through poses: slerp for rotations, a centripetal Catmull-Rom spline for centres.

    Args:
        c2w: the poses to go through, in order; `t` = i is the i-th one.
        t: from 0 to n - 1, or to n with `loop`; beyond that, the end stays (or the loop goes on).
        loop: go on from the last pose to the first.
    """
    c2w = c2w.double()
    n = len(c2w)
    t = t.to(c2w)
    if n == 1:
        return c2w.expand(len(t), 3, 4).clone()
    t = torch.remainder(t, n) if loop else t.clamp(0, n - 1)
    segment = t.floor().long().clamp_max(n - 1 if loop else n - 2)
    fraction = t - segment
    quaternions = rotation_to_quaternion(c2w[:, :, :3])
    rotation = quaternion_to_rotation(slerp(quaternions[segment], quaternions[(segment + 1) % n], fraction))
    centre = _catmull_rom(c2w[:, :, 3], segment, fraction, loop)
    return torch.cat([rotation, centre[:, :, None]], -1)


def _catmull_rom(points: Tensor, segment: Tensor, fraction: Tensor, loop: bool) -> Tensor:
    """Evaluate the centripetal Catmull-Rom spline; beyond an open end, points go on as they came.

    Centripetal (knots apart by the root of the distance, Yuksel 2011): the uniform one makes loops and cusps
    where distances are unequal.
    """
    if loop:
        padded = torch.cat([points[-1:], points, points[:2]])
    else:
        padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    knots = padded.diff(dim=0).norm(dim=-1, keepdim=True).sqrt()
    # Points that coincide: the path stops there.
    knots = knots.clamp_min(1e-9 * float(knots.max())).clamp_min(1e-150)
    slopes = padded.diff(dim=0) / knots
    before, own, after = (knots[segment + k] for k in range(3))
    start, end = padded[segment + 1], padded[segment + 2]
    start_tangent = (own * slopes[segment] + before * slopes[segment + 1]) * (own / (before + own))
    end_tangent = (after * slopes[segment + 1] + own * slopes[segment + 2]) * (own / (own + after))
    f = fraction[:, None]
    # Cubic Hermite form.
    return (
        (1 + 2 * f) * (1 - f) ** 2 * start
        + f * (1 - f) ** 2 * start_tangent
        + f**2 * (3 - 2 * f) * end
        - f**2 * (1 - f) * end_tangent
    )


def focus_point(c2w: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3"]:
    """Find the point nearest to all optical axes, by least squares.

    Where the axes do not meet in front of the cameras (`axes_meet`), the answer is a point on the mean axis,
    ahead by four times the cameras' spread (1 where they share one centre).
    """
    c2w = c2w.double()
    point = _meeting_point(c2w)
    if point is not None:
        return point
    average = average_pose(c2w)
    centres = c2w[:, :, 3]
    spread = float((centres - centres.mean(0)).norm(dim=-1).square().mean().sqrt())
    return average[:, 3] - (4 * spread if spread > 0 else 1.0) * average[:, 2]


def axes_meet(c2w: Float[Tensor, "n 3 4"]) -> bool:
    """Whether the optical axes come together at a point that lies in front of most cameras."""
    return _meeting_point(c2w.double()) is not None


def nearest_to_axes(c2w: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3"] | None:
    """Find the point nearest to all optical axes, in front of the cameras or behind, by least squares.

    None where the axes are parallel, so that there is no such point.
    """
    c2w = c2w.double()
    forward, centres = -normalise(c2w[:, :, 2]), c2w[:, :, 3]
    # The squared distance from p to axis i is |across_i (p - centre_i)|².
    across = torch.eye(3).to(c2w) - forward[:, :, None] * forward[:, None, :]
    mean = across.mean(0)
    if float(torch.linalg.eigvalsh(mean)[0]) < _PARALLEL:
        return None
    # Relative to the mean centre, so that far-off world origins cost no digits.
    origin = centres.mean(0)
    right_side = (across @ (centres - origin)[:, :, None]).mean(0)[:, 0]
    return origin + torch.linalg.solve(mean, right_side)


def _meeting_point(c2w: Tensor) -> Tensor | None:
    point = nearest_to_axes(c2w)
    if point is None:
        return None
    depth = -((point - c2w[:, :, 3]) * normalise(c2w[:, :, 2])).sum(-1)
    return point if float(depth.median()) > 0 else None


def up_direction(c2w: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3"]:
    """Estimate which way is up in the world (unit length).

    Photographers hold the horizon level, so up is the direction at right angles to all camera x axes, turned
    to the side of the mean camera y axis (of the mean camera z axis where cameras look straight down and
    their y axes cancel). Where the x axes do not tell, all alike or the camera held both ways, it is the mean
    camera y axis.
    """
    c2w = c2w.double()
    right, up, backward = c2w[:, :, 0], c2w[:, :, 1].mean(0), c2w[:, :, 2].mean(0)
    values, vectors = torch.linalg.eigh(right.T @ right / len(right))
    level = vectors[:, 0]
    if bool(values[1] > 0.02) and bool(values[0] < 0.25 * values[1]):
        lean = float(level @ up)
        if abs(lean) > 0.3 * float(up.norm()):
            return level if lean > 0 else -level
        if float(up.norm()) < 0.2:
            return level if float(level @ backward) >= 0 else -level
    return normalise(up) if float(up.norm()) > 1e-6 else c2w[0, :, 1].clone()
