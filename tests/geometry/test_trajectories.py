import json
import math

import numpy as np
import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel, axes_meet, look_at, up_direction
from sightline.geometry.trajectories import circle, interpolate, orbit, spiral, survey

UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
FOCUS = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64)


def cameras_at(c2w, **changes):
    settings = {"fx": 500.0, "width": 400, "height": 300, **changes}
    return Cameras.create(c2w, **settings)


def ring(n=24, radius=3.0, height=1.5, span=2 * math.pi):
    angles = 0.3 + torch.arange(n, dtype=torch.float64) * (span / n)
    offsets = torch.stack([radius * torch.cos(angles), radius * torch.sin(angles), height + 0 * angles], -1)
    return cameras_at(look_at(FOCUS + offsets, FOCUS, UP))


def forward_facing(depth=5.0):
    """A 5 x 4 grid of cameras, 0.25 apart, at z = 2 of a world whose y is up, that look at one point."""
    x, y = torch.meshgrid(
        torch.linspace(-0.5, 0.5, 5).double(), torch.linspace(-0.4, 0.4, 4).double(), indexing="ij"
    )
    eyes = torch.stack([x, y, 2 + 0 * x], -1).reshape(-1, 3)
    target = torch.tensor([0.0, 0.0, 2 - depth], dtype=torch.float64)
    return cameras_at(look_at(eyes, target, torch.tensor([0.0, 1.0, 0.0])))


def assert_looks_at(path, target, up):
    """Every camera has the target in the middle of its view, and up upwards in its picture, level."""
    pixels, depth = path.project(target.double().expand(len(path), 3), torch.arange(len(path)))
    middle = torch.stack([path.cx, path.cy], -1)
    torch.testing.assert_close(pixels, middle, atol=1e-6, rtol=0)
    assert (depth > 0).all()
    assert (path.c2w[:, :, 1] @ up > 0.05).all()
    torch.testing.assert_close(path.c2w[:, :, 0] @ up, torch.zeros(len(path)).double(), atol=1e-9, rtol=0)


def assert_one_even_size(path, width, height):
    assert path.width.tolist() == [width] * len(path)
    assert path.height.tolist() == [height] * len(path)
    assert (path.lens == LensModel.PINHOLE).all()
    assert (path.distortion == 0).all()
    # The checks of valid cameras, once more.
    Cameras.from_json(path.to_json())


def test_orbit_by_hand():
    path = orbit(ring(), 8)
    assert len(path) == 8
    assert_looks_at(path, FOCUS, UP)
    assert_one_even_size(path, 400, 300)
    arms = path.centres - FOCUS
    torch.testing.assert_close(arms.norm(dim=-1), torch.full((8,), math.hypot(3, 1.5)).double())
    torch.testing.assert_close(arms[:, 2], torch.full((8,), 1.5).double())
    # It starts where the first camera is and goes anticlockwise, an eighth of a turn a frame.
    azimuth = torch.atan2(arms[:, 1], arms[:, 0])
    expected = 0.3 + torch.arange(8).double() * math.pi / 4
    torch.testing.assert_close(torch.cos(azimuth - expected), torch.ones(8).double())
    assert float(path.fx[0]) == 500.0


@pytest.mark.parametrize(("asked", "got"), [(0, 0), (30, 30), (-20.5, -20.5), (90, 85), (-300, -85)])
def test_orbit_elevation(asked, got):
    path = orbit(ring(), 5, elevation=asked)
    assert_looks_at(path, FOCUS, UP)
    arms = path.centres - FOCUS
    elevation = torch.rad2deg(torch.asin(arms[:, 2] / arms.norm(dim=-1)))
    torch.testing.assert_close(elevation, torch.full((5,), float(got)).double())


def test_orbit_about_a_given_focus_and_around_points():
    target = torch.tensor([0.0, 0.5, 0.0])
    assert_looks_at(orbit(ring(), 6, focus=target), target, UP)
    parallel = cameras_at(torch.eye(4).repeat(4, 1, 1))
    points = torch.tensor([[0.0, 0.0, -6.0], [1.0, 0.0, -7.0], [0.0, 2.0, -9.0], [0.0, 0.0, 50.0]])
    y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    # The median depth of what is in front; the point behind does not count.
    assert_looks_at(orbit(parallel, 6, points=points), torch.tensor([0.0, 0.0, -7.0]).double(), y)
    assert survey(parallel).focus.tolist() == [0.0, 0.0, -1.0]
    # Where the axes meet, they tell better than points.
    torch.testing.assert_close(survey(ring(), points=points).focus, FOCUS)


def test_circle_around_a_surrounded_subject_is_level():
    heights = torch.tensor([1.0, 1.5, 3.0]).repeat(8).double()
    angles = torch.arange(24).double() * math.pi / 12
    eyes = FOCUS + torch.stack([3 * torch.cos(angles), 3 * torch.sin(angles), heights], -1)
    path = circle(cameras_at(look_at(eyes, FOCUS, UP)), 10)
    assert_looks_at(path, FOCUS, UP)
    arms = path.centres - FOCUS
    torch.testing.assert_close(arms[:, 2], torch.full((10,), 1.5).double())
    torch.testing.assert_close(arms[:, :2].norm(dim=-1), torch.full((10,), 3.0).double())


