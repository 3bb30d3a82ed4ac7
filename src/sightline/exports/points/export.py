"""The point cloud export: depths of many views, kept where views agree, thinned evenly."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.exports.grids import parse_box
from sightline.exports.mesh.files import write_ply_points
from sightline.exports.points.config import PointsOptions
from sightline.exports.source import Exported, Source
from sightline.foundation.errors import InputError, inform
from sightline.geometry import Cameras
from sightline.methods.pictures import PictureRenderer

_SPARE = 6
"""pixels looked at for each point that is wanted"""
_LEAST_OPACITY = 0.5
_NEIGHBOURS = 12
"""views that are asked whether they see the same"""
_SIDES = (16, 2048)


@dataclass(frozen=True)
class View:
    """What one camera sees."""

    camera: Cameras
    depth: Tensor
    """(h, w) distance along the ray, NaN where there is nothing"""
    colour: Tensor
    """(h, w, 3) in [0, 1], without background"""


def export_points(source: Source, options: PointsOptions, out: Path | None = None) -> Exported:
    """Make a coloured point cloud of anything that gives depth; see `PointsOptions`.

    Raises:
        InputError: the method gives no depth, or no views agree on anything.
    """
    source.require("depth", "point cloud")
    if options.count < 1:
        raise InputError(f"{options.count} points cannot be made", where="--count")
    path = out or source.run.path / "exports" / "points.ply"
    if path.suffix.lower() != ".ply":
        raise InputError("Points are written as PLY", where=f"--out {path}", fix="Use a name in .ply")
    views = _look(source, options)
    points, colours = fuse(views, options.tolerance, options.agreeing)
    box = parse_box(options.bounds)
    if box is not None:
        inside = ((points >= box[0]) & (points <= box[1])).all(-1)
        points, colours = points[inside], colours[inside]
    if not len(points):
        raise InputError(
            "No points were found on which the views agree" + ("" if box is None else " in the box"),
            where="--tolerance, --agreeing" if box is None else "--bounds",
            fix="Give a larger --tolerance or fewer --agreeing views" if box is None else "Give a larger box",
        )
    points, colours, spacing = thin(points, colours, options.count)
    write_ply_points(path, points, colours)
    inform(f"{len(points)} points, about {spacing:.3g} apart")
    facts = {
        "points": len(points),
        "spacing": spacing,
        "views": len(views),
        "bounds": [points.min(0).tolist(), points.max(0).tolist()],
    }
    return Exported((path,), facts)


def _look(source: Source, options: PointsOptions) -> list[View]:
    """Render depths of the training cameras, as large as the number of points asks for."""
    cameras = source.cameras
    count = min(len(cameras), max(1, options.views))
    chosen = np.unique(np.linspace(0, len(cameras) - 1, count).round().astype(int)).tolist()
    pixels = _SPARE * options.count / len(chosen)
    black = torch.zeros(3, device=source.device)
    render = PictureRenderer(source.method, source.scene, background=black)
    views = []
    with source.counting("depth", len(chosen)) as on_view:
        for done, index in enumerate(chosen, start=1):
            camera = cameras[index].to("cpu")
            width, height = int(camera.width[0]), int(camera.height[0])
            scale = min(1.0, (pixels / (width * height)) ** 0.5)
            low, high = _SIDES[0] / min(width, height), _SIDES[1] / max(width, height)
            scale = min(max(scale, min(1.0, low)), high)
            small = camera.resized(max(1, round(width * scale)), max(1, round(height * scale)))
            rendering = render(small)
            assert rendering.depth is not None, "scenes with depth render it"
            depth, colour = rendering.depth.float().cpu(), rendering.rgb.float().cpu()
            if rendering.opacity is not None:
                opacity = rendering.opacity.float().cpu()
                depth = torch.where(opacity >= _LEAST_OPACITY, depth, torch.nan)
                colour = (colour / opacity.clamp_min(_LEAST_OPACITY)[..., None]).clamp(0, 1)
            views.append(View(small, depth, colour))
            on_view(done)
    return views


def fuse(views: list[View], tolerance: float, agreeing: int) -> tuple[np.ndarray, np.ndarray]:
    """Put the depths of views into one frame, and keep what others see too.

    A point is seen again by a view whose depth there is its distance, within `tolerance` of it; it is
    contradicted by one that looks through it, to more than twice that behind. It is kept where `agreeing`
    views (fewer where there are few) see it again, and no more contradict it than agree.

    Returns:
        Points (n, 3) float64 in the input frame, and colours (n, 3) in [0, 1].
    """
    least = min(agreeing, len(views) - 1)
    points, colours = [], []
    for index, view in enumerate(views):
        known = torch.isfinite(view.depth).flatten().nonzero()[:, 0]
        rays = view.camera.image_rays(0)[known]
        at = rays.origins.double() + view.depth.flatten()[known, None].double() * rays.directions.double()
        again, through = torch.zeros(len(at)), torch.zeros(len(at))
        for other in _neighbours(views, index):
            distance, there = _compare(views[other], at)
            difference = (there - distance) / distance.clamp_min(1e-12)
            again += (difference.abs() <= tolerance).float()
            through += (difference > 2 * tolerance).float()
        keep = (again >= least) & (through <= again) if least > 0 else torch.ones(len(at), dtype=torch.bool)
        points.append(at[keep].numpy())
        colours.append(view.colour.reshape(-1, 3)[known[keep]].numpy())
    return np.concatenate(points), np.concatenate(colours)


def _neighbours(views: list[View], index: int) -> list[int]:
    """The views most like one: from the nearest places, looking the same way."""
    centres = torch.cat([view.camera.centres for view in views])
    forward = torch.cat([view.camera.forward for view in views])
    away = (centres - centres[index]).norm(dim=-1)
    score = away / away.mean().clamp_min(1e-12) + 1 - forward @ forward[index]
    return [k for k in score.argsort().tolist() if k != index][:_NEIGHBOURS]


def _compare(view: View, points: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of points from a view's eye, and the depth that it sees there (NaN outside its picture)."""
    distance = (points - view.camera.centres[0]).norm(dim=-1)
    seen = view.camera.sees(points, 0)
    pixels = view.camera.project(points, 0)[0].floor().long()
    height, width = view.depth.shape
    column, row = pixels[:, 0].clamp(0, width - 1), pixels[:, 1].clamp(0, height - 1)
    depth = view.depth[row, column].double()
    return distance, torch.where(seen, depth, torch.nan)


def thin(points: np.ndarray, colours: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Take the means of cubes so large that about `count` are filled; gives their side too."""
    extent = float((points.max(0) - points.min(0)).max()) or 1.0
    low, high = extent * 1e-5, extent
    if len(points) <= count:
        return points, colours, _spacing(points, extent)
    for _ in range(24):
        side = (low * high) ** 0.5
        filled = len(np.unique(_cubes(points, side)))
        low, high = (side, high) if filled > count else (low, side)
    _, cube, members = np.unique(_cubes(points, high), return_inverse=True, return_counts=True)
    means = [
        np.stack([np.bincount(cube, column) for column in values.T], -1) / members[:, None]
        for values in (points, colours)
    ]
    return means[0], means[1], high


def _cubes(points: np.ndarray, side: float) -> np.ndarray:
    """A number for the cube of each point."""
    index = np.floor((points - points.min(0)) / side).astype(np.int64)
    size = index.max(0) + 1
    return (index[:, 0] * size[1] + index[:, 1]) * size[2] + index[:, 2]


def _spacing(points: np.ndarray, extent: float) -> float:
    return extent / max(1.0, len(points) ** 0.5)
