"""The measurement of silhouettes, on a ball whose masks are known."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from export_cases import CENTRE, RADIUS, Ball, cameras_around, photos_of


@pytest.fixture
def silhouettes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return importlib.import_module("benchmarks.mesh_silhouettes")


def ball(radius: float = RADIUS) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(4, radius)
    mesh.apply_translation(CENTRE.numpy())
    outward = mesh.vertices - CENTRE.numpy()
    mesh.visual.vertex_colors = np.rint(255 * (0.5 + 0.5 * outward / radius)).astype(np.uint8)
    return mesh


def test_the_right_size_overlaps_and_a_wrong_one_does_not(silhouettes):
    photos = photos_of(Ball(edge=0.005, peak=5000.0), cameras_around(3, 48))
    assert min(silhouettes.score(ball(), photos)) > 0.97
    # Masks of balls overlap as the squares of their radii.
    assert np.mean(silhouettes.score(ball(0.8 * RADIUS), photos)) == pytest.approx(0.64, abs=0.03)


def test_the_nearest_side_is_drawn(silhouettes):
    camera = cameras_around(4, 48)[1]
    picture, covered = silhouettes.draw(ball(), camera)
    towards = -camera.forward[0].numpy()
    assert covered[24, 24]
    assert picture[24, 24] == pytest.approx(0.5 + 0.5 * towards, abs=0.05)
    assert (picture[~covered] == 1).all()


def test_overlaps_by_hand(silhouettes):
    a, b = np.array([True, True, False]), np.array([False, True, True])
    assert silhouettes.overlap(a, b) == pytest.approx(1 / 3)
    assert silhouettes.overlap(a & False, b & False) == 1
