import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel, look_at
from sightline.geometry.poses import nearest_to_axes, transform_poses
from sightline.geometry.treatments import (
    TREATMENTS,
    capture_layout,
    central_view,
    depth_range,
    recentre_and_scale,
    scale_factor,
    shell_range,
    spherify,
    treat,
    untreated,
)

POSES = 1e-5
"""the published numbers are float32"""


@pytest.fixture(scope="module")
def fern(shared):
    with np.load(shared / "golden" / "nerf" / "llff_fern.npz") as data:
        return {name: data[name] for name in data.files}


@pytest.fixture(scope="module")
def fern_input(fern):
    """Poses, near and far as the file has them."""
    rows = torch.from_numpy(fern["poses_bounds"])
    matrix = rows[:, :15].reshape(-1, 3, 5)
    c2w = torch.stack([matrix[:, :, 1], -matrix[:, :, 0], matrix[:, :, 2], matrix[:, :, 3]], -1)
    return c2w, rows[:, 15], rows[:, 16]


def close(actual, expected, atol=POSES):
    np.testing.assert_allclose(np.asarray(actual), expected, atol=atol, rtol=0)


def ring(count=12, radius=3.0, height=1.0, focus=(0.5, -0.2, 0.1)):
    target = torch.tensor(focus, dtype=torch.float64)
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    level = [radius * torch.cos(angles), radius * torch.sin(angles), torch.full_like(angles, height)]
    return look_at(target + torch.stack(level, -1), target, torch.tensor([0.0, 0.0, 1.0]).double())


def bounds(count, near=2.0, far=6.0):
    return torch.full((count,), near).double(), torch.full((count,), far).double()


def test_recentred_and_scaled_fern_is_that_of_all_sources(fern, fern_input):
    treated = recentre_and_scale(*fern_input)
    found = torch.stack([treated.near, treated.far], -1)
    close(treated.c2w, fern["nerf_pl__poses"], atol=1e-9)
    close(found, fern["nerf_pl__bounds"], atol=1e-9)
    close(treated.c2w, fern["bmild__poses"][:, :, :4])
    close(found, fern["bmild__bounds"])
    chosen = [int(index) for index in fern["flax__test_index"]]
    close(treated.c2w[chosen], fern["flax__test_poses"])
    close(treated.c2w[int(fern["flax__val_index"])], fern["flax__val_pose"])


def test_scale_and_average_of_fern(fern, fern_input):
    # The published factor divides; ours multiplies.
    assert scale_factor(*fern_input[1:]) == pytest.approx(1 / float(fern["nerf_pl__scale_factor"]), rel=1e-9)
    similarity = recentre_and_scale(*fern_input).similarity
    matrix = similarity.matrix().numpy()
    inverse = fern["nerf_pl__inv_pose_avg"]
    close(matrix[:3, :3] / similarity.scale, inverse[:3, :3], atol=1e-9)
    close(matrix[:3, 3] / similarity.scale, inverse[:3, 3], atol=1e-8)


def test_spherified_fern_is_that_of_bmild(fern, fern_input):
    treated = spherify(*fern_input)
    close(treated.c2w, fern["bmild__spherify_poses"][:, :, :4], atol=3e-5)
    close(torch.stack([treated.near, treated.far], -1), fern["bmild__spherify_bounds"])
    close(depth_range(treated.near, treated.far, "bmild"), fern["bmild__spherify_no_ndc_near_far"])


def test_depth_ranges_of_fern(fern, fern_input):
    treated = recentre_and_scale(*fern_input)
    close(depth_range(treated.near, treated.far), fern["nerf_pl__spheric_near_far"], atol=1e-8)
    close(depth_range(treated.near, treated.far), fern["flax__spheric_near_far"], atol=1e-8)
    close(depth_range(treated.near, treated.far, "bmild"), fern["bmild__no_ndc_near_far"])


def test_central_view_of_fern(fern, fern_input):
    for name in ("nerf_pl__val_index", "flax__val_index", "bmild__central_index"):
        assert central_view(fern_input[0]) == int(fern[name])


@pytest.mark.parametrize("name", TREATMENTS)
def test_the_similarity_leads_to_the_treated_poses_and_back(name):
    c2w, (near, far) = ring(), bounds(12)
    treated = treat(name, c2w, near, far)
    close(transform_poses(c2w, treated.similarity), treated.c2w, atol=1e-12)
    close(transform_poses(treated.c2w, treated.similarity.inverse()), c2w, atol=1e-12)
    close(treated.near, near * treated.similarity.scale, atol=1e-12)
    close(treated.far, far * treated.similarity.scale, atol=1e-12)


