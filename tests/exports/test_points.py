"""Point clouds: where the surface is, with its colours, thinned; what views disagree on is left out."""

import numpy as np
import pytest
import torch
import trimesh
from export_cases import CENTRE, RADIUS, Ball, BallMethod, cameras_around, normal_colours, source_of

from sightline.exports.points.config import PointsOptions
from sightline.exports.points.export import View, export_points, fuse, thin
from sightline.foundation.errors import InputError
from sightline.methods.base import Scene


@pytest.fixture(scope="module")
def views() -> list[View]:
    cameras, method, scene = cameras_around(10, 40), BallMethod(None), Ball()
    found = []
    for index in range(len(cameras)):
        rendering = method.render(scene, cameras[index], background=torch.zeros(3))
        assert rendering.depth is not None
        assert rendering.opacity is not None
        depth = torch.where(rendering.opacity > 0.9, rendering.depth, torch.nan)
        found.append(View(cameras[index], depth, rendering.rgb))
    return found


def test_points_lie_on_the_surface_with_its_colours(tmp_path):
    exported = export_points(source_of(tmp_path), PointsOptions(count=1500))
    cloud = trimesh.load(exported.paths[0])
    points = np.asarray(cloud.vertices)
    assert 750 <= len(points) <= 1500
    assert exported.facts["points"] == len(points)
    distance = np.linalg.norm(points - CENTRE.numpy(), axis=-1)
    assert np.abs(distance - RADIUS).max() < 0.04
    expected = normal_colours(torch.from_numpy(points)).numpy()
    assert np.abs(cloud.colors[:, :3] / 255 - expected).max() < 0.1
    octants = np.unique((points > CENTRE.numpy()) @ [1, 2, 4])
    assert len(octants) == 8


def test_what_one_view_alone_sees_is_left_out(views: list[View]):
    before, _ = fuse(views, 0.01, 2)
    ghost = views[0].depth.clone()
    ghost[:4, :4] = 2.0
    haunted = [View(views[0].camera, ghost, views[0].colour), *views[1:]]
    after, _ = fuse(haunted, 0.01, 2)
    assert np.array_equal(before, after)
    everything, _ = fuse(haunted, 0.01, 0)
    assert len(everything) == sum(int(torch.isfinite(view.depth).sum()) for view in haunted)
    assert np.abs(np.linalg.norm(everything - CENTRE.numpy(), axis=-1) - RADIUS).max() > 1


def test_one_view_has_nobody_to_agree_with(views: list[View]):
    points, colours = fuse(views[:1], 0.01, 2)
    assert len(points) == len(colours) == int(torch.isfinite(views[0].depth).sum())


def test_thinning_takes_the_means_of_cubes():
    points = np.array([[0, 0, 0], [0.01, 0, 0], [1, 1, 1], [1, 1, 1.02]])
    colours = np.array([[0.0] * 3, [1.0] * 3, [0.2] * 3, [0.4] * 3])
    thinned, mixed, side = thin(points, colours, 2)
    assert thinned == pytest.approx(np.array([[0.005, 0, 0], [1, 1, 1.01]]))
    assert mixed[:, 0].tolist() == pytest.approx([0.5, 0.3])
    assert 0.01 < side <= 1.02
    assert len(thin(points, colours, 4)[0]) == 4


def test_the_box_crops(tmp_path):
    bounds = (CENTRE[0].item(), -2.0, -2.0, 2.0, 2.0, 2.0)
    exported = export_points(source_of(tmp_path), PointsOptions(count=500, bounds=bounds), tmp_path / "a.ply")
    points = np.asarray(trimesh.load(tmp_path / "a.ply").vertices)
    # Floats in the file are rounded.
    assert points[:, 0].min() >= bounds[0] - 1e-6
    assert exported.paths == (tmp_path / "a.ply",)
    with pytest.raises(InputError, match="--bounds"):
        export_points(source_of(tmp_path), PointsOptions(count=500, bounds=(5, 5, 5, 6, 6, 6)))


def test_bad_calls(tmp_path):
    source = source_of(tmp_path)
    with pytest.raises(InputError, match="--count"):
        export_points(source, PointsOptions(count=0))
    with pytest.raises(InputError, match=r"\.ply"):
        export_points(source, PointsOptions(), tmp_path / "a.xyz")
    with pytest.raises(InputError, match="method ball gives no depth"):
        export_points(source_of(tmp_path, Scene()), PointsOptions())
