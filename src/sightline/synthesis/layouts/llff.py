"""The layout of Local Light Field Fusion: images/ and poses_bounds.npy."""

import io

import numpy as np

from sightline.synthesis.description import SceneDescription
from sightline.synthesis.mitsuba_renderer import View

_POINTS = 20_000
_MARGIN = 0.05


def poses_bounds(scene: SceneDescription, shots: list[View]) -> bytes:
    """Make the file: 17 numbers a view, which are axes (down, right, backward), centre, size, focal, bounds.

    The bounds enclose what the view may see: all surfaces in its field, those behind others too.
    """
    points = surface_points(scene)
    rows = np.empty((len(shots), 17))
    for row, view in zip(rows, shots, strict=True):
        pose = np.asarray(view.c2w)
        focal = 0.5 * view.width / np.tan(0.5 * view.angle_x)
        size = np.array([view.height, view.width, focal])
        columns = [-pose[:, 1], pose[:, 0], pose[:, 2], pose[:, 3], size]
        row[:15] = np.stack(columns, axis=1).reshape(-1)
        row[15:] = depth_bounds(points, view)
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


def surface_points(scene: SceneDescription) -> np.ndarray:
    """Points (n, 3) spread over all surfaces: the vertices, and others drawn by area."""
    generator = np.random.default_rng(0)
    found = []
    for part in scene.parts:
        corners = part.mesh.vertices[part.mesh.faces].astype(np.float64)
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        share = max(200, _POINTS // len(scene.parts))
        chosen = corners[generator.choice(len(corners), share, p=areas / areas.sum())]
        first, second = np.sqrt(generator.random((share, 1))), generator.random((share, 1))
        weights = np.concatenate([1 - first, first * (1 - second), first * second], axis=1)
        found += [part.mesh.vertices.astype(np.float64), (weights[:, :, None] * chosen).sum(axis=1)]
    return np.concatenate(found)


def depth_bounds(points: np.ndarray, view: View) -> tuple[float, float]:
    """Nearest and farthest depth along the optical axis of points (n, 3) in view, with a margin."""
    pose = np.asarray(view.c2w)
    inside = (points - pose[:, 3]) @ pose[:, :3]
    depth = -inside[:, 2]
    reach = np.tan(0.5 * view.angle_x)
    seen = (depth > 1e-6) & (np.abs(inside[:, 0]) < reach * depth)
    seen &= np.abs(inside[:, 1]) < reach * depth * view.height / view.width
    return (1 - _MARGIN) * float(depth[seen].min()), (1 + _MARGIN) * float(depth[seen].max())
