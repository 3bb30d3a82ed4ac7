"""Camera paths to render along, made from a capture's cameras.

Each path function takes the capture's cameras as its reference: they give the intrinsics, the size of the
pictures, the up direction and what the path turns about. Every camera of a path is a pinhole without
distortion and has the same size, with even numbers of pixels (video encoders need that). Shared arguments:

    frames: number of cameras.
    width, height: pixels, rounded down to even numbers; the first reference camera's where not given, and
        where only one is given, the other keeps its aspect. The vertical field of view and the pixels' shape
        stay.
    focus: the point to look at; found from the cameras where not given.
    points: points of the scene (a sparse reconstruction, say) that tell how far away it is, where the
        cameras' own axes do not.

Paths are functions of a `Layout`, so another path is one function more. Those of published systems are in
`published_paths`.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.cameras import Cameras
from sightline.geometry.path_files import (
    frames_per_second,
    from_file,
    reference_intrinsics,
    scaled_size,
    to_file,
)
from sightline.geometry.poses import (
    average_pose,
    axes_meet,
    focus_point,
    interpolate_poses,
    look_at,
    normalise,
    rotation_to_quaternion,
    up_direction,
)

__all__ = [
    "Layout",
    "circle",
    "frames_per_second",
    "from_file",
    "interpolate",
    "orbit",
    "path_cameras",
    "spiral",
    "survey",
    "to_file",
    "zooming",
]

_STEEPEST = 85.0
"""degrees of elevation; beyond, up would lose its meaning"""
_SURROUNDED = 200.0
"""degrees around the focus that cameras must cover to count as surrounding it"""


@dataclass(frozen=True)
class Layout:
    """What a path needs to know of a capture: lengths in world units, angles in radians."""

    focus: Float[Tensor, "3"]
    up: Float[Tensor, "3"]
    average: Float[Tensor, "3 4"]
    """average pose of the cameras"""
    distance: float
    """median distance of the cameras from the focus"""
    elevation: float
    """mean angle of the cameras above the focus"""
    height: float
    """median height of the cameras above the focus"""
    level_distance: float
    """median distance of the cameras from the vertical axis through the focus"""
    start: Float[Tensor, "3"]
    """horizontal unit vector from the focus towards the first camera"""
    surrounded: bool
    """whether the cameras look at the focus from all around"""
    offsets: Float[Tensor, "n 3"]
    """camera centres in the frame of the average pose"""


def survey(
    cameras: Cameras, focus: Float[Tensor, "3"] | None = None, points: Float[Tensor, "m 3"] | None = None
) -> Layout:
    """Measure how the cameras of a capture stand around what they look at."""
    if len(cameras) == 0:
        raise InputError("A camera path needs at least one reference camera")
    c2w = cameras.c2w
    up, average = up_direction(c2w), average_pose(c2w)
    focus = _find_focus(cameras, average, points) if focus is None else focus.to(c2w)
    arms = cameras.centres - focus
    heights = arms @ up
    level = arms - heights[:, None] * up
    level_distances = level.norm(dim=-1)
    distances = arms.norm(dim=-1)
    distance = float(distances.median())
    start = level[0] if float(level_distances[0]) > 1e-6 * distance else average[:, 0]
    start = normalise(start - (start @ up) * up)
    angles = torch.rad2deg(torch.atan2(level @ torch.linalg.cross(up, start), level @ start))
    return Layout(
        focus=focus,
        up=up,
        average=average,
        distance=distance if distance > 0 else 1.0,
        elevation=float(torch.atan2(heights, level_distances).mean()),
        height=float(heights.median()),
        level_distance=float(level_distances.median()),
        start=start,
        surrounded=axes_meet(c2w) and 360 - _largest_gap(angles) > _SURROUNDED,
        offsets=(cameras.centres - average[:, 3]) @ average[:, :3],
    )


def _find_focus(cameras: Cameras, average: Tensor, points: Tensor | None) -> Tensor:
    if points is None or len(points) == 0 or axes_meet(cameras.c2w):
        return focus_point(cameras.c2w)
    depths = -(points.to(average) - average[:, 3]) @ average[:, 2]
    ahead = depths[depths > 0]
    if len(ahead) == 0:
        return focus_point(cameras.c2w)
    return average[:, 3] - ahead.median() * average[:, 2]


def _largest_gap(degrees: Tensor) -> float:
    ordered = degrees.sort().values
    return float(torch.cat([ordered[1:], ordered[:1] + 360]).sub(ordered).max())


def orbit(
    cameras: Cameras,
    frames: int = 120,
    *,
    elevation: float | int | None = None,
    distance: float | int | None = None,
    width: int | None = None,
    height: int | None = None,
    focus: Float[Tensor, "3"] | None = None,
    points: Float[Tensor, "m 3"] | None = None,
) -> Cameras:
    """A full turn about the up axis through the focus, at the cameras' median distance, looking at the focus.

    It starts at the azimuth of the first camera and goes anticlockwise seen from above; the last frame is one
    step before the first, so the video loops.

    Args:
        elevation: degrees above the focus, kept within 85; the cameras' mean elevation where not given.
        distance: from the focus; the cameras' median distance where not given.
    """
    layout = survey(cameras, focus, points)
    away = layout.distance if distance is None else float(distance)
    degrees = math.degrees(layout.elevation) if elevation is None else float(elevation)
    angle = math.radians(min(max(degrees, -_STEEPEST), _STEEPEST))
    return _ring(
        cameras,
        layout,
        frames,
        away * math.cos(angle),
        away * math.sin(angle),
        width,
        height,
    )


def circle(
    cameras: Cameras,
    frames: int = 120,
    *,
    width: int | None = None,
    height: int | None = None,
    focus: Float[Tensor, "3"] | None = None,
    points: Float[Tensor, "m 3"] | None = None,
) -> Cameras:
    """A circle where the cameras were, looking at the focus.

    Around a subject that the cameras surround it is level, at their median height and distance from the axis.
    Otherwise (a forward-facing capture, an arc) it is a small circle in the plane of the average picture
    about the average camera, as wide as the median camera is off it, and at most half the way to the focus.
    """
    layout = survey(cameras, focus, points)
    if layout.surrounded:
        # Not so steep that up loses its meaning, where the cameras look from above.
        radius = max(layout.level_distance, 0.1 * layout.distance)
        return _ring(cameras, layout, frames, radius, layout.height, width, height)
    centre = layout.average[:, 3]
    radius = float(layout.offsets[:, :2].norm(dim=-1).median())
    radius = min(radius or 0.05 * layout.distance, 0.5 * float((layout.focus - centre).norm()))
    angles = _turns(frames, 1).to(centre)
    eyes = centre + radius * (
        torch.cos(angles)[:, None] * layout.average[:, 0] + torch.sin(angles)[:, None] * layout.average[:, 1]
    )
    return path_cameras(cameras, look_at(eyes, layout.focus, layout.up), width, height)


def spiral(
    cameras: Cameras,
    frames: int = 120,
    *,
    turns: int = 2,
    depth: float | None = None,
    width: int | None = None,
    height: int | None = None,
    focus: Float[Tensor, "3"] | None = None,
    points: Float[Tensor, "m 3"] | None = None,
) -> Cameras:
    """The spiral of forward-facing captures (LLFF): around the average camera, wide as the cameras are, and
    back.

    All frames look at the point of the average camera's axis at the depth of the focus. Where the cameras
    surround their subject, and an average camera means nothing, the spiral is about the first camera and a
    tenth of the distance wide.

    Args:
        turns: how often it goes around.
        depth: distance of the point it looks at, in world units; that of the focus where not given.
    """
    layout = survey(cameras, focus, points)
    if layout.surrounded:
        base = look_at(cameras.centres[0], layout.focus, layout.up)
        radii = torch.full((3,), 0.1 * layout.distance).to(base)
    else:
        base = layout.average
        radii = torch.quantile(layout.offsets.abs(), 0.9, dim=0)
    if depth is None:
        ahead = float((base[:, 3] - layout.focus) @ base[:, 2])
        depth = ahead if ahead > 0 else layout.distance
    angles = _turns(frames, turns).to(base)
    shape = torch.stack([torch.cos(angles), -torch.sin(angles), -torch.sin(angles / turns)], -1)
    # Keep well before the point that is looked at, also where the cameras' spread in depth is large.
    local = shape * radii.clamp(max=torch.tensor([torch.inf, torch.inf, 0.5 * depth]).to(radii))
    eyes = local @ base[:, :3].T + base[:, 3]
    target = base[:, 3] - depth * base[:, 2]
    return path_cameras(cameras, look_at(eyes, target, base[:, 1]), width, height)


def interpolate(
    cameras: Cameras,
    frames: int = 120,
    loop: bool = False,
    *,
    width: int | None = None,
    height: int | None = None,
) -> Cameras:
    """Go through the given poses in order at constant speed, from the first to the last, or around with
    `loop`.

    Centres follow a Catmull-Rom spline, rotations the shorter arc. Where the camera only turns, its angle
    sets the pace.
    """
    t = _even_pace(cameras, frames, loop)
    return path_cameras(cameras, interpolate_poses(cameras.c2w, t, loop), width, height)


def zooming(
    cameras: Cameras,
    frames: int = 120,
    loop: bool = False,
    *,
    width: int | None = None,
    height: int | None = None,
) -> Cameras:
    """Go through the given poses as `interpolate` does, with each one's own field of view.

    Between them the focal length changes by even factors.
    """
    t = _even_pace(cameras, frames, loop)
    path = path_cameras(cameras, interpolate_poses(cameras.c2w, t, loop), width, height)
    zoom = torch.log(cameras.fy / cameras.height)
    before, n = t.floor().long(), len(cameras)
    if loop:
        after = (before + 1) % n
    else:
        before = before.clamp_max(n - 1)
        after = (before + 1).clamp_max(n - 1)
    part = torch.exp(torch.lerp(zoom[before % n], zoom[after], t - before) - zoom[0])
    return replace(path, fx=path.fx * part, fy=path.fy * part)


def _even_pace(cameras: Cameras, frames: int, loop: bool) -> Tensor:
    """Places along the poses (see `interpolate_poses`) that are passed at constant speed, float64."""
    frames, n = _checked(frames), len(cameras)
    if n == 0:
        raise InputError("A camera path needs at least one reference camera")
    segments = n if loop and n > 1 else n - 1
    if segments == 0:
        return torch.zeros(frames, dtype=torch.float64, device=cameras.device)
    fine = torch.linspace(0, segments, 64 * segments + 1, dtype=torch.float64)
    travelled = _travelled(interpolate_poses(cameras.c2w, fine.to(cameras.device), loop), segments).cpu()
    whole = float(travelled[-1])
    wanted = torch.linspace(0, whole, frames + 1 if loop else frames, dtype=torch.float64)[:frames]
    after = torch.searchsorted(travelled, wanted, right=True).clamp(1, len(fine) - 1)
    step = travelled[after] - travelled[after - 1]
    fraction = (wanted - travelled[after - 1]) / torch.where(step > 0, step, torch.ones_like(step))
    t = fine[after - 1] + fraction.clamp(0, 1) * (fine[after] - fine[after - 1])
    return t.to(cameras.device)


def _travelled(dense: Tensor, segments: int) -> Tensor:
    """Length of the way to each of densely sampled poses."""
    moved = dense[:, :, 3].diff(dim=0).norm(dim=-1)
    quaternions = rotation_to_quaternion(dense[:, :, :3])
    turned = 2 * torch.acos((quaternions[1:] * quaternions[:-1]).sum(-1).abs().clamp_max(1.0))
    length, angle = float(moved.sum()), float(turned.sum())
    # A stretch without movement would pass in no time: there the angle counts, at the path's mean rate.
    by_segment = moved.reshape(segments, -1).sum(-1, keepdim=True)
    still = (by_segment <= 1e-6 * length).expand(segments, len(moved) // segments).reshape(-1)
    rate = length / angle if length > 0 and angle > 0 else 1.0
    steps = torch.where(still, turned * rate, moved)
    return torch.cat([torch.zeros(1).to(steps), steps.cumsum(0)])


def _ring(
    cameras: Cameras,
    layout: Layout,
    frames: int,
    radius: float,
    rise: float,
    width: int | None,
    height: int | None,
) -> Cameras:
    """A level circle about the up axis through the focus, `rise` above it."""
    angles = _turns(frames, 1).to(layout.focus)
    side = torch.linalg.cross(layout.up, layout.start)
    around = torch.cos(angles)[:, None] * layout.start + torch.sin(angles)[:, None] * side
    eyes = layout.focus + radius * around + rise * layout.up
    return path_cameras(cameras, look_at(eyes, layout.focus, layout.up), width, height)


def _checked(frames: int) -> int:
    if frames < 1:
        raise InputError(f"A camera path cannot have {frames} frames", fix="Give at least 1")
    return frames


def _turns(frames: int, turns: int) -> Tensor:
    return torch.arange(_checked(frames), dtype=torch.float64) * (2 * math.pi * turns / frames)


def path_cameras(
    cameras: Cameras, c2w: Float[Tensor, "frames 3 4"], width: int | None = None, height: int | None = None
) -> Cameras:
    """Make the pinholes of a path from its poses, with the first reference camera's field of view."""
    size = scaled_size((int(cameras.width[0]), int(cameras.height[0])), width, height)
    fx, fy, cx, cy = reference_intrinsics(cameras, size)
    return Cameras.create(c2w, fx, fy, cx, cy, width=size[0], height=size[1])
