"""Solids for procedural objects: lofts, slabs, beams and tubes, shaded with sharp and soft edges.

All are closed and z points up; shape is given by rings of points, normals and texture coordinates follow
from it. Texture coordinates are lengths in the solid's own frame, across and along (the grain of a beam
runs along it), so that one unit of length is one tile of the texture.
"""

from collections.abc import Sequence

import numpy as np

from sightline.synthesis.meshes import Mesh

CREASE = 35.0
"""degrees: faces that meet at a larger angle have an edge between them"""
_WELD = 1e-6
Point = Sequence[float] | np.ndarray
"""three coordinates"""


def shaded(vertices: np.ndarray, faces: np.ndarray, crease: float = CREASE) -> Mesh:
    """Make a mesh of bare triangles: soft normals up to an angle, texture coordinates by the box rule.

    Args:
        vertices: (n, 3).
        faces: (m, 3), counter-clockwise seen from outside; those without an area are left out.
        crease: degrees, see `CREASE`.

    Returns:
        A mesh with three vertices of its own for each face. Texture coordinates are the two coordinates
        across the axis that a face looks along most.
    """
    corners = np.asarray(vertices, dtype=np.float64)[np.asarray(faces, dtype=np.int64)]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sizes = np.linalg.norm(areas, axis=1)
    kept = sizes > 1e-10 * max(float(sizes.max(initial=0.0)), 1e-300)
    corners, areas = corners[kept], areas[kept]
    units = areas / sizes[kept][:, None]
    normals = corner_normals(corners, areas, units, crease)
    across, along = np.array([1, 0, 0]), np.array([2, 2, 1])
    axis = np.abs(units).argmax(axis=1)
    picked = np.arange(len(corners))[:, None], np.arange(3)[None]
    uvs = np.stack([corners[(*picked, across[axis][:, None])], corners[(*picked, along[axis][:, None])]], -1)
    return Mesh(
        corners.reshape(-1, 3).astype(np.float32),
        np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3),
        normals.reshape(-1, 3).astype(np.float32),
        uvs.reshape(-1, 2).astype(np.float32),
    )


def corner_normals(corners: np.ndarray, areas: np.ndarray, units: np.ndarray, crease: float) -> np.ndarray:
    """Average, at each corner of each triangle, the normals of the faces there that turn less than `crease`.

    Args:
        corners: float64 (m, 3, 3), the triangles.
        areas: (m, 3), normals as long as twice the area: large faces count more.
        units: (m, 3), the same of unit length.
        crease: degrees.

    Returns:
        (m, 3, 3), unit length.
    """
    ids = _weld(corners.reshape(-1, 3))
    order = np.argsort(ids, kind="stable")
    counts = np.bincount(ids)
    per_corner = np.repeat(counts, counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    offsets = np.cumsum(per_corner) - per_corner
    place = np.arange(int(per_corner.sum())) - np.repeat(offsets, per_corner)
    first = np.repeat(order, per_corner) // 3
    second = order[np.repeat(starts, per_corner) + place] // 3
    near = (units[first] * units[second]).sum(axis=1) > np.cos(np.radians(crease))
    sums = np.add.reduceat(np.where(near[:, None], areas[second], 0.0), offsets, axis=0)
    normals = np.empty((len(ids), 3))
    normals[order] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return normals.reshape(-1, 3, 3)


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Put several meshes into one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [mesh.faces + np.uint32(start) for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate(faces),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uvs for mesh in meshes]),
    )


def loft(rings: np.ndarray, crease: float = CREASE) -> Mesh:
    """Join rings of points to a solid and close both ends.

    Args:
        rings: (k, n, 3); each ring counter-clockwise seen from the last one. Its end faces are fans around
            the mean of the ring, so the first and last ring have to be star-shaped about that.
        crease: degrees, see `CREASE`.
    """
    rings = np.asarray(rings, dtype=np.float64)
    count, size = rings.shape[:2]
    points = np.concatenate([rings.reshape(-1, 3), rings[[0, -1]].mean(axis=1)])
    here = np.arange(size)
    after = (here + 1) % size
    faces = [np.stack([np.full(size, count * size), after, here], axis=1)]
    for ring in range(count - 1):
        low, high = ring * size, (ring + 1) * size
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    last = (count - 1) * size
    faces.append(np.stack([np.full(size, count * size + 1), last + here, last + after], axis=1))
    return shaded(points, np.concatenate(faces), crease)


def slab(outline: np.ndarray, height: float, edge: float = 0.0, taper: float = 1.0) -> Mesh:
    """Raise an outline to a plate that stands on z = 0.

    Args:
        outline: (n, 2), counter-clockwise.
        height: thickness.
        edge: radius by which the upper and lower edges are rounded; at most half of the height is used.
        taper: scale of the top against the bottom.
    """
    outline = np.asarray(outline, dtype=np.float64)
    middle = (outline.max(axis=0) + outline.min(axis=0)) / 2
    half = np.maximum((outline.max(axis=0) - outline.min(axis=0)) / 2, 1e-9)
    radius = min(edge, 0.499 * height, 0.9 * float(half.min()))
    if radius > 0:
        turns = np.linspace(0, np.pi / 2, 4)
        insets = np.concatenate([radius * (1 - np.sin(turns)), radius * (1 - np.cos(turns))])
        levels = np.concatenate([radius * (1 - np.cos(turns)), height - radius * (1 - np.sin(turns))])
    else:
        insets, levels = np.zeros(2), np.array([0.0, height])
    scales = (1 - insets[:, None] / half) * (1 + (taper - 1) * levels / height)[:, None]
    flat = middle + (outline - middle) * scales[:, None]
    upright = np.broadcast_to(levels[:, None, None], (*flat.shape[:2], 1))
    return loft(np.concatenate([flat, upright], axis=-1))


