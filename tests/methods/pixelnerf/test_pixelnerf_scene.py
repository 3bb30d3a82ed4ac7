"""The frame, the field and the pictures of `pixelnerf`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pixelnerf_cases import SIDE, ball_capture, balls, small_config, small_method

from sightline.foundation.errors import InputError
from sightline.geometry.regions import Region
from sightline.geometry.similarity import Similarity
from sightline.methods.base import CAPABILITIES
from sightline.methods.pixelnerf.config import INFO
from sightline.methods.pixelnerf.frame import Frame
from sightline.methods.pixelnerf.method import PixelNerf

OFFSET = (30.0, -20.0, 10.0)


def lively(method: PixelNerf) -> PixelNerf:
    """Give the perceptrons' zero layers values, and densities that are neither nothing nor walls."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for perceptron in (method.network.mlp_coarse, method.network.mlp_fine):
            for block in perceptron.blocks:
                block.fc_1.weight.normal_(std=0.2, generator=generator)
            perceptron.lin_out.bias[3] = 1.0
    return method


def shifted_frame(scale: float = 0.5) -> Frame:
    translation = -scale * torch.tensor(OFFSET, dtype=torch.float64)
    return Frame(Similarity(scale, torch.eye(3, dtype=torch.float64), translation), 1.25, 2.75)


def test_a_scene_renders_what_its_field_holds():
    method = lively(small_method())
    capture = ball_capture(0)
    scene = method.encode(capture.subset([0, 2]))
    assert scene.capabilities == CAPABILITIES
    rendering = method.render(scene, capture.cameras[3])
    again = method.render(scene, capture.cameras[3], chunk=7)
    assert rendering.rgb.shape == (SIDE, SIDE, 3)
    torch.testing.assert_close(rendering.rgb, again.rgb, atol=1e-5, rtol=0)
    visible = rendering.opacity > 0.01
    torch.testing.assert_close(
        rendering.depth[visible], (rendering.depth_sum / rendering.opacity)[visible], atol=1e-5, rtol=0
    )
    assert bool(((rendering.depth[visible] > 1.2) & (rendering.depth[visible] < 2.8)).all())
    assert rendering.statistics == {"rays": SIDE**2, "samples": SIDE**2 * 40}
    black = method.render(scene, capture.cameras[3], background=torch.zeros(3))
    expected = rendering.rgb - (1 - rendering.opacity[..., None])
    torch.testing.assert_close(black.rgb, expected.clamp(0, 1), atol=1e-5, rtol=0)


def test_a_moved_and_scaled_frame_shows_the_same():
    near = lively(small_method())
    far = lively(small_method())
    far.restore({"frame": shifted_frame().to_json()})
    capture = ball_capture(1)
    moved = replace(
        capture,
        cameras=capture.cameras.transformed(far.frame.to_model.inverse()),
    )
    first, second = near.encode(capture.view(0)), far.encode(moved.view(0))
    here, there = near.render(first, capture.cameras[2]), far.render(second, moved.cameras[2])
    torch.testing.assert_close(there.rgb, here.rgb, atol=2e-4, rtol=0)
    torch.testing.assert_close(there.depth, here.depth * 2, atol=2e-3, rtol=0, equal_nan=True)
    points = torch.rand(20, 3) - 0.5
    outside = far.frame.to_model.inverse().apply(points.double())
    torch.testing.assert_close(
        second.density(outside).float(), first.density(points) * 0.5, atol=1e-4, rtol=1e-3
    )
    directions = torch.nn.functional.normalize(torch.randn(20, 3), dim=-1)
    torch.testing.assert_close(
        second.radiance(outside, directions.double()).float(),
        first.radiance(points, directions),
        atol=1e-4,
        rtol=0,
    )
    low, high = second.bounds
    torch.testing.assert_close((low + high) / 2, torch.tensor(OFFSET), atol=1e-3, rtol=0)
    torch.testing.assert_close(high - low, torch.full((3,), 3.0), atol=1e-3, rtol=0)


def test_density_is_the_mean_over_the_directions_from_the_sources():
    method = lively(small_method())
    capture = ball_capture(2)
    scene = method.encode(capture.subset([0, 3]))
    points = torch.rand(9, 3) - 0.5
    encoded = scene.encoded
    expected = torch.zeros(9)
    for view in (0, 3):
        towards = torch.nn.functional.normalize(points - capture.cameras.centres[view].float(), dim=-1)
        expected += method.network(encoded, points[None], towards[None], True)[1][0].detach() / 2
    torch.testing.assert_close(scene.density(points), expected, atol=1e-5, rtol=1e-4)


def test_pictures_repeat_themselves():
    capture = ball_capture(0)
    for chance in (False, True):
        method = lively(small_method(render_chance=chance))
        scene = method.encode(capture.view(0))
        first, again = (method.render(scene, capture.cameras[1]).rgb for _ in range(2))
        assert torch.equal(first, again)


