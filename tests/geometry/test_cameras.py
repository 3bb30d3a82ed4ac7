import json
import math
import time

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel, Rays, Similarity, look_at, quaternion_to_rotation

CV_AXES = np.diag([1.0, -1.0, -1.0])


def some_poses(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rotation = quaternion_to_rotation(torch.randn(n, 4, generator=generator, dtype=torch.float64))
    centres = torch.randn(n, 3, 1, generator=generator, dtype=torch.float64)
    return torch.cat([rotation, centres], -1)


def some_cameras(n=6, seed=0):
    distortion = torch.zeros(3, 8, dtype=torch.float64)
    distortion[1] = torch.tensor([-0.2, 0.05, 0.001, -0.002, 0.01, 0.02, 0.01, 0.003])
    distortion[2, :4] = torch.tensor([0.05, -0.01, 0.002, -0.001])
    kinds = torch.arange(n) % 3
    return Cameras.create(
        some_poses(n, seed),
        fx=torch.linspace(400, 600, n),
        fy=torch.linspace(450, 550, n),
        cx=torch.linspace(300, 340, n),
        cy=245.0,
        width=640,
        height=480,
        lens=kinds,
        distortion=distortion[kinds],
    )


def some_pixels(m, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(m, 2, generator=generator, dtype=torch.float64) * torch.tensor([640.0, 480.0])


def test_one_camera_by_hand():
    camera = Cameras.create(torch.eye(4), fx=100.0, fy=50.0, cx=20.0, cy=10.0, width=40, height=20)
    rays = camera.rays(0, torch.tensor([[20.0, 10.0], [120.0, 10.0], [20.0, 60.0]]))
    half = math.sqrt(0.5)
    # x right; pixel rows go down, so below the middle the ray points to -y; forward is -z.
    expected = torch.tensor([[0.0, 0.0, -1.0], [half, 0.0, -half], [0.0, -half, -half]])
    torch.testing.assert_close(rays.directions, expected)
    assert rays.directions.dtype == torch.float32
    assert (rays.origins == 0).all()
    assert rays.near is None
    pixels, depth = camera.project(torch.tensor([[0.0, 0.0, -2.0], [1.0, 1.0, -2.0], [0.0, 0.0, 3.0]]), 0)
    torch.testing.assert_close(pixels[:2], torch.tensor([[20.0, 10.0], [70.0, -15.0]]))
    assert depth.tolist() == [2.0, 2.0, -3.0]


def test_image_rays_go_through_pixel_centres_row_by_row():
    camera = Cameras.create(torch.eye(4), fx=1.0, width=3, height=2)
    rays = camera.image_rays(0)
    assert len(rays) == 6
    plane = rays.directions / -rays.directions[:, 2:]
    torch.testing.assert_close(plane[:, 0], torch.tensor([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]))
    torch.testing.assert_close(plane[:, 1], torch.tensor([0.5, 0.5, 0.5, -0.5, -0.5, -0.5]))
    second = camera.image_rays(0, slice(1, 2)).directions
    assert torch.equal(second, rays.directions[3:])
    assert torch.equal(camera.image_rays(0, [1, 0]).directions, rays.directions[[3, 4, 5, 0, 1, 2]])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 7))
def test_project_undoes_rays_for_mixed_lenses(seed, n):
    cameras = some_cameras(n, seed)
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(0, n, (50,), generator=generator)
    pixels = some_pixels(50, seed)
    rays = cameras.rays(indices, pixels)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(50))
    torch.testing.assert_close(rays.origins, cameras.centres[indices].float())
    points = rays.origins.double() + 3 * rays.directions.double()
    again, depth = cameras.project(points, indices)
    # Rays are float32, hence the hundredth of a pixel.
    torch.testing.assert_close(again, pixels, atol=1e-2, rtol=0)
    assert (depth > 0).all()
    assert cameras.sees(points, indices).all()
    local, valid = cameras.local_directions(indices, pixels)
    assert valid.all()
    world = cameras.centres[indices] + (cameras.c2w[indices, :, :3] @ local[:, :, None])[:, :, 0]
    exact, _ = cameras.project(world, indices)
    torch.testing.assert_close(exact, pixels, atol=1e-8, rtol=0)


