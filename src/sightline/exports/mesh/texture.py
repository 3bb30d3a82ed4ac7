"""Textures: unwrapping a mesh onto a square, and which point of the surface each pixel shows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xatlas
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from sightline.exports.mesh.surface import Mesh
from sightline.foundation.errors import InputError

_PADDING = 4
"""pixels between charts"""
_PART = 1 << 22
"""pixels that are looked at in one go"""


@dataclass(frozen=True)
class Texels:
    """The pixels of a texture that show the surface."""

    rows: Int[np.ndarray, "n"]
    columns: Int[np.ndarray, "n"]
    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    """unit outward normals, interpolated between the vertices"""


def unwrap(mesh: Mesh, size: int) -> tuple[Mesh, Int[np.ndarray, "v"]]:
    """Cut a mesh into charts and place them on a square of `size` pixels (xatlas).

    Returns:
        The mesh with `uvs` and without colours, in which vertices on the cuts are there once for each chart;
        and the vertex of the old mesh that each is a copy of.
    """
    if not 16 <= size <= 16384:
        raise InputError(
            f"A texture of {size} pixels cannot be made", where="--texture-size", fix="Give 16 to 16384"
        )
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding = size, _PADDING
    packing.bilinear = True
    atlas.generate(pack_options=packing, verbose=False)
    origin, faces, uvs = atlas[0]
    # The atlas is about as large as asked for; the texture is exactly that.
    scale = np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height, size)
    unwrapped = replace(
        mesh,
        vertices=mesh.vertices[origin],
        faces=faces.astype(np.int32),
        uvs=uvs.astype(np.float64) * scale,
        colours=None,
    )
    return unwrapped, origin.astype(np.int64)


def find_texels(mesh: Mesh, normals: Float[np.ndarray, "v 3"], size: int) -> Texels:
    """Find the surface under each pixel centre of a texture.

    Args:
        mesh: with `uvs`.
        normals: of its vertices.
    """
    assert mesh.uvs is not None
    face_of = np.full(size * size, -1, dtype=np.int64)
    shares = np.zeros((size * size, 2), dtype=np.float32)
    for pixels, faces, barycentric in covered_pixels(mesh.uvs[mesh.faces] * size, size, size):
        face_of[pixels], shares[pixels] = faces, barycentric[:, 1:]
    found = np.flatnonzero(face_of >= 0)
    corners = mesh.faces[face_of[found]]
    weights = np.concatenate([1 - shares[found].sum(-1, keepdims=True), shares[found]], -1)
    up = np.einsum("nk,nkx->nx", weights, normals[corners])
    up /= np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-30)
    points = np.einsum("nk,nkx->nx", weights, mesh.vertices[corners])
    return Texels(found // size, found % size, points, up)


def covered_pixels(
    triangles: Float[np.ndarray, "f 3 2"], width: int, height: int
) -> Iterator[tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Float[np.ndarray, "n 3"]]]:
    """Find the pixels whose centres lie in triangles, part by part.

    Args:
        triangles: corners in pixels, (0, 0) the upper left corner of the picture.

    Yields:
        Flat index of each pixel, the triangle that covers it, and the barycentric coordinates in it.
    """
    last_pixel = np.array([width - 1, height - 1])
    low = np.clip(np.floor(triangles.min(1) - 0.5), 0, last_pixel).astype(np.int64)
    high = np.clip(np.ceil(triangles.max(1) - 0.5), 0, last_pixel).astype(np.int64)
    wide, tall = (high - low + 1).T
    ends = np.cumsum(wide * tall)
    first = 0
    while first < len(triangles):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _PART)))
        counts = (wide * tall)[first:last]
        face = first + np.repeat(np.arange(last - first), counts)
        place = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
        x, y = low[face, 0] + place % wide[face], low[face, 1] + place // wide[face]
        a, b, c = triangles[face].transpose(1, 0, 2)
        point = np.stack([x + 0.5, y + 0.5], -1)
        whole = _cross(b - a, c - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            second, third = _cross(point - a, c - a) / whole, _cross(b - a, point - a) / whole
            barycentric = np.stack([1 - second - third, second, third], -1)
        inside = (barycentric >= -1e-6).all(-1)
        yield (y * width + x)[inside], face[inside], barycentric[inside]
        first = last


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def fill_gaps(
    texture: Float[np.ndarray, "size size 3"], known: Bool[np.ndarray, "size size"]
) -> Float[np.ndarray, "size size 3"]:
    """Give pixels between the charts the colour of the nearest one, so that no seam shows when scaled."""
    if not known.any():
        return texture
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    rows, columns = np.asarray(nearest)
    return texture[rows, columns]