def test_encoding_leaves_the_training_mode():
    method = small_method()
    method.train()
    means = method.network.encoder.model.bn1.running_mean.clone()
    method.encode(ball_capture(0).view(0))
    assert method.training
    assert method.network.encoder.training
    assert torch.equal(means, method.network.encoder.model.bn1.running_mean)


@pytest.mark.parametrize(
    ("changes", "trains"),
    [({}, True), ({"batch_statistics": False}, False), ({"freeze_encoder": True}, False)],
)
def test_normalisation_follows_the_settings(changes, trains):
    method = PixelNerf(small_config(**changes))
    method.train()
    assert method.network.encoder.model.bn1.training is trains
    assert method.network.mlp_coarse.training


def test_bad_sources():
    method = small_method()
    with pytest.raises(InputError, match="source views"):
        method.encode(None)
    capture = ball_capture(0)
    bent = replace(
        capture, cameras=replace(capture.cameras, distortion=torch.full_like(capture.cameras.distortion, 0.1))
    )
    with pytest.raises(InputError, match="without lens distortion"):
        method.encode(bent)
    with pytest.raises(InputError, match="2 photos"):
        method.views_of_photos([np.zeros((8, 8, 3), np.uint8)] * 2)


def test_a_photo_is_seen_from_before_the_object():
    method = small_method()
    views = method.views_of_photos([np.full((2 * SIDE, 3 * SIDE, 3), 90, np.uint8)])
    assert views.cameras.centres[0].tolist() == [0, 0, 2.0]
    assert views.cameras.forward[0].tolist() == [0, 0, -1]
    assert float(views.cameras.fx[0]) == pytest.approx(131.25 / 128 * 2 * SIDE)
    scene = method.encode(views)
    assert tuple(scene.encoded.size) == (SIDE * 3 // 2, SIDE)


def test_the_frame_is_found_in_the_data(caplog):
    method = PixelNerf(small_config(near=None, far=None))
    method.prepare(balls())
    assert method.frame.to_model.scale == 1.0
    assert (method.frame.near, method.frame.far) == pytest.approx((0.8, 3.2), rel=1e-6)
    assert "does not say how near and far" in caplog.text
    away = PixelNerf(small_config(near=None, far=None))
    away.prepare(balls(offset=OFFSET))
    torch.testing.assert_close(
        away.frame.to_model.apply(torch.tensor([OFFSET], dtype=torch.float64)),
        torch.zeros(1, 3, dtype=torch.float64),
        atol=1e-9,
        rtol=0,
    )
    caplog.clear()
    published = PixelNerf(small_config(frame="data"))
    published.prepare(balls(offset=OFFSET))
    assert "objects must stand at the origin" in caplog.text
    again = PixelNerf(small_config())
    again.restore(away.state())
    assert again.state() == away.state()


@pytest.mark.parametrize("preset", INFO.presets)
def test_presets(preset):
    config = INFO.build_config(preset)
    config.check()
    assert (config.near is None) == (preset == "small")
    assert (config.background == "none") == (preset == "dtu")
    assert config.first_pool is (preset not in ("sn64", "sn64_unseen", "small"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"near": 1.0}, "go together"),
        ({"near": 2.0, "far": 1.0}, "no range"),
        ({"depth_samples": 40}, "40 cannot lie around the depth"),
        ({"source_counts": ()}, "At least one source"),
        ({"combine_layer": 9}, "from 0 to 5"),
        ({"schedule_at": (5,)}, "as many numbers"),
        ({"levels": 6}, "from 1 to 5"),
        ({"rays": 0}, "above 0.*--rays"),
    ],
)
def test_settings_that_do_not_go_together(changes, message):
    with pytest.raises(InputError, match=message):
        INFO.config_class()(**changes).check()


def test_a_cut_scene_has_nothing_outside_the_cut():
    method = lively(small_method())
    with torch.no_grad():
        for perceptron in (method.network.mlp_coarse, method.network.mlp_fine):
            perceptron.lin_out.bias[3] = 20.0
    capture = ball_capture(0)
    scene = method.encode(capture.subset([0, 2]))
    camera = capture.cameras[3]
    box = Region.box(torch.full((3,), -0.4), torch.full((3,), 0.4))
    cut = method.render(scene.within(box), camera)
    rays = camera.image_rays(0)
    # The method's rays go through corners of pixels.
    wider = Region.box(torch.full((3,), -0.55), torch.full((3,), 0.55))
    enter, leave = wider.spans(rays.origins.double(), rays.directions.double())
    outside = (leave <= enter).view(SIDE, SIDE)
    assert bool(outside.any())
    assert float(cut.opacity[outside].max()) == 0
    assert float(cut.opacity[~outside].max()) > 0.01
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.6]])
    kept = scene.within(box).density(points)
    torch.testing.assert_close(kept, scene.density(points) * torch.tensor([1.0, 0.0]))