def test_mixed_lenses_equal_one_camera_at_a_time():
    cameras = some_cameras(6)
    indices = torch.arange(6).repeat(20)
    pixels = some_pixels(120)
    together = cameras.rays(indices, pixels)
    for index in range(6):
        alone = cameras[index].rays(0, pixels[indices == index])
        torch.testing.assert_close(together[indices == index].directions, alone.directions, atol=1e-6, rtol=0)


def test_project_is_opencvs_for_whole_cameras():
    cameras = some_cameras(3)
    points = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    for index, lens in enumerate((cv2.projectPoints, cv2.projectPoints, cv2.fisheye.projectPoints)):
        w2c = np.linalg.inv(np.vstack([cameras.c2w[index].numpy(), [0, 0, 0, 1]]))
        rotation, translation = CV_AXES @ w2c[:3, :3], CV_AXES @ w2c[:3, 3]
        local = points.numpy() @ rotation.T + translation
        ahead = (local[:, 2] > 0.2) & (np.abs(local[:, :2]).max(-1) < local[:, 2])
        fx, fy, cx, cy = (float(v[index]) for v in (cameras.fx, cameras.fy, cameras.cx, cameras.cy))
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        coefficients = cameras.distortion[index].numpy()[: 4 if index == 2 else 8]
        expected, _ = lens(
            points.numpy()[ahead][:, None], cv2.Rodrigues(rotation)[0], translation, matrix, coefficients
        )
        pixels, depth = cameras.project(points, index)
        assert ahead.sum() > 10
        np.testing.assert_allclose(pixels.numpy()[ahead], expected[:, 0], atol=1e-8)
        np.testing.assert_allclose(depth, local[:, 2], atol=1e-12)


def test_sees_refuses_behind_outside_and_folded_points():
    barrel = Cameras.create(
        torch.eye(4), fx=30.0, width=100, height=100, lens=LensModel.OPENCV, distortion=[-1 / 12]
    )
    # At radius 3 the polynomial 3 - 27/12 = 0.75 lands inside the picture, though the lens ends at radius 2.
    points = torch.tensor([[0.1, 0, -1.0], [0.1, 0, 1.0], [3.0, 0, -1.0], [0.0, 1.9, -1.0], [1.5, 1.5, -1.0]])
    assert barrel.sees(points, 0).tolist() == [True, False, False, True, False]
    pixels, _ = barrel.project(points[2:3], 0)
    assert 0 < float(pixels[0, 0]) < 100
    pinhole = Cameras.create(torch.eye(4), fx=30.0, width=100, height=100)
    assert pinhole.sees(torch.tensor([[5 / 3 + 0.01, 0, -1.0], [5 / 3 - 0.01, 0, -1.0]]), 0).tolist() == [
        False,
        True,
    ]
    fisheye = Cameras.create(torch.eye(4), fx=30.0, width=200, height=200, lens=LensModel.OPENCV_FISHEYE)
    assert fisheye.sees(torch.tensor([[1.0, 0.0, 0.2]]), 0).tolist() == [True]


def test_pixels_beyond_the_lens_are_marked():
    camera = Cameras.create(
        torch.eye(4), fx=30.0, width=100, height=100, lens=LensModel.OPENCV, distortion=[-1 / 12]
    )
    _, valid = camera.local_directions(0, torch.tensor([[50.0, 50.0], [95.0, 95.0]]))
    assert valid.tolist() == [True, False]
    assert torch.isfinite(camera.rays(0, torch.tensor([[95.0, 95.0]])).directions).all()


def test_json_is_exact():
    cameras = some_cameras(5)
    again = Cameras.from_json(json.loads(json.dumps(cameras.to_json())))
    for name, value in vars(cameras).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(getattr(again, name), value), name
    empty = cameras[[]]
    assert len(Cameras.from_json(empty.to_json())) == 0


