"""The trained scene: densities, colours, depths and bounds in the frame and units of the input."""

from typing import Any

import pytest
import torch
from nerf_cases import ball_capture, small_config, wall_capture
from torch import nn

from method_training import picture
from sightline.captures import Capture
from sightline.geometry import Cameras
from sightline.geometry.regions import Region
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.scene import NerfScene


def make_method(capture: Capture, preset: str = "bmild", **changes: Any) -> Nerf:
    torch.manual_seed(0)
    method = Nerf(small_config(preset, **changes))
    method.prepare(capture)
    return method.eval()


def scene_of(method: Nerf) -> NerfScene:
    scene = method.encode()
    assert isinstance(scene, NerfScene)
    return scene


def set_density(method: Nerf, value: float) -> None:
    """Make both networks give one density everywhere."""
    for network in method.networks.values():
        layer = network.get_submodule("density")
        assert isinstance(layer, nn.Linear)
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, value)


def test_density_is_per_unit_of_the_data() -> None:
    capture = ball_capture(scale=10.0)
    method = make_method(capture)
    set_density(method, 0.8)
    assert method.frame.to_model.scale == pytest.approx(0.1)
    found = scene_of(method).density(torch.randn(5, 3))
    torch.testing.assert_close(found, torch.full((5,), 0.08))


