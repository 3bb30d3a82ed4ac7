import math

import numpy as np
import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.geometry import published_paths as paths
from sightline.geometry.treatments import recentre_and_scale, spherify


@pytest.fixture(scope="module")
def golden(shared):
    def load(name):
        with np.load(shared / "golden" / "nerf" / f"{name}.npz") as data:
            return {key: data[key] for key in data.files}

    return load


@pytest.fixture(scope="module")
def fern(golden):
    return golden("llff_fern")


@pytest.fixture(scope="module")
def fern_input(fern):
    rows = torch.from_numpy(fern["poses_bounds"])
    matrix = rows[:, :15].reshape(-1, 3, 5)
    c2w = torch.stack([matrix[:, :, 1], -matrix[:, :, 0], matrix[:, :, 2], matrix[:, :, 3]], -1)
    return c2w, rows[:, 15], rows[:, 16]


@pytest.fixture(scope="module")
def treated(fern_input):
    return recentre_and_scale(*fern_input)


def close(actual, expected, atol=1e-5):
    assert tuple(actual.shape) == expected.shape
    np.testing.assert_allclose(actual.numpy(), expected, atol=atol, rtol=0)


def test_spiral_of_nerf_pl(fern, treated):
    close(paths.spiral_radii(treated.c2w), fern["nerf_pl__spiral_radii"], atol=1e-9)
    close(paths.nerf_pl_spiral(treated.c2w), fern["nerf_pl__spiral_poses"], atol=1e-9)


def test_spiral_of_flax_nerf(fern, treated):
    close(paths.flax_nerf_spiral(treated.c2w), fern["flax__spiral_poses"])


def test_spirals_of_bmild(fern, treated):
    bounds = treated.near, treated.far
    assert paths.focus_depth(*bounds) == pytest.approx(float(fern["bmild__focus_depth"]), abs=1e-5)
    close(paths.bmild_spiral(treated.c2w, *bounds), fern["bmild__spiral_poses"][:, :, :4])
    close(paths.bmild_spiral_zflat(treated.c2w, *bounds), fern["bmild__spiral_zflat_poses"][:, :, :4])


def test_circle_of_nerf_pl(fern, treated):
    path = paths.nerf_pl_circle(float(treated.near.min()))
    close(path, fern["nerf_pl__spheric_poses"], atol=1e-9)
    close(path, fern["flax__spheric_poses"])


def test_circle_of_bmild(fern, fern_input):
    path = paths.bmild_spherify_circle(spherify(*fern_input).c2w)
    close(path, fern["bmild__spherify_path"][:, :, :4], atol=3e-5)


def test_blender_circle(golden):
    rays = golden("bmild_rays")
    close(paths.blender_circle(), rays["blender_path_40"][:, :3])
    close(paths.pose_spherical(*rays["pose_spherical_args"].tolist()), rays["pose_spherical"][:3])


def test_blender_circle_by_hand():
    path = paths.blender_circle(4, elevation=0, radius=2)
    places = [[0, -2, 0], [-2, 0, 0], [0, 2, 0], [2, 0, 0]]
    np.testing.assert_allclose(path[:, :, 3], places, atol=1e-12)
    for pose in path:
        np.testing.assert_allclose(pose[:, 2] * 2, pose[:, 3], atol=1e-12)
        np.testing.assert_allclose(pose[:, 1], [0, 0, 1], atol=1e-12)


def test_spherify_circle_stays_at_distance_one_and_level():
    c2w = torch.eye(4).double()[:3].repeat(5, 1, 1)
    c2w[:, 2, 3] = 0.6
    path = paths.bmild_spherify_circle(c2w, 9)
    np.testing.assert_allclose(path[:, :, 3].norm(dim=-1), np.ones(9))
    np.testing.assert_allclose(path[:, 2, 3], np.full(9, 0.6))
    np.testing.assert_allclose(path[0], path[-1], atol=1e-12)
    np.testing.assert_allclose(path[:, 2, 0], np.zeros(9), atol=1e-12)
    np.testing.assert_allclose(torch.linalg.det(path[:, :, :3]), np.ones(9))


@pytest.mark.parametrize("frames", [0, -1])
def test_paths_without_frames_are_refused(frames):
    c2w = torch.eye(4).double()[:3].repeat(3, 1, 1)
    bounds = torch.ones(3).double(), torch.full((3,), 4.0).double()
    for make in (
        lambda: paths.nerf_pl_spiral(c2w, frames),
        lambda: paths.bmild_spiral(c2w, *bounds, frames),
        lambda: paths.nerf_pl_circle(1.0, frames),
        lambda: paths.bmild_spherify_circle(c2w, frames),
        lambda: paths.blender_circle(frames),
    ):
        with pytest.raises(InputError, match="frames"):
            make()


def test_nerf_pl_circle_passes_the_origin_at_nine_tenths_of_its_radius():
    path = paths.nerf_pl_circle(1.0, 5)
    along = (path[:, :, 3] * path[:, :, 2]).sum(-1)
    off = (path[:, :, 3].square().sum(-1) - along.square()).sqrt()
    np.testing.assert_allclose(off, np.full(5, 0.9 * 1.1))
    assert math.isclose(float(along[0]), 1.1)