def test_from_json_names_what_is_wrong():
    value = some_cameras(2).to_json()
    with pytest.raises(InputError, match="'cx'"):
        Cameras.from_json({k: v for k, v in value.items() if k != "cx"})
    with pytest.raises(InputError, match="'EYE'"):
        Cameras.from_json({**value, "lens": ["PINHOLE", "EYE"]})


def _damaged(change):
    poses = some_poses(4)
    change(poses[2])
    return poses


def _scale(pose):
    pose[:, :3] *= 1.01


def _mirror(pose):
    pose[:, 0] *= -1


def _nan(pose):
    pose[1, 3] = math.nan


@pytest.mark.parametrize(
    ("change", "reason"), [(_scale, "orthonormal"), (_mirror, "mirrored"), (_nan, "not finite")]
)
def test_bad_poses_are_refused_by_index(change, reason):
    with pytest.raises(InputError, match=rf"Camera 2 .*{reason}"):
        Cameras.create(_damaged(change), fx=10.0, width=4, height=4)


def test_small_rounding_of_rotations_is_accepted():
    poses = some_poses(2)
    poses[:, :, :3] *= 1.0003
    assert len(Cameras.create(poses, fx=10.0, width=4, height=4)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fx": [1.0, -1.0]}, "Camera 1 .*fx is not positive"),
        ({"cy": [math.inf, 0.0]}, "Camera 0 .*cy is not finite"),
        ({"width": [4, 0]}, "Camera 1 .*width is not positive"),
        ({"height": 4.5}, "Camera 0 .*height is not a whole number"),
        ({"lens": [0, 7]}, "Camera 1 .*lens model"),
        ({"distortion": [[0.0] * 4, [math.nan] * 4]}, "Camera 1 .*distortion"),
        ({"distortion": [0.0] * 9}, "8 coefficients"),
        ({"fy": [1.0, 2.0, 3.0]}, "3 values of fy for 2 cameras"),
        ({"fx": "wide"}, "fx are not an array of numbers"),
        ({"c2w": torch.eye(3)}, "3 x 4 or 4 x 4"),
        ({"c2w": torch.eye(4).flip(0)[None]}, "last row"),
    ],
)
def test_bad_numbers_are_refused(change, reason):
    arguments = {"c2w": some_poses(2), "fx": 10.0, "width": 4, "height": 4, **change}
    with pytest.raises(InputError, match=reason) as caught:
        Cameras.create(**arguments)
    assert caught.value.exit_code == 2


def test_create_copies_its_input():
    poses = some_poses(2).numpy()
    cameras = Cameras.create(poses, fx=10.0, width=4, height=6)
    poses[:] = 0
    assert not (cameras.c2w == 0).all()
    assert cameras.c2w.dtype == cameras.fx.dtype == torch.float64
    assert cameras.cx.tolist() == [2.0, 2.0]
    assert cameras.cy.tolist() == [3.0, 3.0]
    assert cameras.lens.tolist() == [LensModel.PINHOLE] * 2


def test_choosing_keeps_the_leading_dimension():
    cameras = some_cameras(5)
    assert cameras[-1].fx.tolist() == cameras.fx[4:].tolist()
    assert cameras[1:3].fx.tolist() == cameras.fx[1:3].tolist()
    assert cameras[[3, 0]].fx.tolist() == cameras.fx[[3, 0]].tolist()
    assert cameras[torch.tensor([True, False, False, True, False])].lens.tolist() == [0, 0]
    assert cameras[(4,)].c2w.shape == (1, 3, 4)
    with pytest.raises(IndexError):
        cameras[5]
    with pytest.raises(IndexError):
        cameras.rays(5, torch.zeros(1, 2))
    both = Cameras.concatenate([cameras[:2], cameras[2:]])
    assert torch.equal(both.c2w, cameras.c2w)
    assert torch.equal(both.distortion, cameras.distortion)