@pytest.mark.parametrize("preset", ["bmild", "nerf_pl"])
def test_fog_takes_the_light_that_its_density_says(preset: str) -> None:
    # What no sample stands for at the end of rays is left out.
    changes = {"last_length": 0.0, "coarse_samples": 64, "pixel_centre": 0.5}
    method = make_method(ball_capture(scale=10.0), preset, **changes)
    set_density(method, 0.3)
    camera = Cameras.create(ball_capture(scale=10.0).cameras.c2w[0], fx=5000.0, width=3, height=3)
    opacity = method.render(method.encode(), camera).opacity
    assert opacity is not None
    # 40 units from near to far.
    expected = 1 - float(torch.exp(torch.tensor(-0.03 * 40)))
    torch.testing.assert_close(opacity, torch.full((3, 3), expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("preset", ["bmild", "nerf_pl", "nerf_pl_dev"])
def test_density_in_device_coordinates_takes_the_light_that_rays_lose(preset: str) -> None:
    capture = wall_capture(scale=3.0)
    method = make_method(capture, preset, last_length=0.0, coarse_samples=256, fine_samples=0, noise=0.0)
    set_density(method, 0.4)
    # From the middle of the cameras, into the corner of the picture.
    camera = Cameras.create(torch.eye(4), fx=20.0, width=20, height=20)
    rendering = method.render(method.encode(), camera)
    rays = camera.image_rays(0)
    # The method's rays go through corners of pixels.
    direction = torch.tensor([-10.0 / 20, 10.0 / 20, -1.0], dtype=torch.float64)
    unit = direction / direction.norm()
    plane = 0.75 * 4.5 * 3
    depth = plane / torch.linspace(1, 1e-4, 40_001, dtype=torch.float64)
    points = depth[:, None] * direction
    sigmas = scene_of(method).density(points.float()).double()
    lengths = depth.diff() / unit[2].abs()
    lost = float(((sigmas[1:] + sigmas[:-1]) / 2 * lengths).sum())
    assert rendering.opacity is not None
    assert 1 - float(torch.exp(torch.tensor(-lost))) == pytest.approx(
        float(rendering.opacity[0, 0]), abs=3e-3
    )
    assert float(sigmas[1]) > 3.9 * float(sigmas[20_000]) > 0
    before = scene_of(method).density(rays.at(torch.full((400,), 5.0)))
    assert bool((before == 0).all())


@pytest.mark.parametrize(
    ("preset", "scene"), [("bmild", "auto"), ("nerf_pl", "auto"), ("flax_nerf", "surround")]
)
def test_depth_of_a_wall_is_in_units_of_the_data(preset: str, scene: str) -> None:
    capture = wall_capture(scale=3.0)
    method = make_method(capture, preset, scene=scene, coarse_samples=256, fine_samples=256, pixel_centre=0.5)

    class Wall(nn.Module):
        """Opaque behind a plane of the data's frame."""

        def forward(self, points: torch.Tensor, directions: torch.Tensor | None = None):
            return self.raw_density(points), torch.zeros_like(points)

        def raw_density(self, points: torch.Tensor) -> torch.Tensor:
            from sightline.geometry.ndc import from_ndc_points

            frame = method.frame
            world = points.double()
            if frame.ndc is not None:
                world = from_ndc_points(world.clamp(max=1 - 1e-9), frame.ndc)
            z = frame.to_model.inverse().apply(world)[:, 2:]
            return torch.where(z < -18.0, 1e4, -1.0).float()

    for name, network in method.networks.items():
        wall = Wall()
        network.forward, network.raw_density = wall.forward, wall.raw_density  # type: ignore[method-assign]
        assert name in ("coarse", "fine")
    camera = capture.cameras[4]
    rendering = method.render(method.encode(), camera)
    rays = camera.image_rays(0)
    expected = ((-18.0 - rays.origins[:, 2]) / rays.directions[:, 2]).view(20, 20)
    assert rendering.depth is not None
    assert rendering.opacity is not None
    torch.testing.assert_close(rendering.opacity, torch.ones(20, 20), atol=1e-3, rtol=0)
    torch.testing.assert_close(rendering.depth, expected, atol=0.15, rtol=0)
    assert rendering.depth_sum is not None
    torch.testing.assert_close(rendering.depth_sum, rendering.depth * rendering.opacity)


@pytest.mark.parametrize("capture", ["ball", "wall"])
def test_chunks_change_nothing(capture: str) -> None:
    drawn = ball_capture() if capture == "ball" else wall_capture()
    method = make_method(drawn, point_chunk=1000)
    set_density(method, 0.5)
    whole, parts = (method.render(method.encode(), drawn.cameras[1], chunk=size) for size in (None, 37))
    torch.testing.assert_close(parts.rgb, whole.rgb)
    torch.testing.assert_close(parts.depth, whole.depth)
    assert parts.statistics == whole.statistics == {"rays": 400.0, "samples": 400.0 * 48}


def test_what_is_empty_shows_the_background_and_has_no_depth() -> None:
    method = make_method(ball_capture())
    set_density(method, -1.0)
    camera = ball_capture().cameras[0]
    assert bool((picture(method, ball_capture(), 0).rgb == 1).all())
    rendering = method.render(method.encode(), camera, background=torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(rendering.rgb, torch.tensor([0.1, 0.2, 0.3]).expand(20, 20, 3))
    assert rendering.depth is not None
    assert bool(rendering.depth.isnan().all())
    assert bool((rendering.depth_sum == 0).all())


def test_photos_have_nothing_behind() -> None:
    method = make_method(wall_capture())
    set_density(method, -1.0)
    assert bool((picture(method, wall_capture(), 0).rgb == 0).all())


def test_radiance_is_what_a_ray_sees() -> None:
    capture = ball_capture(scale=10.0)
    for preset in ("bmild", "nerf_pl", "bmild-noviewdirs"):
        method = make_method(capture, preset, pixel_centre=0.5, coarse_samples=400, fine_samples=0)
        set_density(method, 1e4)
        camera = capture.cameras[2]
        rays = camera.image_rays(0)
        rgb = method.render(method.encode(), camera).rgb.view(-1, 3)
        # The first sample takes all of the light, at the near end.
        reach = torch.full((400,), 20.0)
        if method.config.ray_directions == "plane":
            reach = reach / (rays.directions @ camera.forward[0].float())
        found = scene_of(method).radiance(rays.at(reach), rays.directions)
        torch.testing.assert_close(found, rgb, atol=2e-4, rtol=0)


@pytest.mark.parametrize("preset", ["bmild", "nerf_pl"])
def test_radiance_in_device_coordinates_is_what_a_ray_sees(preset: str) -> None:
    capture = wall_capture(scale=3.0)
    method = make_method(capture, preset, pixel_centre=0.5, fine_samples=0)
    set_density(method, 1e8)
    camera = capture.cameras[1]
    rays = camera.image_rays(0)
    rgb = method.render(method.encode(), camera).rgb.view(-1, 3)
    # The near plane is at three quarters of the nearest depth.
    reach = 0.75 * 4.5 * 3 / -rays.directions[:, 2]
    found = scene_of(method).radiance(rays.at(reach), rays.directions)
    torch.testing.assert_close(found, rgb, atol=2e-4, rtol=0)


def test_directions_of_another_camera_change_colours_alone() -> None:
    capture = ball_capture()
    method = make_method(capture)
    set_density(method, 0.5)
    scene = method.encode()
    still, moved = (
        method.render(scene, capture.cameras[0], directions_from=capture.cameras[k]) for k in (0, 7)
    )
    plain = method.render(scene, capture.cameras[0])
    torch.testing.assert_close(still.rgb, plain.rgb)
    torch.testing.assert_close(moved.depth, plain.depth)
    assert float((moved.rgb - plain.rgb).abs().mean()) > 1e-3


def test_noise_when_rendering_is_a_switch() -> None:
    capture = ball_capture()
    settings = {"noise": 3.0, "coarse_samples": 32}
    quiet = make_method(capture, **settings)
    assert torch.equal(picture(quiet, capture, 0).rgb, picture(quiet, capture, 0).rgb)
    noisy = make_method(capture, render_noise=True, **settings)
    assert not torch.equal(picture(noisy, capture, 0).rgb, picture(noisy, capture, 0).rgb)


def test_bounds_are_those_of_the_frame() -> None:
    method = make_method(ball_capture(scale=10.0))
    torch.testing.assert_close(
        scene_of(method).bounds, torch.tensor([[-20.0] * 3, [20.0] * 3]), atol=1e-4, rtol=0
    )
    assert {"rgb", "depth", "opacity", "field"} == scene_of(method).capabilities


@pytest.mark.parametrize("sampler", ["stratified", "occupancy"])
def test_a_cut_scene_has_nothing_outside_the_cut(sampler: str) -> None:
    capture = ball_capture(scale=10.0)
    method = make_method(capture, coarse_samples=64, fine_samples=0, pixel_centre=0.5, sampler=sampler)
    set_density(method, 0.8)
    if sampler == "occupancy":
        method.derive({})
    scene, camera = scene_of(method), capture.cameras[0]
    box = Region.box(torch.full((3,), -4.0), torch.full((3,), 4.0))
    rendering = method.render(scene.within(box), camera)
    rays = camera.image_rays(0)
    enter, leave = box.spans(rays.origins.double(), rays.directions.double())
    shape = int(camera.height[0]), int(camera.width[0])
    length = (leave - enter).clamp_min(0).view(shape)
    assert rendering.opacity is not None
    assert bool((length == 0).any())
    assert float(rendering.opacity[length == 0].max()) == 0
    # The density is 0.08 per unit of the data.
    expected = 1 - torch.exp(-0.08 * length.float())
    torch.testing.assert_close(rendering.opacity, expected, atol=0.05, rtol=0)
    ahead = Region.ahead(camera.c2w[0], 1e4)
    assert float(method.render(scene.within(ahead), camera).opacity.max()) == 0


def test_a_scene_in_device_coordinates_can_be_cut() -> None:
    capture = wall_capture(scale=3.0)
    method = make_method(capture, coarse_samples=64, fine_samples=0, pixel_centre=0.5)
    set_density(method, 3.0)
    scene, camera = scene_of(method), capture.cameras[4]
    whole = method.render(scene, camera)
    # Half of the picture is left, and nothing of what is near.
    half = Region(torch.tensor([[-1.0, 0.0, 0.0, float(camera.c2w[0, 0, 3])]], dtype=torch.float64))
    cut = method.render(scene.within(half), camera)
    middle = int(camera.width[0]) // 2
    assert whole.opacity is not None
    assert cut.opacity is not None
    assert float(cut.opacity[:, middle + 2 :].max()) < 0.02
    torch.testing.assert_close(
        cut.opacity[:, : middle - 2], whole.opacity[:, : middle - 2], atol=1e-3, rtol=0
    )
    points = torch.tensor([[-1.0, 0.0, -30.0], [1.0, 0.0, -30.0]]) + camera.c2w[0, :, 3].float()
    assert (scene.within(half).density(points) > 0).tolist() == [True, False]