def beam(
    start: Point,
    end: Point,
    width: float,
    depth: float | None = None,
    taper: float = 1.0,
    facing: Point = (0, 0, 1),
) -> Mesh:
    """A square beam between two points; `taper` scales its end.

    `depth` is measured along `facing`, `width` across it; an upright beam faces y instead of z.
    """
    half = np.array([width, width if depth is None else depth]) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return _along(corners, start, end, taper, facing)


def rod(start: Point, end: Point, radius: float, taper: float = 1.0, segments: int = 12) -> Mesh:
    """A round rod between two points; `taper` scales its end."""
    return _along(ellipse(2 * radius, 2 * radius, segments), start, end, taper, (0, 0, 1))


def tube(points: np.ndarray, radius: float | np.ndarray, segments: int = 10) -> Mesh:
    """A bent round bar along points (k, 3), with one radius or one for each point."""
    points = np.asarray(points, dtype=np.float64)
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], np.eye(3)[np.abs(tangents[0]).argmin()])
    angles = 2 * np.pi * np.arange(segments) / segments
    radii = np.broadcast_to(radius, len(points))
    rings = []
    for point, tangent, thick in zip(points, tangents, radii, strict=True):
        side = side - tangent * (side @ tangent)  # carried along, so that the bar does not twist
        side /= np.linalg.norm(side)
        other = np.cross(tangent, side)
        rings.append(point + thick * (np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * other))
    return loft(np.stack(rings), crease=60.0)


def bend(points: Sequence[Sequence[float]], radius: float, steps: int = 5) -> np.ndarray:
    """Round the inner corners of a polyline (k, 3) to arcs of about a radius; gives more points (n, 3)."""
    corners = np.asarray(points, dtype=np.float64)
    path = [corners[0]]
    for before, corner, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        into, out = before - corner, after - corner
        reach = min(radius, 0.45 * float(np.linalg.norm(into)), 0.45 * float(np.linalg.norm(out)))
        first = corner + into / np.linalg.norm(into) * reach
        last = corner + out / np.linalg.norm(out) * reach
        at = np.linspace(0, 1, steps)[:, None]
        path += list((1 - at) ** 2 * first + 2 * at * (1 - at) * corner + at**2 * last)
    return np.stack([*path, corners[-1]])


def ellipse(width: float, depth: float, segments: int = 32) -> np.ndarray:
    """An outline (n, 2) around the origin."""
    angles = 2 * np.pi * np.arange(segments) / segments
    return np.stack([np.cos(angles) * width / 2, np.sin(angles) * depth / 2], axis=1)


def rounded(
    width: float, depth: float, radius: float = 0.0, narrow: float = 1.0, steps: int = 5
) -> np.ndarray:
    """A rectangle with round corners as an outline (n, 2); `narrow` scales its width at the lowest y."""
    radius = min(radius, 0.49 * min(width, depth))
    half = np.array([width, depth]) / 2
    if radius <= 1e-6:
        points = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
    else:
        turns = np.linspace(0, np.pi / 2, steps)
        pieces = []
        for quarter, signs in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
            angles = turns + quarter * np.pi / 2
            centre = np.array(signs) * (half - radius)
            pieces.append(centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
        points = np.concatenate(pieces)
    amount = (points[:, 1] + half[1]) / depth
    points[:, 0] *= narrow + (1 - narrow) * amount
    return points


def arch(width: float, height: float, rise: float, steps: int = 12) -> np.ndarray:
    """A panel (n, 2) that stands on y = 0 with a top that rises to the middle by `rise` (elliptic)."""
    rise = min(rise, 0.9 * height)
    angles = np.linspace(0, np.pi, steps)
    top = np.stack([np.cos(angles) * width / 2, height - rise + rise * np.sin(angles)], axis=1)
    return np.concatenate([[[-width / 2, 0.0], [width / 2, 0.0]], top])


def standing(mesh: Mesh) -> Mesh:
    """Turn a plate that lies flat, so that its y goes up and its thickness to the back (-y)."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    return mesh.transformed(matrix)


def _along(outline: np.ndarray, start: Point, end: Point, taper: float, facing: Point) -> Mesh:
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    length = float(np.linalg.norm(last - first))
    upright = np.zeros((2, len(outline), 3))
    upright[0, :, :2], upright[1, :, :2] = outline, outline * taper
    upright[1, :, 2] = length
    axis = (last - first) / length
    depth = np.asarray(facing, dtype=np.float64)
    if abs(axis @ depth) > 0.95 * np.linalg.norm(depth):
        depth = np.array([0.0, 1.0, 0.0])
    width = np.cross(depth, axis)
    width /= np.linalg.norm(width)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([width, np.cross(axis, width), axis], axis=1)
    matrix[:3, 3] = first
    return loft(upright).transformed(matrix)


def _weld(points: np.ndarray) -> np.ndarray:
    """Number points, the same number for those at one place."""
    extent = max(float(np.ptp(points, axis=0).max(initial=0.0)), 1e-300)
    keys = np.rint((points - points.min(axis=0)) / (extent * _WELD)).astype(np.int64)
    _, ids = np.unique(keys @ np.array([1, 1 << 21, 1 << 42]), return_inverse=True)
    return ids.reshape(-1)
