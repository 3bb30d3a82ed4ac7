"""Triangle meshes with texture coordinates, and the primitives that scenes are built from.

Every primitive stands on the plane z = 0 around the z axis (z up). Normals are unit length and point
outwards; texture coordinates are in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A textured triangle mesh.

    Faces run counter-clockwise seen from outside.
    """

    vertices: np.ndarray
    """float32 (n, 3)"""
    faces: np.ndarray
    """uint32 (m, 3), indices of vertices"""
    normals: np.ndarray
    """float32 (n, 3), unit length"""
    uvs: np.ndarray
    """float32 (n, 2)"""

    def __post_init__(self) -> None:
        count = len(self.vertices)
        if (
            self.vertices.shape != (count, 3)
            or self.normals.shape != (count, 3)
            or self.uvs.shape != (count, 2)
        ):
            raise ValueError(
                f"{self.vertices.shape} vertices, {self.normals.shape} normals, {self.uvs.shape} uvs"
            )
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or len(self.faces) == 0:
            raise ValueError(f"faces of shape {self.faces.shape}")
        if self.faces.max() >= count:
            raise ValueError(f"face with vertex {self.faces.max()} of {count}")

    @property
    def bounds(self) -> np.ndarray:
        """Lowest and highest corner, float32 (2, 3)."""
        return np.stack([self.vertices.min(0), self.vertices.max(0)])

    def transformed(self, matrix: np.ndarray) -> "Mesh":
        """Map all vertices by an affine 4x4 matrix; normals follow, and faces too where it mirrors."""
        linear = matrix[:3, :3].astype(np.float64)
        normals = self.normals @ np.linalg.inv(linear)  # normals move with the inverse transpose
        mirrored = np.linalg.det(linear) < 0
        return Mesh(
            (self.vertices @ linear.T + matrix[:3, 3]).astype(np.float32),
            self.faces[:, ::-1].copy() if mirrored else self.faces,
            (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
            self.uvs,
        )


def translation(x: float, y: float, z: float) -> np.ndarray:
    """A 4x4 matrix that moves points."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def rotation(axis: str, degrees: float) -> np.ndarray:
    """A 4x4 matrix that turns points counter-clockwise about the axis "x", "y" or "z"."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[[first, second], [first, second]] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def box(width: float, depth: float, height: float) -> Mesh:
    """A box around the z axis; the texture has one scale on all sides and is as long as the longest edge."""
    size = np.array([width, depth, height])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    vertices, normals, uvs = [], [], []
    for axis in range(3):
        level, rising = [(1, 2), (0, 2), (0, 1)][axis]  # the texture's rows stay level on upright sides
        for sign in (-1.0, 1.0):
            side = np.zeros((4, 3))
            side[:, axis] = sign
            # Mirrored where needed, so that the corners run counter-clockwise seen from outside.
            side[:, level] = corners[:, 0] * (-sign if axis == 1 else sign)
            side[:, rising] = corners[:, 1]
            vertices.append(side)
            normals.append(np.eye(3)[[axis] * 4] * sign)
            uvs.append(((side + 1) / 2 * size / size.max())[:, [level, rising]])
    points = np.concatenate(vertices) * size / 2 + [0, 0, height / 2]
    faces = 4 * np.arange(6)[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])
    return _mesh(points, faces.reshape(-1, 3), np.concatenate(normals), np.concatenate(uvs))


def lathe(
    profile: Sequence[tuple[float, float]] | np.ndarray, segments: int = 48, sharp: bool = False
) -> Mesh:
    """Turn a profile about the z axis.

    The texture goes once around (u) and once along the profile (v, by length).

    Args:
        profile: (k, 2) radius and height, from the bottom outwards and up: the outside is on the right.
        segments: flat pieces around the axis.
        sharp: every point of the profile is an edge; else the surface is smooth.
    """
    points = np.asarray(profile, dtype=np.float64)
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    if (lengths == 0).any():
        raise ValueError("a profile cannot repeat a point")
    tangents = steps / lengths[:, None]
    along = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    if sharp:
        rows = np.stack([np.arange(len(steps)), np.arange(1, len(points))], axis=1).ravel()
        row_tangents = np.repeat(tangents, 2, axis=0)
        strips = np.arange(0, len(rows), 2)
    else:
        rows = np.arange(len(points))
        row_tangents = np.concatenate([tangents[:1], tangents[:-1] + tangents[1:], tangents[-1:]])
        strips = np.arange(len(rows) - 1)
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii, heights = points[rows, 0], points[rows, 1]
    vertices = _revolve(radii, heights, around)
    normals = _revolve(row_tangents[:, 1], -row_tangents[:, 0], around)
    uvs = np.stack(np.broadcast_arrays(angles / (2 * np.pi), along[rows][:, None]), axis=-1)
    faces = _grid_faces(strips, segments, segments + 1)
    return _without_slivers(_mesh(vertices, faces, normals, uvs.reshape(-1, 2)))


def cylinder(radius: float, height: float, segments: int = 48) -> Mesh:
    """A closed cylinder."""
    return lathe([(0, 0), (radius, 0), (radius, height), (0, height)], segments, sharp=True)


def frustum(bottom: float, top: float, height: float, segments: int = 48) -> Mesh:
    """A closed cone with its tip cut off; `bottom` and `top` are radii (a cone where `top` is 0)."""
    profile = [(0, 0), (bottom, 0), (top, height), *([(0, height)] if top > 0 else [])]
    return lathe(profile, segments, sharp=True)


def sphere(radius: float, segments: int = 48) -> Mesh:
    """A sphere that rests on the plane z = 0."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    profile = np.stack([radius * np.cos(angles), radius * (1 + np.sin(angles))], axis=1)
    profile[[0, -1], 0] = 0
    return lathe(profile, segments)


def torus(ring: float, tube: float, segments: int = 48) -> Mesh:
    """A ring that lies on the plane z = 0; `ring` is the radius of its centre line, `tube` of its body."""
    angles = np.linspace(-np.pi, np.pi, segments // 2 + 1)
    return lathe(np.stack([ring + tube * np.cos(angles), tube * (1 + np.sin(angles))], axis=1), segments)


def _revolve(radial: np.ndarray, vertical: np.ndarray, around: np.ndarray) -> np.ndarray:
    flat = radial[:, None, None] * around
    upright = np.broadcast_to(vertical[:, None, None], (*flat.shape[:2], 1))
    return np.concatenate([flat, upright], axis=-1).reshape(-1, 3)


def _grid_faces(strips: np.ndarray, columns: int, stride: int) -> np.ndarray:
    lower = (strips[:, None] * stride + np.arange(columns)).ravel()
    upper = lower + stride
    quads = [[lower, lower + 1, upper + 1], [lower, upper + 1, upper]]
    return np.concatenate([np.stack(triangle, axis=1) for triangle in quads])


def _without_slivers(mesh: Mesh) -> Mesh:
    # Where a profile touches the axis, half of the triangles there have no area.
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return Mesh(mesh.vertices, mesh.faces[areas > 1e-12 * areas.max()], mesh.normals, mesh.uvs)


def _mesh(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, uvs: np.ndarray) -> Mesh:
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(
        vertices.astype(np.float32), faces.astype(np.uint32), unit.astype(np.float32), uvs.astype(np.float32)
    )
