"""The frame and range of rays that each kind of capture gets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nerf_cases import ball_capture, small_config, wall_capture
from nerf_golden import assert_within

from sightline.captures import Capture, Points
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, Similarity
from sightline.geometry.ndc import from_ndc_points, ndc_depth, ndc_points, ndc_rays
from sightline.methods.depth_bounds import view_bounds
from sightline.methods.nerf.frame import Frame, choose_kind, find_frame

DOUBLE = {"dtype": torch.float64}


def test_kinds_follow_background_and_cameras() -> None:
    assert choose_kind(ball_capture()) == "bounded"
    assert choose_kind(ball_capture(background="black")) == "bounded"
    assert choose_kind(ball_capture(background="photo")) == "surround"
    assert choose_kind(wall_capture()) == "forward"


def test_blender_captures_keep_their_frame_and_range() -> None:
    frame = find_frame(ball_capture(format="blender"), small_config())
    assert (frame.kind, frame.near, frame.far, frame.ndc) == ("bounded", 2.0, 6.0, None)
    assert torch.equal(frame.to_model.matrix(), torch.eye(4, **DOUBLE))
    np.testing.assert_allclose(frame.bounds, [[-2] * 3, [2] * 3], atol=1e-6)


def test_objects_of_other_size_are_brought_to_the_same_distance() -> None:
    frame = find_frame(ball_capture(scale=250.0), small_config())
    assert (frame.near, frame.far) == (2.0, 6.0)
    assert frame.to_model.scale == pytest.approx(4 / 1000)
    np.testing.assert_allclose(frame.bounds, [[-500] * 3, [500] * 3], atol=1e-3)


def test_a_given_range_is_in_units_of_the_data() -> None:
    capture = ball_capture(scale=250.0)
    both = find_frame(capture, small_config(near=700.0, far=1300.0))
    assert (both.near, both.far, both.to_model.scale) == (700.0, 1300.0, 1.0)
    one = find_frame(capture, small_config(near=700.0))
    assert one.near == pytest.approx(700 * 4 / 1000)
    assert one.far == 6.0
    with pytest.raises(InputError, match="begin at 8"):
        find_frame(ball_capture(format="blender"), small_config(near=8.0))


def test_the_range_of_a_box_reaches_around_it() -> None:
    box = np.array([[-1.0, -1, -1], [1, 1, 1]])
    frame = find_frame(ball_capture(box=box), small_config())
    assert (frame.near, frame.far) == pytest.approx((4 - 3**0.5, 4 + 3**0.5))
    np.testing.assert_allclose(frame.bounds, box)


def test_depths_of_an_object_are_taken_as_they_are() -> None:
    bounds = {"near": np.full(12, 3.0), "far": np.linspace(4, 5, 12)}
    frame = find_frame(ball_capture(**bounds), small_config())
    assert (frame.near, frame.far) == (3.0, 5.0)


def test_forward_captures_are_scaled_and_use_device_coordinates() -> None:
    capture = wall_capture(scale=3.0)
    frame = find_frame(capture, small_config())
    assert (frame.kind, frame.near, frame.far) == ("forward", 0.0, 1.0)
    assert frame.to_model.scale == pytest.approx(1 / (0.75 * 4.5 * 3))
    assert frame.ndc == pytest.approx((2 * 1.2, 2 * 1.2))
    # The box holds what all cameras see from the near plane to the farthest depth.
    low, high = np.array(frame.bounds)
    assert low[2] == pytest.approx(-7.0 * 3, rel=1e-5)
    assert high[2] == pytest.approx(-4.5 * 3 * 0.75, rel=1e-5)
    assert high[0] == pytest.approx(7.0 * 3 / 2.4, rel=1e-5)


def test_device_coordinates_refuse_what_they_cannot_hold() -> None:
    capture = ball_capture(background="photo", near=np.full(12, 3.0), far=np.full(12, 5.0))
    with pytest.raises(InputError, match="backwards"):
        find_frame(capture, small_config(scene="forward"))
    with pytest.raises(InputError, match=r"begin at 0, as they do in normalised device coordinates"):
        find_frame(wall_capture(), small_config(disparity=True))


def test_rays_that_begin_at_the_camera_have_no_even_inverse_depths() -> None:
    changes = {"near": 0.0, "far": 6.0}
    assert find_frame(ball_capture(), small_config(**changes)).near == 0
    with pytest.raises(InputError, match=r"begin at 0\. Where: --disparity\. .* --near above 0"):
        find_frame(ball_capture(), small_config(disparity=True, **changes))


@pytest.mark.parametrize("scene", ["forward", "surround"])
def test_a_scene_that_is_scaled_by_its_nearest_depth_needs_one(scene: str) -> None:
    with pytest.raises(InputError, match=r"given as 0\. Where: --near"):
        find_frame(wall_capture(), small_config(scene=scene, near=0.0, far=6.0))


@pytest.mark.parametrize(
    ("preset", "near", "far"), [("nerf_pl", 4 / 3, 4 / 3 * 7 / 4.5), ("flax_nerf", 4 / 3, 4 / 3 * 7 / 4.5)]
)
def test_surround_captures_are_recentred_and_scaled(preset: str, near: float, far: float) -> None:
    frame = find_frame(wall_capture(), small_config(preset, scene="surround"))
    assert (frame.near, frame.far) == pytest.approx((near, far))
    assert frame.ndc is None


def test_bmild_puts_the_cameras_on_a_sphere() -> None:
    capture = ball_capture(background="photo", near=np.full(12, 3.0), far=np.full(12, 5.0))
    capture = capture.subset(range(8))
    frame = find_frame(capture, small_config("bmild"))
    moved = frame.to_model.apply(capture.cameras.centres)
    assert float(moved.square().sum(-1).mean()) == pytest.approx(1.0)
    assert frame.near == pytest.approx(0.9 * 3 * frame.to_model.scale)
    assert frame.far == pytest.approx(5 * frame.to_model.scale)


def test_depths_come_from_points_where_the_capture_has_none() -> None:
    capture = wall_capture(near=None, far=None)
    with pytest.raises(InputError, match="neither depths nor points"):
        find_frame(capture, small_config())
    grid = np.linspace(-1.5, 1.5, 20)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    points = np.stack([x, y, np.where(np.arange(400) % 2, -5.0, -6.0)], -1)
    capture = replace(capture, points=Points(points, np.zeros((400, 3), np.uint8)))
    near, far = view_bounds(capture)
    torch.testing.assert_close(near, torch.full((9,), 5.0, **DOUBLE))
    torch.testing.assert_close(far, torch.full((9,), 6.0, **DOUBLE))
    assert find_frame(capture, small_config()).to_model.scale == pytest.approx(1 / (0.75 * 5))


def test_depths_are_guessed_from_the_cameras_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    capture = ball_capture(background="photo")
    with caplog.at_level("WARNING", "sightline"):
        near, far = view_bounds(capture)
    assert "guessed" in caplog.text
    torch.testing.assert_close(near, torch.full((12,), 0.8, **DOUBLE))
    torch.testing.assert_close(far, torch.full((12,), 16.0, **DOUBLE))


def test_given_depths_go_before_all_others() -> None:
    near, far = view_bounds(wall_capture(), 2.0, 9.0)
    assert (near.unique().tolist(), far.unique().tolist()) == ([2.0], [9.0])
    frame = find_frame(wall_capture(), small_config("nerf_pl", scene="surround", near=2.0, far=9.0))
    assert (frame.near, frame.far) == pytest.approx((4 / 3, 6.0))


def test_frames_survive_json() -> None:
    for capture in (ball_capture(scale=3.0), wall_capture()):
        frame = find_frame(capture, small_config())
        other = Frame.from_json(frame.to_json())
        assert other.to_json() == frame.to_json()
        assert torch.equal(other.to_model.translation, frame.to_model.translation)


def test_ndc_by_hand() -> None:
    scale = (2.0, 3.0)
    points = torch.tensor([[0.0, 0, -1], [0.5, 0.2, -2.0], [1.0, -1.0, -1e9]], **DOUBLE)
    found = ndc_points(points, scale)
    expected = torch.tensor([[0.0, 0, -1], [0.5, 0.3, 0.0], [2e-9, -3e-9, 1.0]], **DOUBLE)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)
    torch.testing.assert_close(from_ndc_points(found[:2], scale), points[:2])


def test_points_on_rays_stay_on_them_in_ndc() -> None:
    generator = torch.Generator().manual_seed(0)
    origins = torch.randn(50, 3, generator=generator, **DOUBLE)
    directions = torch.randn(50, 3, generator=generator, **DOUBLE)
    directions[:, 2] = -directions[:, 2].abs() - 0.2
    mapped, into = ndc_rays(origins, directions, (2.0, 3.0))
    t = torch.rand(50, generator=generator, **DOUBLE) * 0.9
    world = from_ndc_points(mapped + t[:, None] * into, (2.0, 3.0))
    offset = world - origins
    parallel = (offset * directions).sum(-1, keepdim=True) / directions.square().sum(-1, keepdim=True)
    torch.testing.assert_close(parallel * directions, offset, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(-world[:, 2], ndc_depth(t))


def _llff(shared: Path) -> tuple[Capture, dict[str, np.ndarray]]:
    with np.load(shared / "golden" / "nerf" / "llff_fern.npz") as file:
        golden = {name: file[name] for name in file.files}
    rows = golden["poses_bounds"]
    matrices = rows[:, :15].reshape(-1, 3, 5)
    poses = np.stack([matrices[:, :, 1], -matrices[:, :, 0], matrices[:, :, 2], matrices[:, :, 3]], -1)
    width, height = golden["img_wh"].tolist()
    focal = matrices[:, 2, 4] * width / matrices[:, 1, 4]
    capture = Capture(
        name="fern",
        cameras=Cameras.create(poses, fx=focal, width=width, height=height),
        images=ImageStore([None] * len(rows), [(width, height)] * len(rows), channels=3),
        image_names=tuple(f"{k:03}.png" for k in range(len(rows))),
        splits={"train": tuple(range(len(rows)))},
        near=rows[:, 15],
        far=rows[:, 16],
    )
    return capture, golden


def test_frames_of_fern_are_those_of_published_programs(shared: Path) -> None:
    capture, golden = _llff(shared)
    forward = find_frame(capture, small_config("nerf_pl"))
    assert forward.kind == "forward"
    moved = capture.cameras.transformed(forward.to_model)
    assert_within(moved.c2w, torch.from_numpy(golden["nerf_pl__poses"]).double(), 1e-5)
    assert forward.to_model.scale == pytest.approx(1 / float(golden["nerf_pl__scale_factor"]), rel=1e-6)
    surround = find_frame(capture, small_config("nerf_pl", scene="surround"))
    assert (surround.near, surround.far) == pytest.approx(golden["nerf_pl__spheric_near_far"], rel=1e-5)
    flax = find_frame(capture, small_config("flax_nerf", scene="surround"))
    assert (flax.near, flax.far) == pytest.approx(golden["flax__spheric_near_far"], rel=1e-5)
    bmild = find_frame(capture, small_config("bmild", scene="surround"))
    assert (bmild.near, bmild.far) == pytest.approx(golden["bmild__spherify_no_ndc_near_far"], rel=1e-5)
    moved = capture.cameras.transformed(bmild.to_model)
    assert_within(moved.c2w, torch.from_numpy(golden["bmild__spherify_poses"][..., :4]).double(), 1e-5)


def test_rays_of_fern_are_those_of_nerf_pl(shared: Path) -> None:
    from sightline.methods.nerf.rays import RayMaker

    capture, golden = _llff(shared)
    config = small_config("nerf_pl")
    frame = find_frame(capture, config)
    width, height = golden["img_wh"].tolist()
    spiral = Cameras.create(
        golden["nerf_pl__spiral_poses"][5], fx=float(golden["nerf_pl__focal"]), width=width, height=height
    )
    number = torch.from_numpy(golden["nerf_pl__ray_pixel_index"]).long()
    pixels = torch.stack([number % width, number // width], -1)
    rays = RayMaker(spiral, config, frame)(0, pixels).rays
    found = torch.cat([rays.origins, rays.directions, rays.near[:, None], rays.far[:, None]], -1)
    assert_within(found, torch.from_numpy(golden["nerf_pl__spiral5_ndc_rays"]).double(), 1e-5)
    identity = Frame("surround", Similarity.identity(), 1.0, 2.0, None, frame.bounds)
    orbit = Cameras.create(
        golden["nerf_pl__spheric_poses"][7], fx=float(golden["nerf_pl__focal"]), width=width, height=height
    )
    rays = RayMaker(orbit, config, identity)(0, pixels).rays
    found = torch.cat([rays.origins, rays.directions], -1)
    assert_within(found, torch.from_numpy(golden["nerf_pl__spheric7_rays"][:, :6]).double(), 1e-5)