def test_circle_of_a_forward_facing_capture_stays_among_its_cameras():
    cameras = forward_facing()
    path = circle(cameras, 16)
    y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert_looks_at(path, torch.tensor([0.0, 0.0, -3.0]).double(), y)
    offsets = path.centres - torch.tensor([0.0, 0.0, 2.0])
    torch.testing.assert_close(offsets[:, 2], torch.zeros(16).double(), atol=1e-9, rtol=0)
    expected = (cameras.centres - torch.tensor([0.0, 0.0, 2.0])).norm(dim=-1).median()
    torch.testing.assert_close(offsets.norm(dim=-1), expected.expand(16))


def test_circle_of_an_arc_does_not_leave_it_for_the_other_side():
    cameras = ring(20, span=math.pi / 2)
    path = circle(cameras, 12)
    assert_looks_at(path, FOCUS, up_direction(cameras.c2w))
    nearest = (path.centres[:, None] - cameras.centres).norm(dim=-1).amin(1)
    assert float(nearest.max()) < 1.5


def test_spiral_by_hand():
    cameras = forward_facing()
    path = spiral(cameras, 120)
    y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert_looks_at(path, torch.tensor([0.0, 0.0, -3.0]).double(), y)
    offsets = (path.centres - torch.tensor([0.0, 0.0, 2.0])).numpy()
    # 90th percentiles of |x| and |y| over the grid of cameras.
    rx, ry = np.percentile(np.abs(cameras.centres.numpy()[:, :2]), 90, axis=0)
    theta = 4 * math.pi * np.arange(120) / 120
    np.testing.assert_allclose(offsets[:, 0], rx * np.cos(theta), atol=1e-9)
    np.testing.assert_allclose(offsets[:, 1], -ry * np.sin(theta), atol=1e-9)
    np.testing.assert_allclose(offsets[:, 2], 0, atol=1e-9)


def test_spiral_moves_in_depth_and_takes_a_depth():
    eyes = forward_facing().centres.clone()
    eyes[:, 2] += torch.linspace(-0.3, 0.3, 20).double()
    parallel = cameras_at(look_at(eyes, eyes - UP, torch.tensor([0.0, 1.0, 0.0])))
    path = spiral(parallel, 60, depth=4.0)
    centre = eyes.mean(0)
    y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert_looks_at(path, centre - 4 * UP, y)
    rz = np.percentile(np.abs(eyes[:, 2] - centre[2]), 90)
    half = 2 * math.pi * np.arange(60) / 60
    np.testing.assert_allclose(path.centres[:, 2] - centre[2], -rz * np.sin(half), atol=1e-9)


def test_spiral_in_a_surrounding_capture_stays_near_the_first_camera():
    cameras = ring()
    path = spiral(cameras, 30)
    away = (path.centres - cameras.centres[0]).norm(dim=-1)
    distance = math.hypot(3, 1.5)
    assert float(away.max()) < 0.2 * distance
    pixels, depth = path.project(FOCUS.expand(30, 3).contiguous(), torch.arange(30))
    torch.testing.assert_close(pixels, torch.tensor([200.0, 150.0]).double().expand(30, 2), atol=1e-6, rtol=0)
    assert (depth > 0).all()
    assert (path.c2w[:, :, 1] @ UP > 0.5).all()


@pytest.mark.parametrize("loop", [False, True])
def test_interpolation_has_constant_speed(loop):
    # Keys at very unequal distances.
    angles = torch.tensor([0.0, 0.1, 0.9, 1.0, 3.0, 5.0]).double()
    offsets = torch.stack([3 * torch.cos(angles), 3 * torch.sin(angles), 0 * angles], -1)
    keys = cameras_at(look_at(FOCUS + offsets, FOCUS, UP))
    path = interpolate(keys, 240, loop=loop)
    steps = path.centres.diff(dim=0).norm(dim=-1)
    assert float(steps.max() / steps.min()) < 1.02
    torch.testing.assert_close(path.c2w[0], keys.c2w[0])
    if loop:
        back = (path.centres[0] - path.centres[-1]).norm()
        assert float(back) == pytest.approx(float(steps.mean()), rel=0.02)
    else:
        torch.testing.assert_close(path.c2w[-1], keys.c2w[-1])
    # It passes every key, to within a step.
    nearest = (keys.centres[:, None] - path.centres).norm(dim=-1).amin(1)
    assert float(nearest.max()) <= float(steps.max())
    assert (path.c2w[:, :, 1] @ UP > 0.9).all()
    assert_one_even_size(path, 400, 300)