def test_sizes_scale_by_the_exact_ratio():
    camera = Cameras.create(torch.eye(4), fx=1000.0, fy=900.0, cx=539.0, cy=961.0, width=1081, height=1920)
    small = camera.downscaled(4)
    assert (int(small.width), int(small.height)) == (270, 480)
    assert float(small.fx) == pytest.approx(1000 * 270 / 1081)
    assert float(small.cx) == pytest.approx(539 * 270 / 1081)
    assert float(small.fy) == pytest.approx(225)
    assert float(small.cy) == pytest.approx(961 / 4)
    other = camera.resized(540, 960)
    # The same place of the scene lies at the same part of the picture.
    points = torch.tensor([[0.1, -0.2, -1.0]])
    a, b = camera.project(points, 0)[0], other.project(points, 0)[0]
    torch.testing.assert_close(a / torch.tensor([1081.0, 1920.0]), b / torch.tensor([540.0, 960.0]))
    assert (int(camera.downscaled(5000).width), int(camera.downscaled(1).width)) == (1, 1081)
    with pytest.raises(InputError):
        camera.downscaled(0)
    with pytest.raises(InputError):
        camera.resized(0, 5)


def test_transformed_cameras_see_the_transformed_world():
    cameras = some_cameras(4)
    rotation = quaternion_to_rotation(torch.tensor([0.3, -0.5, 0.2, 0.7]))
    move = Similarity(2.5, rotation, torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    indices = torch.arange(4).repeat(5)
    points = cameras.centres[indices] + 2 * cameras.forward[indices] + 0.1
    moved = cameras.transformed(move)
    before, depth = cameras.project(points, indices)
    after, new_depth = moved.project(move.apply(points), indices)
    torch.testing.assert_close(after, before, atol=1e-8, rtol=0)
    torch.testing.assert_close(new_depth, 2.5 * depth)
    torch.testing.assert_close(moved.transformed(move.inverse()).c2w, cameras.c2w)


def test_forward_and_centres():
    eye = torch.tensor([[1.0, 2.0, 3.0]])
    pose = look_at(eye, torch.zeros(1, 3), torch.tensor([0.0, 0.0, 1.0]))
    camera = Cameras.create(pose, fx=1.0, width=2, height=2)
    torch.testing.assert_close(camera.centres, eye.double())
    torch.testing.assert_close(camera.forward, -eye.double() / math.sqrt(14))


def test_gradients_reach_the_poses():
    cameras = some_cameras(3)
    poses = cameras.c2w.clone().requires_grad_()
    moving = Cameras(**{**{k: v for k, v in vars(cameras).items() if k[0] != "_"}, "c2w": poses})
    rays = moving.rays(torch.tensor([0, 1, 2]), some_pixels(3))
    (rays.at(torch.full((3,), 2.0)).sum()).backward()
    assert poses.grad is not None
    torch.testing.assert_close(poses.grad[:, :, 3], torch.ones(3, 3, dtype=torch.float64))


def test_ray_parts():
    rays = Rays(torch.zeros(3, 3), torch.eye(3), near=torch.arange(3.0), far=torch.arange(3.0) + 1)
    part = rays[1:]
    assert len(part) == 2
    assert part.near is not None
    assert part.near.tolist() == [1.0, 2.0]
    assert rays[2].directions.tolist() == [[0.0, 0.0, 1.0]]
    assert rays.to("cpu").far is not None
    assert rays.at(torch.full((3,), 2.0)).tolist() == (2 * torch.eye(3)).tolist()


@pytest.mark.parametrize("kind", [LensModel.PINHOLE, LensModel.OPENCV, LensModel.OPENCV_FISHEYE])
def test_rays_are_fast(kind):
    cameras = some_cameras(30)[torch.arange(30) % 3 == int(kind)]
    indices = torch.arange(130_000) % 10
    pixels = some_pixels(130_000).float()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        cameras.rays(indices, pixels)
        seconds.append(time.perf_counter() - start)
    # A tenth of this on a free core; the margin is for busy ones.
    assert min(seconds) < 0.4