def test_recentring_by_hand():
    c2w = torch.eye(4).double()[:3].repeat(2, 1, 1)
    c2w[:, :, 3] = torch.tensor([[1.0, 0, 0], [3.0, 0, 0]])
    treated = recentre_and_scale(c2w, *bounds(2, near=2.0, far=8.0))
    # Nearest depth 2 becomes 4/3, so lengths shrink by 2/3; the middle (2, 0, 0) becomes the origin.
    close(treated.c2w[:, :, 3], [[-2 / 3, 0, 0], [2 / 3, 0, 0]], atol=1e-12)
    close(treated.near, [4 / 3, 4 / 3], atol=1e-12)
    close(treated.far, [16 / 3, 16 / 3], atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.3, 30), st.floats(-2, 2), st.floats(0.2, 2))
def test_spherifying_puts_the_subject_at_the_origin(radius, focus, height):
    c2w = ring(9, radius, height * radius, (focus, -focus, 2 * focus))
    treated = spherify(c2w, *bounds(9))
    centres = treated.c2w[:, :, 3]
    close(nearest_to_axes(treated.c2w), [0, 0, 0], atol=1e-9)
    assert float(centres.square().sum(-1).mean()) == pytest.approx(1)
    close(centres[:, :2].mean(0), [0, 0], atol=1e-9)
    assert float(centres[:, 2].mean()) > 0
    close(torch.linalg.det(treated.c2w[:, :, :3]), np.ones(9), atol=1e-9)


def test_nothing_to_stand_around_is_refused():
    parallel = torch.eye(4).double()[:3].repeat(3, 1, 1)
    parallel[:, 0, 3] = torch.arange(3.0)
    with pytest.raises(InputError, match="parallel directions"):
        spherify(parallel, *bounds(3))
    with pytest.raises(InputError, match="no up"):
        spherify(ring(8, height=0.0, focus=(0, 0, 0)), *bounds(8))


@pytest.mark.parametrize("near", [0.0, -1.0, math.nan])
def test_bounds_that_are_not_positive_are_refused(near):
    with pytest.raises(InputError, match="its size is unknown"):
        recentre_and_scale(ring(4), torch.tensor([1.0, near, 1.0, 1.0]).double(), bounds(4)[1])


def test_depth_ranges_by_hand():
    near = torch.tensor([1.0] + [4.0] * 39).double()
    far = torch.tensor([10.0] * 39 + [100.0]).double()
    assert depth_range(near, far) == (1.0, 8.0)
    assert depth_range(near, far, "bmild") == (0.9, 100.0)
    assert depth_range(near, far, "robust") == pytest.approx((0.9 * 4, 10.0))
    with pytest.raises(InputError, match="nerf_pl, bmild, robust"):
        depth_range(near, far, "other")


def test_shell_of_deepvoxels():
    assert shell_range(ring(5, 2.0, 0.0, (0, 0, 0))) == pytest.approx((1.0, 3.0))


def test_unknown_treatments_are_refused():
    with pytest.raises(InputError, match="none, recentre, spherify"):
        treat("twist", ring(3), *bounds(3))
    assert untreated(ring(3), *bounds(3)).similarity.scale == 1.0


def camera_grid(tilt):
    """Four cameras of 90 degrees across, turned by +-tilt about the vertical."""
    eyes = torch.tensor([[-1.0, 0, 0], [1.0, 0, 0], [-1, 1, 0], [1, 1, 0]]).double()
    aim = math.radians(tilt)
    away = torch.tensor(
        [[-math.sin(aim), 0, -math.cos(aim)], [math.sin(aim), 0, -math.cos(aim)]] * 2
    ).double()
    return Cameras.create(
        look_at(eyes, eyes + away, torch.tensor([0.0, 1, 0]).double()), 50.0, width=100, height=80
    )


@pytest.mark.parametrize(("tilt", "layout"), [(0, "forward-facing"), (44, "forward-facing"), (46, "360")])
def test_layout_is_by_the_outermost_rays(tilt, layout):
    assert capture_layout(camera_grid(tilt)) == layout


def test_layout_of_a_ring():
    assert capture_layout(Cameras.create(ring(), 100.0, width=100, height=100)) == "360"


@pytest.mark.parametrize(("focal", "layout"), [(40.0, "forward-facing"), (30.0, "360")])
def test_layout_follows_the_lens(focal, layout):
    # The corner is 52 pixels off the middle: 74 degrees off the axis of an ideal fisheye, or 99.
    corner = math.degrees(math.hypot(42, 30) / focal)
    assert (corner < 90) == (layout == "forward-facing")
    cameras = Cameras.create(torch.eye(4)[None], focal, width=84, height=60, lens=LensModel.OPENCV_FISHEYE)
    assert capture_layout(cameras) == layout