def test_interpolation_where_the_camera_only_turns():
    angles = torch.tensor([0.0, 0.2, 1.2]).double()
    directions = torch.stack([torch.cos(angles), torch.sin(angles), 0 * angles], -1)
    keys = cameras_at(look_at(torch.zeros(3, 3), directions, UP))
    path = interpolate(keys, 13)
    heading = torch.atan2(path.forward[:, 1], path.forward[:, 0])
    torch.testing.assert_close(heading, torch.linspace(0, 1.2, 13).double(), atol=1e-6, rtol=0)
    # A turn on the spot between two movements takes its time too.
    eyes = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    targets = eyes + torch.tensor([[0.0, 1, 0], [0.0, 1, 0], [1.0, 0, 0], [1.0, 0, 0]])
    path = interpolate(cameras_at(look_at(eyes, targets, UP)), 200)
    turned = torch.rad2deg(torch.acos((path.forward[1:] * path.forward[:-1]).sum(-1).clamp(max=1)))
    assert float(turned.max()) < 3.0


def test_interpolation_of_few_poses_and_frames():
    one = ring(1)
    path = interpolate(one, 4)
    torch.testing.assert_close(path.c2w, one.c2w.expand(4, 3, 4))
    two = ring(2)
    torch.testing.assert_close(interpolate(two, 1).c2w, two.c2w[:1])
    torch.testing.assert_close(interpolate(two, 2).c2w, two.c2w)
    assert len(interpolate(two, 7, loop=True)) == 7
    same = one[[0, 0, 0]]
    torch.testing.assert_close(interpolate(same, 3).c2w, same.c2w)


@pytest.mark.parametrize("make", [orbit, circle, spiral, interpolate])
@pytest.mark.parametrize("capture", [ring, forward_facing, lambda: ring(1), lambda: ring()[[0, 0]]])
@pytest.mark.parametrize("frames", [1, 7])
def test_every_path_of_every_capture_is_valid(make, capture, frames):
    path = make(capture(), frames)
    assert len(path) == frames
    assert_one_even_size(path, 400, 300)


@pytest.mark.parametrize("make", [orbit, circle, spiral, interpolate])
def test_sizes_and_fields_of_view(make):
    cameras = cameras_at(
        ring().c2w,
        fx=510.0,
        fy=500.0,
        cx=205.0,
        cy=148.0,
        width=401,
        height=300,
        lens=LensModel.OPENCV,
        distortion=[0.1],
    )
    own = make(cameras, 3)
    assert_one_even_size(own, 400, 300)
    assert own.fx.tolist() == [510.0] * 3
    assert own.cx.tolist() == [204.5] * 3
    wide = make(cameras, 3, width=801, height=150)
    assert_one_even_size(wide, 800, 150)
    assert wide.fy.tolist() == [250.0] * 3
    assert wide.fx.tolist() == [255.0] * 3
    assert wide.cx.tolist() == [400 + 4.5 / 2] * 3
    assert wide.cy.tolist() == [74.0] * 3
    assert_one_even_size(make(cameras, 3, height=600), 802, 600)
    assert_one_even_size(make(cameras, 3, width=200), 200, 150)


@pytest.mark.parametrize("make", [orbit, circle, spiral, interpolate])
def test_bad_calls_are_refused(make):
    with pytest.raises(InputError, match="0 frames"):
        make(ring(), 0)
    with pytest.raises(InputError, match="too small"):
        make(ring(), 3, width=1, height=20)
    with pytest.raises(InputError, match="at least one"):
        make(ring()[[]], 3)


def test_fox_paths_stay_upright_and_keep_the_subject(shared):
    content = json.loads((shared / "data" / "fox" / "transforms.json").read_text(encoding="utf-8"))
    poses = torch.tensor([f["transform_matrix"] for f in content["frames"]], dtype=torch.float64)
    cameras = cameras_at(poses, fx=content["fl_x"], width=int(content["w"]), height=int(content["h"]))
    layout = survey(cameras)
    assert axes_meet(cameras.c2w)
    assert not layout.surrounded
    for make in (orbit, circle):
        assert_looks_at(make(cameras, 12), layout.focus, layout.up)
    for make in (spiral, circle):
        nearest = (make(cameras, 12).centres[:, None] - cameras.centres).norm(dim=-1).amin(1)
        assert float(nearest.max()) < 0.6 * layout.distance


def test_fern_spiral_is_the_published_shape(shared):
    rows = np.load(shared / "data" / "llff_fern_504" / "poses_bounds.npy")[:, :15].reshape(-1, 3, 5)
    # That file's axes are down, right, backward.
    c2w = np.concatenate([rows[..., 1:2], -rows[..., 0:1], rows[..., 2:4]], -1)
    cameras = cameras_at(c2w)
    path = spiral(cameras, 120, depth=4.0 * float(np.abs(c2w[:, :, 3]).mean()))
    layout = survey(cameras)
    local = (path.centres - layout.average[:, 3]) @ layout.average[:, :3]
    radii = np.percentile(layout.offsets.abs(), 90, axis=0)
    theta = 4 * np.pi * np.arange(120) / 120
    expected = np.stack([np.cos(theta), -np.sin(theta), -np.sin(theta / 2)], -1) * radii
    np.testing.assert_allclose(local, expected, atol=1e-9)
