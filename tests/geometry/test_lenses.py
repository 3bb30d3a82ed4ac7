import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sightline.geometry.lenses import LensModel, lens_limits, project_lens, unproject_lens

RADIAL = [-0.28, 0.07, 0.0011, -0.0007, -0.006, 0.0, 0.0, 0.0]
RATIONAL = [0.4, 0.08, -0.0008, 0.0013, 0.02, 0.55, 0.12, 0.03]
FISHEYE = [0.06, -0.012, 0.004, -0.0009, 0.0, 0.0, 0.0, 0.0]
LENSES = {"radial": (LensModel.OPENCV, RADIAL), "rational": (LensModel.OPENCV, RATIONAL)}


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def limit_of(lens, coefficients):
    return float(lens_limits(lens, tensor([coefficients]))[0])


def undo(lens, plane, coefficients):
    return unproject_lens(lens, plane, coefficients, limit_of(lens, coefficients))


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(1)
    xy = torch.rand(500, 2, generator=generator, dtype=torch.float64) * 1.4 - 0.7
    return torch.cat([xy, torch.ones(500, 1, dtype=torch.float64)], -1)


@pytest.mark.parametrize("name", LENSES)
def test_projection_is_opencvs(name, points):
    lens, coefficients = LENSES[name]
    depth = torch.linspace(0.5, 7, len(points), dtype=torch.float64)[:, None]
    expected, _ = cv2.projectPoints(
        (points * depth).numpy(), np.zeros(3), np.zeros(3), np.eye(3), np.array(coefficients)
    )
    np.testing.assert_allclose(project_lens(lens, points * depth, coefficients), expected[:, 0], atol=1e-13)


@pytest.mark.parametrize("name", LENSES)
def test_undistortion_is_opencvs(name, points):
    lens, coefficients = LENSES[name]
    plane = points[:, :2] * 0.7
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    # OpenCV 5 gave the variant with criteria the plain name.
    undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
    expected = undistort(
        plane.numpy()[:, None], np.eye(3), np.array(coefficients), R=None, P=None, criteria=criteria
    )
    directions, valid = undo(lens, plane, coefficients)
    assert valid.all()
    np.testing.assert_allclose(directions[:, :2], expected[:, 0], atol=1e-9)
    assert (directions[:, 2] == 1).all()


def test_fisheye_is_opencvs(points):
    coefficients = np.array(FISHEYE[:4])
    expected, _ = cv2.fisheye.projectPoints(
        points.numpy()[:, None], np.zeros(3), np.zeros(3), np.eye(3), coefficients
    )
    plane = project_lens(LensModel.OPENCV_FISHEYE, points, FISHEYE)
    np.testing.assert_allclose(plane, expected[:, 0], atol=1e-13)
    directions, valid = undo(LensModel.OPENCV_FISHEYE, plane, FISHEYE)
    assert valid.all()
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-14)
    expected = cv2.fisheye.undistortPoints(plane.numpy()[:, None], np.eye(3), coefficients, criteria=criteria)
    np.testing.assert_allclose(directions[:, :2] / directions[:, 2:], expected[:, 0], atol=1e-9)


