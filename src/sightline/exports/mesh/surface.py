"""Triangle meshes: extraction from a grid of densities, their parts, areas, volumes and normals.

Faces are counter-clockwise seen from outside: normals point to where the density is lower.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from sightline.exports.grids import Grid
from sightline.exports.source import Field
from sightline.foundation.errors import InputError


@dataclass(frozen=True)
class Mesh:
    """Triangles in the input frame."""

    vertices: Float[np.ndarray, "v 3"]
    """float64"""
    faces: Int[np.ndarray, "f 3"]
    """int32 indices of vertices"""
    colours: Float[np.ndarray, "v 3"] | None = None
    """sRGB in [0, 1]"""
    uvs: Float[np.ndarray, "v 2"] | None = None
    """place of each vertex in the texture, (0, 0) its upper left corner and (1, 1) its lower right one"""

    @property
    def corners(self) -> Float[np.ndarray, "f 3 3"]:
        """Positions of the corners of each face."""
        return self.vertices[self.faces]

    def area_vectors(self) -> Float[np.ndarray, "f 3"]:
        """Normal of each face, as long as its area."""
        a, b, c = self.corners.transpose(1, 0, 2)
        return np.cross(b - a, c - a) / 2

    def face_areas(self) -> Float[np.ndarray, "f"]:
        """Area of each face."""
        return np.linalg.norm(self.area_vectors(), axis=-1)

    def face_volumes(self) -> Float[np.ndarray, "f"]:
        """Signed volume between each face and a point inside the box; their sum is what is enclosed."""
        middle = self.vertices.mean(0) if len(self.vertices) else np.zeros(3)
        a, b, c = (self.corners - middle).transpose(1, 0, 2)
        return np.einsum("ij,ij->i", a, np.cross(b, c)) / 6

    def normals(self) -> Float[np.ndarray, "v 3"]:
        """Unit normal of each vertex: the mean of its faces', weighted by their areas."""
        summed = np.zeros_like(self.vertices)
        vectors = self.area_vectors()
        for corner in range(3):
            for axis in range(3):
                summed[:, axis] += np.bincount(
                    self.faces[:, corner], vectors[:, axis], minlength=len(self.vertices)
                )
        return summed / np.maximum(np.linalg.norm(summed, axis=-1, keepdims=True), 1e-30)

    def edges(self) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "e"]]:
        """Every edge once, the smaller vertex first, and how many faces it has."""
        count = len(self.vertices)
        ends = np.sort(self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
        keys, faces = np.unique(ends[:, 0] * count + ends[:, 1], return_counts=True)
        return np.stack([keys // count, keys % count], -1), faces

    @property
    def closed(self) -> bool:
        """Whether every edge has two faces."""
        return bool((self.edges()[1] == 2).all())

    def part_of_faces(self) -> tuple[int, Int[np.ndarray, "f"]]:
        """The number of connected parts, and the one that each face belongs to."""
        first, second = self.faces[:, [0, 0]].ravel(), self.faces[:, [1, 2]].ravel()
        count = len(self.vertices)
        links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
        # Vertices without faces would be parts of their own.
        _, labels = connected_components(links, directed=False)
        kept, of_faces = np.unique(labels[self.faces[:, 0]], return_inverse=True)
        return len(kept), of_faces

    def keep_faces(self, keep: np.ndarray) -> "Mesh":
        """Keep some faces (mask or indices), and the vertices that they have."""
        faces = self.faces[keep]
        used = np.zeros(len(self.vertices), dtype=bool)
        used[faces] = True
        index = np.cumsum(used) - 1
        per_vertex = {
            name: None if (values := getattr(self, name)) is None else values[used]
            for name in ("vertices", "colours", "uvs")
        }
        return replace(self, faces=index[faces].astype(np.int32), **per_vertex)  # type: ignore[arg-type]


def extract_surface(
    density: Float[np.ndarray, "x y z"],
    grid: Grid,
    threshold: float,
    solid: Bool[np.ndarray, "x y z"] | None = None,
) -> Mesh:
    """Find where a grid's density passes the threshold (Lewiner et al. 2003's marching cubes).

    Around the box counts as empty, so that what it cuts is closed there.

    Args:
        solid: points that count as dense whatever their density is.

    Raises:
        InputError: nothing is denser than the threshold; it says how dense the scene is.
    """
    largest = float(density.max(initial=0.0))
    if not threshold > 0:
        raise InputError(f"The threshold must be above 0, not {threshold:g}", where="--threshold")
    if largest <= threshold:
        raise InputError(
            f"Nothing in the box is denser than {threshold:g}: the largest density found is {largest:g} per "
            "unit of the data",
            where="--threshold",
            fix="Give a lower --threshold, or a box with more in it with --bounds",
        )
    padded = np.pad(density if solid is None else np.where(solid, largest, density), 1)
    # Steep densities would pull vertices to the outer side of their cells; what a cell lets through does not.
    level = 1 - np.exp(-threshold * grid.cell)
    vertices, faces, _, _ = marching_cubes(-np.expm1(-padded * grid.cell), level)
    vertices = np.clip(vertices.astype(np.float64) - 1, 0, np.asarray(grid.shape) - 1)
    return Mesh(grid.low + vertices * grid.spacing, faces[:, ::-1].astype(np.int32))


def refine_vertices(
    mesh: Mesh, field: Field, grid: Grid, density: np.ndarray, threshold: float, halvings: int
) -> Mesh:
    """Move every vertex along its edge of the grid to where the field itself passes the threshold.

    A vertex lies between a grid point below the threshold and one above it; each halving asks in the middle
    of what is left. Vertices on the faces of the box stay.
    """
    index = (mesh.vertices - grid.low) / grid.spacing
    lower = np.clip(np.floor(index + 1e-4).astype(np.int64), 0, np.asarray(grid.shape) - 1)
    # The axis along which the vertex lies between two points.
    axis = np.abs(index - np.rint(index)).argmax(-1)
    rows = np.arange(len(index))
    lower_point = np.rint(index).astype(np.int64)
    lower_point[rows, axis] = lower[rows, axis]
    upper_point = lower_point.copy()
    upper_point[rows, axis] = np.minimum(upper_point[rows, axis] + 1, np.asarray(grid.shape)[axis] - 1)
    dense_low = density[tuple(lower_point.T)] > threshold
    dense_high = density[tuple(upper_point.T)] > threshold
    movable = dense_low != dense_high
    ends = [grid.low + p[movable] * grid.spacing for p in (lower_point, upper_point)]
    inner, outer = (np.where(dense_low[movable, None], ends[k], ends[1 - k]) for k in (0, 1))
    for _ in range(halvings):
        middle = (inner + outer) / 2
        dense = (field.density(torch.from_numpy(middle)) > threshold).numpy()[:, None]
        inner, outer = np.where(dense, middle, inner), np.where(dense, outer, middle)
    vertices = mesh.vertices.copy()
    if halvings:
        vertices[movable] = (inner + outer) / 2
    return replace(mesh, vertices=vertices)


@dataclass(frozen=True)
class Cleaned:
    """A mesh without what nobody wants, and what that was."""

    mesh: Mesh
    parts: int
    """parts that are left"""
    small: int
    """parts left out because they are small"""
    cavities: int
    """hollows left out"""


def remove_parts(
    mesh: Mesh, *, least: float = 0.01, most: int | None = None, keep_cavities: bool = False
) -> Cleaned:
    """Leave out small parts and hollows.

    Args:
        least: fraction of the largest part's area below which a part is small.
        most: parts to keep, the largest ones; all where not given.
        keep_cavities: keep closed surfaces inside which there is nothing (their signed volume is negative).
    """
    count, part = mesh.part_of_faces()
    areas = np.bincount(part, mesh.face_areas(), minlength=count)
    hollow = np.bincount(part, mesh.face_volumes(), minlength=count) <= 0
    if keep_cavities or hollow.all():
        hollow[:] = False
    solid = np.where(hollow, 0.0, areas)
    keep = solid >= least * solid.max()
    keep &= ~hollow
    if most is not None:
        keep &= np.isin(np.arange(count), np.argsort(-solid, kind="stable")[:most])
    kept = mesh.keep_faces(keep[part])
    return Cleaned(kept, int(keep.sum()), int((~keep & ~hollow).sum()), int(hollow.sum()))
