"""The drawing of exports for the pages of the documentation."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from export_cases import CENTRE, cameras_around
from PIL import Image


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return importlib.import_module("benchmarks.export_pictures")


def test_textures_are_drawn_the_right_way_up(pictures, tmp_path):
    camera = cameras_around(1, 40)[0]
    right, up = camera.c2w[0, :, 0].numpy(), camera.c2w[0, :, 1].numpy()
    corners = np.array([CENTRE.numpy() + x * right + y * up for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    # Red above, green below, and a blue quarter on the lower right.
    texture = np.zeros((16, 16, 3), np.uint8)
    texture[:8], texture[8:], texture[8:, 8:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(texture))
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False).export(tmp_path / "a.glb")
    mesh = pictures.load_mesh(tmp_path / "a.glb")
    drawn, covered = pictures.draw(mesh, camera)
    assert covered[20, 20]
    assert drawn[10, 20].tolist() == [1, 0, 0]
    assert drawn[30, 10].tolist() == [0, 1, 0]
    assert drawn[30, 30].tolist() == [0, 0, 1]


def test_nearer_points_hide_farther_ones(pictures):
    camera = cameras_around(1, 40)[0]
    ahead = -camera.c2w[0, :, 2].numpy()
    points = np.stack([CENTRE.numpy() - 0.5 * ahead, CENTRE.numpy() + 0.5 * ahead])
    colours = np.array([[1.0, 0, 0], [0, 0, 1.0]])
    for order in ([0, 1], [1, 0]):
        drawn = pictures.draw_points(points[order], colours[order], camera)
        assert drawn[19:21, 19:21].reshape(-1, 3).tolist() == [[1, 0, 0]] * 4
        assert (drawn < 1).any(-1).sum() == 4


def test_volumes_are_seen_against_the_axis(pictures):
    rgba = np.zeros((2, 3, 4, 4), np.uint8)
    rgba[1, 0, 3] = (255, 0, 0, 255)
    rgba[0, 0, 3] = (0, 255, 0, 255)
    rgba[0, 2, 0] = (0, 0, 255, 51)
    drawn = pictures.draw_volume(rgba, 0)
    assert drawn.shape == (4, 3, 3)
    # z goes up, and the layer that is higher along x hides the other.
    assert drawn[0, 0].tolist() == [1, 0, 0]
    assert drawn[3, 2] == pytest.approx([0.8, 0.8, 1.0])
    assert drawn[0, 1].tolist() == [1, 1, 1]
