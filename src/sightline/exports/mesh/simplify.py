"""Fewer triangles: edge collapse with quadric error metrics (Garland and Heckbert 1997), which keeps closed
surfaces closed.

Collapses are done in rounds. Those of one round do not touch each other's faces, and each keeps the topology
(the link condition, Dey et al. 1999), so that the result is the same in any order.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array

from sightline.exports.mesh.surface import Mesh
from sightline.foundation.errors import InputError

_LEAST_FACES = 4
_ROUNDS = 400
_SHARE = 0.3
"""part of the edges, the cheapest ones, that a round may collapse"""
_LEAST_TURN = 0.2
"""cosine between a face's normals before and after a collapse, at least"""
_SLIVER = 0.05
"""area of a face by its longest side squared, below which it is a sliver"""
_PART = 1 << 16


def simplify(mesh: Mesh, faces: int) -> Mesh:
    """Reduce a mesh to about `faces` triangles; colours and texture coordinates are dropped.

    Edges without exactly two faces stay as they are. The result has more faces than asked for where
    the topology does not let go of more.
    """
    if faces < _LEAST_FACES:
        raise InputError(f"A closed mesh has {_LEAST_FACES} faces or more, not {faces}", where="--faces")
    mesh = replace(mesh, colours=None, uvs=None)
    quadrics = vertex_quadrics(mesh)
    idle = 0
    for _ in range(_ROUNDS):
        if len(mesh.faces) <= faces:
            break
        before = len(mesh.faces)
        mesh, quadrics = _round(mesh, quadrics, faces, widened=idle > 0)
        idle = idle + 1 if len(mesh.faces) == before else 0
        if idle > 1:
            break
    return mesh


