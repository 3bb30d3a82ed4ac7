import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.synthesis import meshes
from sightline.synthesis.meshes import Mesh, rotation, translation

LENGTH = st.floats(0.1, 3.0)


def face_normals(mesh: Mesh) -> np.ndarray:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return np.cross(b - a, c - a)


def enclosed_volume(mesh: Mesh) -> float:
    """By the divergence theorem; positive where faces run counter-clockwise seen from outside."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def polygon_factor(segments: int) -> float:
    """Area of a regular polygon by that of the circle around it."""
    return segments / (2 * np.pi) * np.sin(2 * np.pi / segments)


PRIMITIVES = {
    "box": meshes.box(1.0, 2.0, 0.5),
    "cylinder": meshes.cylinder(0.5, 1.5),
    "frustum": meshes.frustum(0.6, 0.2, 1.0),
    "cone": meshes.frustum(0.6, 0.0, 1.0),
    "sphere": meshes.sphere(0.7),
    "torus": meshes.torus(0.8, 0.2),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_normals_point_outwards_and_are_unit(name):
    mesh = PRIMITIVES[name]
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)
    outward = face_normals(mesh)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    corner_normals = mesh.normals[mesh.faces]
    assert (corner_normals * outward[:, None]).sum(-1).min() > 0.5
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    assert mesh.bounds[0, 2] == pytest.approx(0, abs=1e-6)


@given(LENGTH, LENGTH, LENGTH)
def test_box_has_its_volume_and_place(width, depth, height):
    mesh = meshes.box(width, depth, height)
    assert enclosed_volume(mesh) == pytest.approx(width * depth * height, rel=1e-5)
    expected = [[-width / 2, -depth / 2, 0], [width / 2, depth / 2, height]]
    np.testing.assert_allclose(mesh.bounds, expected, rtol=1e-5, atol=1e-6)


def test_turned_solids_have_their_volumes():
    factor = polygon_factor(48)
    assert enclosed_volume(PRIMITIVES["cylinder"]) == pytest.approx(factor * np.pi * 0.25 * 1.5, rel=1e-5)
    frustum = np.pi / 3 * (0.36 + 0.12 + 0.04)
    assert enclosed_volume(PRIMITIVES["frustum"]) == pytest.approx(factor * frustum, rel=1e-5)
    assert enclosed_volume(PRIMITIVES["cone"]) == pytest.approx(factor * np.pi / 3 * 0.36, rel=1e-5)
    # Smooth solids lie inside the true one: Pappus for the ring, flattened by its polygons.
    assert enclosed_volume(PRIMITIVES["sphere"]) == pytest.approx(4 / 3 * np.pi * 0.343, rel=0.01)
    ring = polygon_factor(48) * polygon_factor(24) * 2 * np.pi**2 * 0.8 * 0.04
    assert enclosed_volume(PRIMITIVES["torus"]) == pytest.approx(ring, rel=1e-3)


def test_closed_solids_have_no_border():
    for mesh in PRIMITIVES.values():
        # Edges meet by place, not by index: seams hold vertices of equal place and other texture coordinates.
        rounded = np.round(mesh.vertices, 5) + 0.0
        _, place = np.unique(rounded, axis=0, return_inverse=True)
        corners = place.ravel()[mesh.faces]
        directed = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        edges = {tuple(edge) for edge in directed.tolist()}
        assert all((second, first) in edges for first, second in edges)


def test_transforms_keep_outside_outside():
    mesh = PRIMITIVES["frustum"]
    squeezed = np.diag([2.0, 0.5, -1.5, 1.0])  # mirrors
    moved = mesh.transformed(translation(1, 2, 3) @ rotation("x", 30) @ squeezed)
    assert enclosed_volume(moved) == pytest.approx(1.5 * enclosed_volume(mesh), rel=1e-4)
    outward = face_normals(moved)
    assert ((moved.normals[moved.faces] * outward[:, None]).sum(-1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(moved.normals, axis=1), 1, atol=1e-6)


def test_rotations_turn_counter_clockwise():
    np.testing.assert_allclose(rotation("z", 90)[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rotation("x", 90)[:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(rotation("y", 90)[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-15)


def test_what_is_no_mesh_is_refused():
    mesh = PRIMITIVES["box"]
    with pytest.raises(ValueError, match="face with vertex 99 of 24"):
        Mesh(mesh.vertices, np.array([[0, 1, 99]], dtype=np.uint32), mesh.normals, mesh.uvs)
    with pytest.raises(ValueError, match=r"\(23, 3\) normals"):
        Mesh(mesh.vertices, mesh.faces, mesh.normals[:-1], mesh.uvs)
    with pytest.raises(ValueError, match="repeat a point"):
        meshes.lathe([(0, 0), (1, 0), (1, 0), (0, 1)])