def test_fisheye_sees_sideways_and_behind():
    directions = tensor([[1.0, 0.0, 0.0], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    plane = project_lens(LensModel.OPENCV_FISHEYE, directions, [0.0] * 8)
    # Without distortion the radius is the angle: 90 degrees, and 90 + atan(0.5).
    expected = tensor([[np.pi / 2, 0.0], [0.0, np.pi / 2 + np.arctan(0.5)], [0.0, 0.0]])
    torch.testing.assert_close(plane, expected)
    back, valid = undo(LensModel.OPENCV_FISHEYE, plane, [0.0] * 8)
    assert valid.all()
    unit = directions / directions.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(back, unit, atol=1e-12, rtol=0)


radial = st.floats(-0.3, 0.3)
tangential = st.floats(-0.01, 0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(radial, radial, tangential, tangential, radial, radial, radial, radial), st.integers(0, 2**31)
)
def test_every_point_within_the_limit_comes_back(coefficients, seed):
    reach = 0.8 * min(limit_of(LensModel.OPENCV, coefficients), 1.5)
    # Tangential terms may fold the picture where the radial part hardly grows.
    radii = torch.linspace(0, 1.3 * reach, 200, dtype=torch.float64)
    along = torch.stack([radii, 0 * radii, torch.ones_like(radii)], -1)
    straight = [*coefficients[:2], 0.0, 0.0, *coefficients[4:]]
    growth = project_lens(LensModel.OPENCV, along, straight)[:, 0].diff() / radii.diff()
    assume(float(growth[: int(200 / 1.3)].min()) > 0.15)
    generator = torch.Generator().manual_seed(seed)
    radius, angle = torch.rand(2, 64, generator=generator, dtype=torch.float64)
    x = reach * radius * torch.cos(2 * np.pi * angle)
    y = reach * radius * torch.sin(2 * np.pi * angle)
    points = torch.stack([x, y, torch.ones_like(x)], -1)
    plane = project_lens(LensModel.OPENCV, points, coefficients)
    directions, valid = undo(LensModel.OPENCV, plane, coefficients)
    assert valid.all()
    torch.testing.assert_close(directions, points, atol=1e-10, rtol=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4), st.integers(0, 2**31))
def test_every_fisheye_angle_within_the_limit_comes_back(coefficients, seed):
    coefficients = [*coefficients, 0.0, 0.0, 0.0, 0.0]
    limit = limit_of(LensModel.OPENCV_FISHEYE, coefficients)
    generator = torch.Generator().manual_seed(seed)
    theta, angle = torch.rand(2, 64, generator=generator, dtype=torch.float64)
    theta, angle = 0.98 * limit * theta, 2 * np.pi * angle
    points = torch.stack(
        [torch.sin(theta) * torch.cos(angle), torch.sin(theta) * torch.sin(angle), torch.cos(theta)], -1
    )
    plane = project_lens(LensModel.OPENCV_FISHEYE, points, coefficients)
    directions, valid = undo(LensModel.OPENCV_FISHEYE, plane, coefficients)
    assert valid.all()
    torch.testing.assert_close(directions, points, atol=1e-10, rtol=0)


def test_limits_by_hand():
    # d(r + k r³)/dr = 0 at r = 1 / sqrt(-3 k).
    barrel = [-1 / 12] + [0.0] * 7
    assert limit_of(LensModel.OPENCV, barrel) == pytest.approx(2.0)
    assert limit_of(LensModel.OPENCV, [0.1] + [0.0] * 7) == np.inf
    # The denominator 1 - r²/4 vanishes at r = 2, where the factor grows without end.
    assert limit_of(LensModel.OPENCV, [0.0] * 5 + [-0.25, 0.0, 0.0]) == pytest.approx(2.0)
    assert limit_of(LensModel.OPENCV_FISHEYE, [0.0] * 8) == pytest.approx(np.pi)
    assert limit_of(LensModel.OPENCV_FISHEYE, [-1 / 3] + [0.0] * 7) == pytest.approx(1.0)
    assert limit_of(LensModel.PINHOLE, [0.0] * 8) == np.inf


def test_unreachable_pixels_get_the_nearest_ray_and_are_marked():
    barrel = [-1 / 12] + [0.0] * 7
    # The farthest that r - r³/12 gets is 4/3, at r = 2.
    plane = tensor([[1.5, 0.0], [0.0, -3.0], [3.0, 4.0], [1.3, 0.0], [0.1, 0.2]])
    directions, valid = undo(LensModel.OPENCV, plane, barrel)
    assert valid.tolist() == [False, False, False, True, True]
    torch.testing.assert_close(
        directions[:3], tensor([[2.0, 0.0, 1.0], [0.0, -2.0, 1.0], [1.2, 1.6, 1.0]]), atol=1e-6, rtol=0
    )
    assert float(directions[3, 0]) < 2
    fisheye = [-1 / 3] + [0.0] * 7
    directions, valid = undo(LensModel.OPENCV_FISHEYE, tensor([[0.0, 0.7], [0.6, 0.0]]), fisheye)
    assert valid.tolist() == [False, True]
    torch.testing.assert_close(directions[0], tensor([0.0, np.sin(1.0), np.cos(1.0)]), atol=1e-6, rtol=0)


def test_no_fold_over_onto_the_wrong_branch():
    # Beyond its limit this polynomial falls through zero and rises again: three radii share a pixel.
    coefficients = [-0.9, 0.2] + [0.0] * 6
    limit = limit_of(LensModel.OPENCV, coefficients)
    radius = torch.linspace(0, 0.999 * limit, 400, dtype=torch.float64)
    points = torch.stack([radius * 0.6, radius * 0.8, torch.ones_like(radius)], -1)
    plane = project_lens(LensModel.OPENCV, points, coefficients)
    directions, valid = undo(LensModel.OPENCV, plane, coefficients)
    assert valid.all()
    torch.testing.assert_close(directions, points, atol=1e-9, rtol=0)


def test_coefficients_per_point_equal_shared_ones(points):
    for lens, coefficients in (*LENSES.values(), (LensModel.OPENCV_FISHEYE, FISHEYE)):
        plane = project_lens(lens, points, coefficients)
        rows = tensor(coefficients).expand(len(points), 8).unbind(-1)
        torch.testing.assert_close(project_lens(lens, points, rows), plane, atol=1e-14, rtol=0)
        limit = limit_of(lens, coefficients)
        one, _ = unproject_lens(lens, plane, coefficients, limit)
        many, _ = unproject_lens(lens, plane, rows, torch.full((len(points),), limit, dtype=torch.float64))
        torch.testing.assert_close(many, one, atol=1e-13, rtol=0)


def test_projection_can_be_differentiated(points):
    for lens, coefficients in (*LENSES.values(), (LensModel.OPENCV_FISHEYE, FISHEYE)):
        inputs = torch.cat([points[:4], tensor([[0.0, 0.0, 2.0]])]).requires_grad_()
        assert torch.autograd.gradcheck(lambda p, c=coefficients, k=lens: project_lens(k, p, c), (inputs,))