def vertex_quadrics(mesh: Mesh) -> np.ndarray:
    """Squared distance to the planes of each vertex's faces, weighted by area: (v, 4, 4)."""
    vectors = mesh.area_vectors()
    areas = np.linalg.norm(vectors, axis=-1)
    normals = vectors / np.maximum(areas, 1e-300)[:, None]
    offset = -np.einsum("ij,ij->i", normals, mesh.corners[:, 0])
    plane = np.concatenate([normals, offset[:, None]], -1)
    of_faces = areas[:, None, None] * plane[:, :, None] * plane[:, None, :]
    quadrics = np.zeros((len(mesh.vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadrics, mesh.faces[:, corner], of_faces)
    return quadrics


def _round(mesh: Mesh, quadrics: np.ndarray, target: int, widened: bool) -> tuple[Mesh, np.ndarray]:
    edges = _loose_edges(mesh)
    if not len(edges):
        return mesh, quadrics
    positions, costs = _places(mesh, quadrics, edges)
    order = np.argsort(costs, kind="stable")
    order = order[: len(order) if widened else max(1, int(_SHARE * len(order)))]
    edges, positions = edges[order], positions[order]
    good = _keeps_topology(mesh, edges)
    good[good] = _keeps_faces_up(mesh, edges[good], positions[good])
    edges, positions = edges[good], positions[good]
    chosen = _apart(mesh, edges)[: -(-(len(mesh.faces) - target) // 2)]
    return _collapse(mesh, quadrics, edges[chosen], positions[chosen])


def _loose_edges(mesh: Mesh) -> np.ndarray:
    """Edges that have two faces, as all edges around them; the others stay as they are."""
    edges, faces = mesh.edges()
    fixed = np.zeros(len(mesh.vertices), dtype=bool)
    fixed[edges[faces != 2]] = True
    return edges[~fixed[edges].any(-1)]


def _keeps_topology(mesh: Mesh, edges: np.ndarray) -> np.ndarray:
    """Which edges can be collapsed alone: their ends have two neighbours in common, and these stay solid."""
    count = len(mesh.vertices)
    ends = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    near = coo_array(
        (np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count)
    ).tocsr()
    near.data[:] = 1
    degree = np.diff(near.indptr)
    common = near[edges[:, 0]].multiply(near[edges[:, 1]]).sum(axis=1)
    # A vertex of three faces that loses one would fold up.
    opposite = np.concatenate(
        [_keys(mesh.faces[degree[mesh.faces[:, k]] <= 3][:, [k - 2, k - 1]], count) for k in range(3)]
    )
    return (common == 2) & (degree[edges].sum(-1) >= 7) & ~np.isin(_keys(edges, count), opposite)


def _keys(edges: np.ndarray, count: int) -> np.ndarray:
    """A number for each edge, whichever way round it is."""
    ordered = np.sort(edges, axis=-1).astype(np.int64)
    return ordered[:, 0] * count + ordered[:, 1]


def _places(mesh: Mesh, quadrics: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the vertex of each collapsed edge is best, and the error there."""
    joined = quadrics[edges[:, 0]] + quadrics[edges[:, 1]]
    ends = mesh.vertices[edges]
    middle = ends.mean(1)
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
    matrix, vector = joined[:, :3, :3], joined[:, :3, 3]
    # A pull to the middle decides where planes leave the place open.
    pull = 1e-3 * np.trace(matrix, axis1=1, axis2=2) + 1e-30
    left = matrix + pull[:, None, None] * np.eye(3)
    right = pull[:, None] * middle - vector
    places = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    off = places - middle
    far = np.linalg.norm(off, axis=-1)
    places = middle + off * np.minimum(1, length / np.maximum(far, 1e-30))[:, None]
    homogeneous = np.concatenate([places, np.ones((len(places), 1))], -1)
    costs = np.einsum("ni,nij,nj->n", homogeneous, joined, homogeneous)
    # Flat regions cost nothing anywhere: short edges first.
    weight = np.trace(matrix, axis1=1, axis2=2)
    return places, np.maximum(costs, 0) + 1e-6 * weight * length**2


def _apart(mesh: Mesh, edges: np.ndarray) -> np.ndarray:
    """Indices of edges, cheaper ones first, none of which touches a neighbour of another."""
    count, rank = len(mesh.vertices), np.arange(len(edges))
    best = np.full(count, len(edges))
    for end in (0, 1):
        np.minimum.at(best, edges[:, end], rank)
    around = best.copy()
    for a, b in ((0, 1), (1, 2), (2, 0)):
        np.minimum.at(around, mesh.faces[:, a], best[mesh.faces[:, b]])
        np.minimum.at(around, mesh.faces[:, b], best[mesh.faces[:, a]])
    return np.flatnonzero((around[edges[:, 0]] == rank) & (around[edges[:, 1]] == rank))


def _keeps_faces_up(mesh: Mesh, edges: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Which collapses, each taken alone, turn no face over."""
    order = np.argsort(mesh.faces.ravel(), kind="stable")
    counts = np.bincount(mesh.faces.ravel(), minlength=len(mesh.vertices))
    starts = np.cumsum(counts) - counts
    vectors, normals = mesh.area_vectors(), mesh.normals()
    longest = np.square(mesh.corners - np.roll(mesh.corners, 1, axis=1)).sum(-1).max(-1)
    flat = np.linalg.norm(vectors, axis=-1) < _SLIVER * longest
    good = np.ones(len(edges), dtype=bool)
    for k in range(0, len(edges), _PART):
        part = edges[k : k + _PART]
        for end in (0, 1):
            own = part[:, end]
            edge = np.repeat(np.arange(len(part)), counts[own])
            step = np.arange(len(edge)) - np.repeat(np.cumsum(counts[own]) - counts[own], counts[own])
            face = order[starts[own][edge] + step] // 3
            corners = mesh.faces[face]
            moved = corners == own[edge][:, None]
            # Faces on the edge itself go.
            stays = ~(corners == part[:, 1 - end][edge][:, None]).any(-1)
            edge, face, corners, moved = edge[stays], face[stays], corners[stays], moved[stays]
            at = np.where(moved[:, :, None], positions[k : k + _PART][edge][:, None], mesh.vertices[corners])
            after = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
            # A sliver's own normal means nothing.
            before = np.where(flat[face][:, None], normals[part[:, end]][edge], vectors[face])
            size = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
            good[k + edge[np.einsum("ij,ij->i", before, after) <= _LEAST_TURN * size]] = False
    return good


def _collapse(
    mesh: Mesh, quadrics: np.ndarray, edges: np.ndarray, positions: np.ndarray
) -> tuple[Mesh, np.ndarray]:
    vertices = mesh.vertices.copy()
    vertices[edges] = positions[:, None]
    goes_to = np.arange(len(vertices))
    goes_to[edges[:, 1]] = edges[:, 0]
    quadrics = quadrics.copy()
    quadrics[edges[:, 0]] += quadrics[edges[:, 1]]
    faces = goes_to[mesh.faces]
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    kept = np.zeros(len(vertices), dtype=bool)
    kept[faces[whole]] = True
    index = np.cumsum(kept) - 1
    return Mesh(vertices[kept], index[faces[whole]].astype(np.int32)), quadrics[kept]
