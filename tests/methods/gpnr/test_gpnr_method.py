"""The contract: learning, scenes, what pictures depend on and what not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gpnr_cases import HEIGHT, WIDTH, plane_capture, plane_collection, small_config

from method_training import Training, stop_and_resume
from sightline.captures import Capture, ImageStore
from sightline.captures.straightening import bends_light
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel, Similarity
from sightline.methods.base import Progress
from sightline.methods.gpnr.batches import TrainingScene, draw_step
from sightline.methods.gpnr.config import INFO, PRESETS, GpnrConfig
from sightline.methods.gpnr.epipolar import Places
from sightline.methods.gpnr.method import Gpnr, rate_at
from sightline.methods.gpnr.network import Evidence
from sightline.methods.gpnr.patches import from_maps
from sightline.methods.gpnr.scene import GpnrScene
from sightline.methods.gpnr.views import SceneViews, camera_rays, network_cameras, rays_through
from sightline.networks.precision import product_type


def check_quick_pictures(near: float, **changes) -> None:
    """Pictures by quick stages are those of the network as it is defined."""
    capture = plane_capture(1)
    method = make_method(heads=1, **changes)
    scene = method.encode(sources_of(capture))
    assert isinstance(scene, GpnrScene)
    quick = method.render(scene, capture.cameras[4])
    assert scene._quick is not None
    scene._quick = None
    truth = method.render(scene, capture.cameras[4])
    assert float(truth.rgb.std()) > 0.01
    torch.testing.assert_close(quick.rgb, truth.rgb, rtol=0, atol=near)
    torch.testing.assert_close(quick.depth, truth.depth, rtol=near, atol=near, equal_nan=True)


class GpnrTraining(Training):
    method_class = Gpnr


def start(seed: int, **changes) -> GpnrTraining:
    return GpnrTraining(plane_collection(), small_config(**changes), seed, steps=300)  # type: ignore[arg-type]


def make_method(seed: int = 0, **changes) -> Gpnr:
    torch.manual_seed(seed)
    return Gpnr(small_config(**changes)).eval()


def sources_of(capture: Capture) -> Capture:
    return capture.subset(capture.splits["train"])


def picture(method: Gpnr, capture: Capture, camera: Cameras) -> torch.Tensor:
    return method.render(method.encode(sources_of(capture)), camera).rgb


# Corrected colours begin near the truth, and take fewer steps to get nearer.
@pytest.mark.parametrize(
    ("colour", "steps", "least"),
    [pytest.param("predicted", 300, 0.3, marks=pytest.mark.slow), ("corrected", 150, 0.6)],
)
def test_it_learns_to_see_scenes_that_it_was_not_shown(colour, steps, least):
    training = start(1, colour=colour).advance(steps)
    assert np.mean(training.losses[-20:]) < least * np.mean(training.losses[:20])
    capture = plane_capture(2)
    training.method.eval()
    (held_out,) = capture.splits["test"]
    truth = torch.tensor(capture.images[held_out]).float() / 255
    seen = picture(training.method, capture, capture.cameras[held_out])
    scene = training.method.encode(sources_of(capture))
    chosen = scene.sources_of(scene.views.c2w[0])  # type: ignore[attr-defined]
    nearest = torch.stack([scene.views.picture(view) for view in chosen]) / 255  # type: ignore[attr-defined]
    error = (seen - truth).square().mean()
    assert error < 0.5 * (nearest[0] - truth).square().mean()
    assert error < 0.5 * (nearest.mean(0) - truth).square().mean()


def test_resuming_gives_the_same_steps():
    through, resumed = stop_and_resume(start, 6, 8)
    assert resumed.losses == through.losses[-8:]


def test_the_order_of_photos_changes_nothing():
    method, capture = make_method(), plane_capture(0)
    views = sources_of(capture)
    turned = views.subset(list(reversed(range(len(views)))))
    camera = capture.cameras[4]
    one, other = (method.render(method.encode(part), camera).rgb for part in (views, turned))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("faithful", [False, True])
def test_the_world_may_be_moved(faithful):
    """The frame is found from the cameras; only the published translations depend on what it is."""
    method, capture = make_method(faithful=faithful), plane_capture(0)
    turn = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ).Q
    moved = Similarity(1.7, turn * torch.linalg.det(turn).sign(), torch.tensor([3.0, -2.0, 5.0]).double())
    other = replace(
        capture,
        cameras=capture.cameras.transformed(moved),
        near=None if capture.near is None else 1.7 * capture.near,
        far=None if capture.far is None else 1.7 * capture.far,
    )
    one, two = (method.encode(sources_of(part)) for part in (capture, other))
    first = method.render(one, capture.cameras[4])
    second = method.render(two, other.cameras[4])
    torch.testing.assert_close(first.rgb, second.rgb, rtol=0, atol=1e-4)
    assert first.depth is not None
    assert second.depth is not None
    torch.testing.assert_close(1.7 * first.depth, second.depth, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_what_no_source_sees_counts_for_nothing():
    """Samples beyond the borders of pictures: only the published program takes their pixels for evidence."""
    capture = plane_capture(0)
    pose = capture.cameras.c2w[4].clone()
    pose[0, 3] += 0.8
    camera = Cameras.create(pose[None], 18.0, width=WIDTH, height=HEIGHT)
    for faithful in (False, True):
        method = make_method(faithful=faithful)
        evidence, seen = evidence_of(method, capture, camera)
        assert (evidence.seen is None) == faithful
        noise = torch.rand(evidence.features.shape, generator=torch.Generator().manual_seed(0))
        other = replace(evidence, features=torch.where(seen[..., None], evidence.features, noise))
        one, two = method.network(evidence), method.network(other)
        apart = torch.maximum((one.rgb - two.rgb).abs(), (one.mixed - two.mixed).abs()).amax(1)
        partly = seen.any((1, 2)) & ~seen.all(2).all(1)
        assert int(partly.sum()) > 50
        if faithful:
            assert float(apart[partly].median()) > 1e-3
        else:
            assert float(apart[partly].max()) < 1e-6
            hidden = ~seen & seen.any(2, keepdim=True)
            assert float(one.sample_weights[hidden].max()) < 1e-12


def evidence_of(method: Gpnr, capture: Capture, camera: Cameras) -> tuple[Evidence, torch.Tensor]:
    """What sources show along the rays of a camera, and which samples they see."""
    views = SceneViews.of(capture, method.config)
    c2w, intrinsics = (value[0] for value in network_cameras(camera, views.frame))
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    pixels = torch.stack([columns, rows], -1).view(-1, 2)
    rays = rays_through(pixels, c2w, intrinsics, (views.near, views.far), 0.5)
    cameras = views.cameras([0, 1, 2])
    pictures = [views.picture(view) for view in (0, 1, 2)]
    found = method.network.look(rays, cameras, method.network.patches.cut(pictures))
    corrected = make_method().network
    seen = corrected.look(rays, cameras, corrected.patches.cut(pictures)).seen
    assert seen is not None
    return found, seen


def test_a_photo_is_not_seen_in_itself():
    method, capture = make_method(), plane_capture(0)
    scene = method.encode(capture)
    for view in (0, 3):
        chosen = scene.sources_of(scene.views.c2w[view])  # type: ignore[attr-defined]
        assert view not in chosen
        assert len(chosen) == 3


@pytest.mark.parametrize("rays", [96, 15])
def test_a_step_in_parts_has_the_same_gradients(rays):
    """By maps of the pictures, and, of few rays, by patches."""
    losses, flows = [], []
    for chunk in (None, rays // 3):
        method = make_method(train_chunk=chunk, rays=rays)
        few = method.network.patches.serves_few([torch.zeros(HEIGHT, WIDTH, 3)] * 3, rays * 48)
        assert few == (rays == 15)
        method.train()
        batches = method.batches(method.prepare(plane_collection()), torch.Generator().manual_seed(0))
        loss = method(next(batches), Progress(0, 0.0))["loss"]
        loss.backward()
        losses.append(loss.item())
        # What has no influence has no gradient, or one of zeros.
        flows.append([torch.zeros_like(p) if p.grad is None else p.grad for p in method.parameters()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(*flows, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("faithful", [False, True])
def test_bfloat16_is_close_to_float32(faithful):
    """Where all samples count (as published), softmaxes and mixes stay in float32 just as elsewhere."""
    capture, renderings = plane_capture(0), []
    for precision in ("float32", "bfloat16"):
        method = make_method(layer_precision=precision, faithful=faithful)
        renderings.append(method.render(method.encode(sources_of(capture)), capture.cameras[4]))
    whole, narrow = renderings
    assert float((whole.rgb - narrow.rgb).abs().max()) < 0.03
    assert whole.depth is not None
    assert narrow.depth is not None
    assert narrow.depth.dtype == torch.float32
    assert float((whole.depth - narrow.depth).abs().nanmedian()) < 0.02 * float(whole.depth.nanmedian())


def test_fewer_photos_than_sources_are_enough():
    method, capture = make_method(), plane_capture(0)
    scene = method.encode(capture.subset([0, 1]))
    rendering = method.render(scene, capture.cameras[4])
    assert tuple(rendering.rgb.shape) == (HEIGHT, WIDTH, 3)
    assert bool(torch.isfinite(rendering.rgb).all())
    alone = method.render(method.encode(capture.subset([0])), capture.cameras[0])
    assert bool(torch.isfinite(alone.rgb).all())


def test_depths_are_within_the_scene():
    method, capture = make_method(), plane_capture(0)
    rendering = method.render(method.encode(sources_of(capture)), capture.cameras[4], chunk=7)
    whole = method.render(method.encode(sources_of(capture)), capture.cameras[4])
    assert rendering.depth is not None
    assert 1.0 <= float(rendering.depth.min()) <= float(rendering.depth.max()) <= 4.0
    torch.testing.assert_close(rendering.rgb, whole.rgb, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 4}, "must be odd"),
        ({"width": 30, "heads": 4}, "4 heads cannot share"),
        ({"sources": 0}, "--sources"),
        ({"ray_frequencies": -1}, "--ray-frequencies"),
        ({"patch_features": ()}, "--patch-features"),
        ({"pixel_centre": 1.5}, "--pixel-centre"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(InputError, match=message):
        GpnrConfig(**changes)


def test_data_that_cannot_be_taken():
    method, capture = make_method(), plane_capture(0)
    with pytest.raises(InputError, match="from 5 to 4"):
        method.encode(replace(capture, near=np.full(9, 5.0)))
    with pytest.raises(InputError, match="posed photos"):
        method.encode(None)
    lone = replace(capture, splits={"train": (0,), "val": (), "test": (1,)})
    with pytest.raises(InputError, match="no scene to learn from"):
        method.prepare(lone)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_can_be_built(name):
    assert isinstance(INFO.build_config(name), GpnrConfig)


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("samples", [16, 40])
def test_quick_stages_make_the_pictures_of_the_network(faithful, samples):
    check_quick_pictures(1e-4, faithful=faithful, samples=samples)


@pytest.mark.skipif(
    product_type("auto", torch.device("cpu")) != torch.bfloat16, reason="the processor has no fast bfloat16"
)
def test_quick_stages_in_bfloat16_are_near():
    check_quick_pictures(0.02, layer_precision="bfloat16")


def test_layers_of_several_heads_are_computed_as_they_are():
    capture = plane_capture(1)
    scene = make_method().encode(sources_of(capture))
    assert isinstance(scene, GpnrScene)
    assert scene._quick is None


def test_half_the_rays_have_half_the_rate_and_twice_the_warm_up():
    plain = small_config(warm_up=20, schedule="step", halve_every=10)
    half = replace(plain, rays=plain.rays // 2, rule_rays=plain.rays, scale_rule="linear")
    rates = []
    for config in (plain, half):
        (optimisation,) = Gpnr(config).optimisers()
        rates.append(optimisation.optimiser.param_groups[0]["lr"])
    assert rates[1] == rates[0] / 2
    for step in (0, 7, 19, 20, 29, 30, 41):
        ways = [rate_at(Progress(count, 0.1), config) for count, config in ((step, plain), (2 * step, half))]
        assert ways[0] == pytest.approx(ways[1])
    assert rate_at(Progress(30, 0.1), plain) == 0.5


def test_layers_at_the_ends_may_be_float32(monkeypatch):
    formats: dict[str, set[torch.dtype]] = {}

    def note(name: str):
        def hook(module, inputs, output) -> None:
            formats.setdefault(name, set()).add(output.dtype)

        return hook

    capture = plane_capture(1)
    for precision in ("layers", "float32"):
        method = make_method(layer_precision="bfloat16", first_layer_precision=precision)
        for name in ("query", "view_query", "colour", "view_key"):
            getattr(method.network, name).register_forward_hook(note(f"{precision} {name}"))
        assert torch.isfinite(picture(method, capture, capture.cameras[4])).all()
    narrow, whole = {torch.bfloat16}, {torch.float32}
    assert formats == {
        **{f"layers {name}": narrow for name in ("query", "view_query", "colour", "view_key")},
        **{f"float32 {name}": whole for name in ("query", "view_query", "colour")},
        "float32 view_key": narrow,
    }


def test_unknown_limits_are_refused():
    with pytest.raises(InputError, match="above 0") as raised:
        small_config(clip_norm=0.0)
    assert "--clip-norm" in str(raised.value)


def test_photos_of_several_sizes_are_seen_as_they_are():
    """What is cut off of a photo is not seen; all else stays."""
    capture, method = plane_capture(0), make_method()
    cut = [
        np.ascontiguousarray(image[:, : WIDTH - 6 * (view == 1)]) for view, image in enumerate(capture.images)
    ]
    cameras = replace(capture.cameras, width=torch.tensor([image.shape[1] for image in cut]))
    other = replace(capture, cameras=cameras, images=ImageStore.from_arrays(cut))
    (whole, _), (part, _) = (evidence_of(method, given, capture.cameras[4]) for given in (capture, other))
    assert whole.seen is not None
    assert part.seen is not None
    lost = whole.seen & ~part.seen
    assert lost[:, 1].any()
    assert not lost[:, [0, 2]].any()
    assert torch.equal(part.seen & whole.seen, part.seen)
    inner = part.seen[..., None].expand_as(part.rays)
    torch.testing.assert_close(part.rays[inner], whole.rays[inner])
    seen = picture(method, other, capture.cameras[4])
    assert tuple(seen.shape) == (HEIGHT, WIDTH, 3)
    losses = method(next(method.batches(method.prepare(other), torch.Generator())), Progress(0, 0.0))
    assert torch.isfinite(losses["loss"])


@torch.no_grad()
def test_patches_give_what_maps_give():
    """Whether all pixels are described or only those that are asked for; also at borders."""
    for changes in ({}, {"imagenet_colours": True}):
        patches = make_method(patch_size=5, **changes).network.patches
        draw = np.random.default_rng(0)
        pictures = [
            torch.from_numpy(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
            for height, width in ((9, 12), (7, 5))
        ]
        rows, columns = (torch.from_numpy(draw.integers(0, n, (2, 40, 1))) for n in (7, 5))
        places = Places(columns, rows, torch.ones_like(rows, dtype=torch.bool))
        maps, cut = (
            from_maps([patches(picture) for picture in pictures])(places),
            patches.cut(pictures)(places),
        )
        assert maps.shape == (2, 40, 1, patches.width)
        torch.testing.assert_close(maps, cut, rtol=0, atol=1e-6)


def test_lenses_that_bend_light_are_taken():
    """A photo by such a lens is straightened as a source; as a target each of its pixels has its own ray."""
    capture, method = plane_capture(0), make_method()
    lens = replace(
        capture.cameras,
        lens=torch.full_like(capture.cameras.lens, LensModel.OPENCV),
        distortion=torch.tensor([[-0.2, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]).double().expand(9, 8),
    )
    bent = SceneViews.of(replace(capture, cameras=lens), method.config)
    assert not bends_light(bent.capture.cameras)
    rays = camera_rays(lens[4], bent.frame, (bent.near, bent.far), 0.5)
    truth = lens.image_rays(4)
    towards = truth.directions.double() @ bent.frame.rotation.T
    torch.testing.assert_close(rays.directions, towards.float(), rtol=0, atol=1e-5)
    straight = camera_rays(capture.cameras[4], bent.frame, (bent.near, bent.far), 0.5)
    corner, middle = 0, (HEIGHT // 2) * WIDTH + WIDTH // 2
    assert float((rays.directions - straight.directions)[corner].norm()) > 0.02
    assert float((rays.directions - straight.directions)[middle].norm()) < 1e-3
    assert torch.isfinite(method.render(method.encode(replace(capture, cameras=lens)), lens[4]).rgb).all()


def test_pixels_that_a_mask_leaves_out_are_not_learnt_from():
    capture = plane_capture(0)
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[3, 4:9] = 0
    views = SceneViews.of(replace(capture, masks=ImageStore.from_arrays([mask] * 9)), small_config())
    scene = TrainingScene(views, tuple(range(9)))
    drawn = draw_step(scene, 200, 3, 5, np.random.RandomState(0))
    assert set(drawn.pixels.tolist()) == {3 * WIDTH + column for column in range(4, 9)}


def test_a_camera_that_photos_show_nothing_for_is_told(caplog):
    capture = plane_capture(0)
    away = capture.cameras.c2w[4].clone()
    away[:, 0], away[:, 2] = -away[:, 0], -away[:, 2]
    camera = Cameras.create(away[None], 18.0, width=WIDTH, height=HEIGHT)
    method = make_method()
    scene = method.encode(sources_of(capture))
    for _ in range(2):
        found = method.render(scene, camera)
    assert found.opacity is not None
    assert found.depth is not None
    assert not found.opacity.any()
    assert found.depth.isnan().all()
    assert torch.isfinite(found.rgb).all()
    told = [record.message for record in caplog.records if "show nothing" in record.message]
    assert len(told) == 1
    assert "100%" in told[0]
    seen = method.render(method.encode(sources_of(capture)), capture.cameras[4])
    assert seen.opacity is not None
    assert seen.opacity.all()


def test_fewer_photos_than_asked_for_are_told(caplog):
    caplog.set_level("INFO", logger="sightline")
    method, capture = make_method(), plane_capture(0)
    method.encode(capture.subset([0, 1]))
    assert [record.message for record in caplog.records] == [
        "There are 2 photos: all are used, where 3 are asked for"
    ]
