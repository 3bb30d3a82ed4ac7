import numpy as np
import pytest
import trimesh

from sightline.synthesis import solids
from sightline.synthesis.meshes import Mesh


def closed(mesh: Mesh) -> trimesh.Trimesh:
    """The same surface with its vertices joined; it has an inside, and its faces look outwards."""
    joined = trimesh.Trimesh(mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64), process=False)
    joined.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=5)
    assert joined.is_watertight
    assert joined.is_winding_consistent
    assert joined.volume > 0
    return joined


def test_a_slab_without_rounding_is_a_prism():
    mesh = solids.slab(solids.rounded(0.4, 0.3), 0.2)
    assert closed(mesh).volume == pytest.approx(0.4 * 0.3 * 0.2, rel=1e-5)
    np.testing.assert_allclose(mesh.bounds, [[-0.2, -0.15, 0], [0.2, 0.15, 0.2]], atol=1e-7)
    # Six flat sides, with an edge between any two.
    assert len(np.unique(np.round(mesh.normals, 5), axis=0)) == 6


def test_a_round_edge_takes_a_little_away_and_is_soft():
    sharp, soft = (closed(solids.slab(solids.rounded(1, 1, 0.2), 0.3, edge)) for edge in (0.0, 0.1))
    assert 0.9 * sharp.volume < soft.volume < sharp.volume
    mesh = solids.slab(solids.rounded(1, 1, 0.2), 0.3, 0.1)
    assert len(np.unique(np.round(mesh.normals, 5), axis=0)) > 100


def test_a_taper_scales_the_top():
    mesh = solids.slab(solids.rounded(1, 1), 1.0, taper=0.5)
    top = mesh.vertices[mesh.vertices[:, 2] > 0.99]
    np.testing.assert_allclose(np.abs(top[:, :2]).max(0), [0.25, 0.25], atol=1e-6)
    # Frustum: h / 3 (A + a + sqrt(A a)).
    assert closed(mesh).volume == pytest.approx((1 + 0.25 + 0.5) / 3, rel=1e-5)


@pytest.mark.parametrize("end", [(0, 0, 1), (0.6, 0, 0.8), (0, 1, 0), (-0.5, 0.5, -0.5)])
def test_beams_and_rods_join_two_points(end):
    length = np.linalg.norm(end)
    beam = closed(solids.beam((0, 0, 0), end, 0.1, 0.2))
    assert beam.volume == pytest.approx(0.1 * 0.2 * length, rel=1e-4)
    np.testing.assert_allclose(beam.center_mass, np.array(end) / 2, atol=1e-5)
    rod = closed(solids.rod((0, 0, 0), end, 0.1, segments=64))
    assert rod.volume == pytest.approx(np.pi * 0.01 * length, rel=0.01)


def test_a_level_beam_is_as_high_as_its_depth():
    low, high = solids.beam((0, 0, 1), (2, 0, 1), 0.1, 0.4).bounds
    np.testing.assert_allclose([low, high], [[0, -0.05, 0.8], [2, 0.05, 1.2]], atol=1e-6)


def test_a_tube_follows_its_points():
    path = solids.bend([(0, 0, 0), (0, 0, 1), (1, 0, 1)], 0.2)
    np.testing.assert_allclose(path[[0, -1]], [[0, 0, 0], [1, 0, 1]])
    assert (np.linalg.norm(path - [0, 0, 1], axis=1) > 0.07).all()  # the corner is cut
    mesh = solids.tube(path, 0.05, 24)
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert closed(mesh).volume == pytest.approx(np.pi * 0.05**2 * length, rel=0.04)


@pytest.mark.parametrize(
    ("outline", "area"),
    [
        (solids.ellipse(2, 1, 200), np.pi / 2),
        (solids.rounded(2, 1, 0.3, steps=60), 2 - (4 - np.pi) * 0.09),
        (solids.rounded(2, 1, narrow=0.5), 1.5),
        (solids.arch(2, 1, 0.5, steps=200), 1 + np.pi / 2 * 0.5),
    ],
)
def test_outlines_run_counter_clockwise_around_their_area(outline, area):
    after = np.roll(outline, -1, axis=0)
    signed = 0.5 * (outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0]).sum()
    assert signed == pytest.approx(area, rel=2e-3)


def test_normals_are_soft_up_to_the_crease():
    # Two squares that meet at 60 degrees along the y axis.
    cosine, sine = np.cos(np.radians(60)), np.sin(np.radians(60))
    vertices = np.array([[-1, 0, 0], [0, 0, 0], [0, 1, 0], [-1, 1, 0], [cosine, 0, sine], [cosine, 1, sine]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    hard = solids.shaded(vertices, faces, crease=59)
    np.testing.assert_allclose(hard.normals[:6], [[0, 0, 1]] * 6, atol=1e-6)
    np.testing.assert_allclose(hard.normals[6:], [[-sine, 0, cosine]] * 6, atol=1e-6)
    soft = solids.shaded(vertices, faces, crease=61)
    shared = np.isclose(soft.vertices[:, 0], 0)
    assert shared.sum() == 6
    # At one end of the edge one face of the left and two of the right meet, at the other two and one.
    for normal, position in zip(soft.normals[shared], soft.vertices[shared], strict=True):
        left, right = (1, 2) if position[1] == 0 else (2, 1)
        expected = left * np.array([0, 0, 1]) + right * np.array([-sine, 0, cosine])
        np.testing.assert_allclose(normal, expected / np.linalg.norm(expected), atol=1e-6)


def test_faces_without_area_are_left_out():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]])
    mesh = solids.shaded(vertices, np.array([[0, 1, 2], [0, 1, 3]]))
    assert mesh.faces.shape == (1, 3)


def test_texture_coordinates_are_lengths_across_the_main_axis():
    mesh = solids.shaded(np.array([[0.0, 0, 0], [2, 0, 0], [0, 3, 0]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(mesh.uvs, [[0, 0], [2, 0], [0, 3]])
    mesh = solids.shaded(np.array([[0.0, 0, 0], [0, 2, 0], [0, 0, 3]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(mesh.uvs, [[0, 0], [2, 0], [0, 3]])


def test_merging_keeps_every_face():
    first, second = solids.slab(solids.rounded(1, 1), 1), solids.rod((0, 0, 0), (0, 0, 1), 0.1)
    both = solids.merged([first, second])
    np.testing.assert_array_equal(
        both.vertices[both.faces],
        np.concatenate([first.vertices[first.faces], second.vertices[second.faces]]),
    )
