"""The plain implementation that `pixelnerf` is measured against, and the benchmark that measures it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks import pixelnerf_speed
from benchmarks.layer_work import LayerWork
from benchmarks.pixelnerf_curve import measure_curve, plain_batch, plain_rays, plain_views
from benchmarks.pixelnerf_trainings import as_srn
from benchmarks.plain_pixelnerf import CHUNK, Noise, Plain
from benchmarks.trainings import Score, report
from pixelnerf_cases import balls, small_config, small_method
from pixelnerf_golden import (
    close,
    config_of,
    golden,
    rule_weights,
    to_chance,
    to_images,
    to_rays,
    to_views,
    usual_network,
)
from torch import nn
from torch.nn import functional

from sightline.captures import Collection, open_capture
from sightline.foundation.errors import InputError
from sightline.media.images import write_png
from sightline.methods.base import Progress
from sightline.methods.pixelnerf.config import INFO, PRESETS
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.tracing import Chance, SampleCounts, Tracer


def plain_of(network, chunk=CHUNK, **changes) -> Plain:
    """The plain implementation with the weights of a network; parts of its configuration replaced."""
    return Plain(replace(network.config, **changes), network.state_dict(), chunk=chunk)


def views_of(values, group=False):
    names = ("src_images_u8", "src_poses_c2w") if "src_images_u8" in values else ("images_u8", "poses_c2w")
    pictures, poses = (values[name][None] if group else values[name] for name in names)
    return plain_views(to_views(pictures, poses, values["focal"], values.get("c")))


def noise_of(values, before="") -> Noise:
    chance = to_chance(values, before)
    return Noise(chance.jitter, chance.places, chance.within, chance.depth)


@pytest.mark.parametrize(("prefix", "preset"), [("srn128", "srn_car"), ("sn64", "sn64")])
def test_plain_feature_maps_are_the_published_ones(shared, prefix, preset):
    found = golden(shared, "encoder")
    values = {key.removeprefix(f"{prefix}_"): found[key] for key in found if key.startswith(f"{prefix}_")}
    network = usual_network()
    plain = plain_of(network, first_pool=INFO.build_config(preset).first_pool)
    stride = int(values["stride"])
    with torch.no_grad():
        maps = plain.network.encoder(to_images(values["image_u8"])[None])
    assert tuple(maps.shape) == tuple(values["latent_shape"])
    close(maps[0, :, ::stride, ::stride], values["latent_strided"], 1e-4)
    close(maps[0, :, -1, ::stride], values["latent_lastrow"], 1e-4)
    close(maps[0, :, ::stride, -1], values["latent_lastcol"], 1e-4)
    close(maps[0].double().mean((1, 2)), values["chan_mean"], 1e-5)


def check_outputs(plain, views, values, prefix="") -> None:
    with torch.no_grad():
        seen = plain.encode(views)
        asked = torch.from_numpy(values["points"]), torch.from_numpy(values["viewdirs"])
        if not prefix:
            inputs, features = plain.network.describe(seen, *asked)
            rows = values["z_feature"].shape[:2]
            close(inputs, values["z_feature"].reshape(-1, values["z_feature"].shape[-1]), 1e-4)
            close(features.view(*rows, -1)[:, :8], values["latent_first8pts"], 1e-4)
        for fine, name in ((False, "coarse"), (True, "fine")):
            raw, expected = plain.network.ask(seen, *asked, fine), values[f"{prefix}out_{name}"]
            close(raw, values[f"{prefix}logits_{name}"], 1e-3)
            close(torch.sigmoid(raw[..., :3]), expected[..., :3], 5e-5)
            close(torch.relu(raw[..., 3]), expected[..., 3], 3e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_plain_points_are_the_published_ones(shared, count):
    values = golden(shared, f"net_forward_{count}v")
    views, network = views_of(values, group=True), usual_network()
    check_outputs(plain_of(network), views, values)
    if count == 2:
        check_outputs(plain_of(network, rotate_only=False), views, values, "zcam_")
        check_outputs(plain_of(network, combination="max"), views, values, "max_")


def test_plain_points_of_several_objects_are_the_published_ones(shared):
    values = golden(shared, "net_forward_sb2_ns2")
    check_outputs(plain_of(usual_network()), views_of(values), values)


@pytest.mark.parametrize(
    ("case", "chunk"),
    [
        *((case, CHUNK) for case in ("1v_white", "1v_black", "1v_lindisp", "1v_coarse_only", "sb2_2v")),
        ("sb2_2v", 500),
    ],
)
def test_plain_renders_are_the_published_ones(shared, case, chunk):
    values = golden(shared, f"render_net_{case}")
    names = ("coarse_samples", "fine_samples", "depth_samples", "depth_spread", "disparity", "background")
    rules = {name: getattr(config_of(values), name) for name in names}
    plain = plain_of(usual_network(), chunk, **rules)
    with torch.no_grad():
        rays = plain_rays(to_rays(values["rays"]))
        passes = plain.trace(plain.encode(views_of(values)), rays, noise_of(values))
    names = ["coarse", "fine"][: len(passes)]
    assert ("fine" in names) == ("fine_rgb" in values)
    for name, found in zip(names, passes, strict=True):
        close(found.colours, values[f"{name}_rgb"], 5e-5)
        close(found.depths, values[f"{name}_depth"], 5e-5)
        close(found.weights, values[f"{name}_weights"], 5e-5)
        close(found.t, values["z_all_sorted" if name == "fine" else "z_coarse"], 5e-5)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_plain_training_is_the_published_one(shared, mode):
    values = golden(shared, "train_step")
    plain = plain_of(usual_network(), 1000, first_pool=False, batch_statistics=mode == "train")
    rays, truth = plain_rays(to_rays(values["rays"])), torch.from_numpy(values["rgb_gt"]).flatten(0, 1)
    loss = plain.step(views_of(values), rays, truth, noise_of(values, f"{mode}_"))
    assert loss == pytest.approx(float(values[f"{mode}_loss"]), abs=2e-6)
    names, norms = values["param_names"].tolist(), values[f"{mode}_grad_norms"]
    gradients = {name: value.grad for name, value in plain.network.named_parameters()}
    assert sorted(gradients) == sorted(names)
    for name, norm in zip(names, norms, strict=True):
        found = gradients[name]
        assert (found is None) == (norm < 0), name
        if found is not None:
            assert float(found.double().norm()) == pytest.approx(norm, rel=1e-3, abs=1e-9), name
    state = plain.network.state_dict()
    for part in ("fine", "coarse"):
        close(state[f"mlp_{part}.lin_out.bias"], values[f"{mode}_after_adam_{part}_lin_out_b"], 1e-5)
    if mode == "train":
        for name in ("bn1.running_mean", "layer3.5.bn2.running_var"):
            kind = name.replace(".running", "_running")
            close(state[f"encoder.model.{name}"], values[f"train_after_{kind}"], 1e-5, 1e-4)


CHANGES = [
    {},
    {"disparity": True, "background": "none", "combination": "max", "rotate_only": False},
    {"fine_network": "coarse", "depth_samples": 0, "first_pool": True, "image_size": 32},
    {
        "fine_samples": 0,
        "depth_samples": 0,
        "combine_layer": 2,
        "weigh_lone_coarse": False,
        "coarse_weight": 3.0,
    },
    {"source_counts": (3,), "levels": 4, "image_size": 40, "batch_statistics": False, "objects": 1},
]


def random_method(**changes) -> PixelNerf:
    """A method whose weights and statistics are by the rule; about half of the space is empty."""
    config = small_config(imagenet=False, **changes)
    method = pixelnerf_speed.make_method(config)
    network = method.network
    network.load_state_dict(rule_weights(network, dict.fromkeys(("mlp_coarse", "mlp_fine"), (0.0,) * 4)))
    batch = pixelnerf_speed.make_batch(config, method)
    points = torch.rand(config.objects, 200, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    with torch.no_grad():
        encoded = network.eval().encode(batch.sources)
        for fine, perceptron in enumerate(filter(None, (network.mlp_coarse, network.mlp_fine))):
            raw = network.raw(encoded, points, functional.normalize(points, dim=-1), bool(fine))[..., 3]
            scale = 4 / raw.std()
            perceptron.lin_out.bias[3] = scale * (perceptron.lin_out.bias[3] - raw.mean())
            perceptron.lin_out.weight[3] *= scale
    return method


@pytest.mark.parametrize("changes", CHANGES)
def test_plain_and_pixelnerf_agree(changes):
    method = random_method(**changes)
    plain = plain_of(method.network, chunk=333)
    batch = pixelnerf_speed.make_batch(method.config, method)
    views, rays, truth = plain_batch(batch)
    counts = SampleCounts.at(method.config, 0)
    generator = torch.Generator().manual_seed(3)
    chance = Chance.draw(counts, len(truth), truth, generator)
    noise = plain.draw(len(truth), torch.Generator().manual_seed(3))
    with torch.no_grad():
        encoded = method.network.eval().encode(batch.sources)
        traced = Tracer(method.config, counts)(
            lambda *asked: method.network(encoded, *asked), batch.rays, chance
        )
        seen = plain.encode(views)
        assert encoded.maps is not None
        assert (seen.maps - encoded.maps).abs().max() < 1e-5 * encoded.maps.abs().max()
        passes = plain.trace(seen, rays, noise)
    ours = [traced.coarse] if traced.fine is None else [traced.coarse, traced.fine]
    for found, expected in zip(passes, ours, strict=True):
        assert (found.weights - expected.seen.weights).abs().max() < 2e-4
        assert (found.depths - expected.seen.depth_sum).abs().max() < 2e-4
        assert expected.seen.opacity.std() > 0.05
    adam = method.train().optimisers()[0].optimiser
    torch.manual_seed(5)
    loss = method(batch, Progress(0, 0.0))["loss"]
    loss.backward()
    adam.step()
    torch.manual_seed(5)
    assert plain.step(views, rays, truth) == pytest.approx(loss.item(), rel=1e-4)
    theirs, apart = dict(plain.network.named_parameters()), []
    for name, parameter in method.network.named_parameters():
        flow = theirs[name].grad
        assert (flow is None) == (parameter.grad is None), name
        if flow is not None and parameter.grad is not None:
            assert (flow - parameter.grad).norm() <= 1e-2 * parameter.grad.norm() + 1e-7, name
            apart.append((theirs[name] - parameter).detach().abs().flatten())
    # The first step is a learning rate long, one way or the other where a gradient is nothing but rounding.
    assert float((torch.cat(apart) > 0.02 * method.config.learning_rate).float().mean()) < 0.01


def test_plain_refuses_what_it_has_not():
    method = random_method(feature_padding="zeros")
    with pytest.raises(InputError, match="feature_padding"):
        plain_of(method.network)


def test_work_is_two_operations_for_each_multiplication():
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(5 * 16, 7))
    x = torch.zeros(2, 3, 8, 8)
    forward = LayerWork(layers, lambda: layers(x))
    assert forward.operations == 2 * 2 * (16 * 5 * 27 + 80 * 7)
    # Nothing needs the gradient of the picture.
    both = LayerWork(layers, lambda: layers(x), backward=True)
    assert both.operations == 2 * 2 * (2 * 16 * 5 * 27 + 3 * 80 * 7)
    assert 0 < both.gflops(1e-4) < 1e5


def test_the_sides_of_the_benchmark_do_the_same(monkeypatch):
    monkeypatch.setattr(LayerWork, "gflops", lambda _: 100.0)
    config = small_config(hidden_width=16, fine_samples=4, occupancy_cells=16)
    method = pixelnerf_speed.make_method(config)
    capture = pixelnerf_speed.make_capture(method)
    seeing, picture, guided = pixelnerf_speed.compare_rendering("small", method, capture, 50, rounds=1)
    assert guided.name == "small, 7x7 pixels by occupancy"
    assert guided.plain_seconds == picture.plain_seconds
    assert method.config.sampler == "stratified"
    assert (seeing.count, picture.count, picture.name) == (1, 49, "small, 7x7 pixels from 1 view")
    step = pixelnerf_speed.compare_steps("small", config, rounds=1)
    assert step.count == config.objects * config.rays
    for row in (seeing, picture, step):
        assert row.difference < 1e-4
        assert row.rates["per_second"] == pytest.approx(row.count / row.seconds)
        assert row.rates["ratio"] == pytest.approx(row.plain_seconds / row.seconds)
    rgb = method.render(method.encode(capture.subset([0])), capture.cameras[[-1]]).rgb
    assert rgb.std(0).min() > 0.01


def test_photos_judge_both_samplers(monkeypatch):
    method = small_method(occupancy_cells=16)
    capture = pixelnerf_speed.make_capture(method, 5)
    found = pixelnerf_speed.compare_samplers(method, [capture], views=2)
    assert (found.views, found.stratified_samples) == (2, 2 * 16 + 8)
    assert found.grid_seconds > 0
    errors = []
    for sampler in ("stratified", "occupancy"):
        method.choose_sampler(sampler)
        scene = method.encode(capture.subset([0]))
        shown = [method.render(scene, capture.cameras[[view]]).rgb for view in (1, 3)]
        truth = [torch.tensor(capture.images[view]) / 255 for view in (1, 3)]
        squares = [float((a - b).square().mean()) for a, b in zip(shown, truth, strict=True)]
        errors.append(sum(-10 * math.log10(value) for value in squares) / 2)
    assert [found.stratified_psnr, found.occupancy_psnr] == pytest.approx(errors, abs=1e-4)
    assert "PSNR: stratified" in found.line()


def test_curves_of_equal_sides_are_equal():
    config = small_config(decay_rate=0.1, decay_span=10.0, rays=32)
    curve = measure_curve(config, balls(4), 12)
    assert len(curve.plain) == 10
    assert curve.ours == pytest.approx(curve.plain, rel=0.02)
    assert curve.plain[-1] < 0.95 * curve.plain[0]
    assert curve.lines()[-2].split()[0] == "12"


def test_the_benchmark_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(LayerWork, "gflops", lambda _: 100.0)
    shape = vars(small_config(hidden_width=16, near=None, far=None, occupancy_cells=16))
    monkeypatch.setitem(PRESETS, "tiny", shape)
    words = ["--preset", "tiny", "--views", "tiny", "--rays", "9", "--rounds", "1", "--json"]
    pixelnerf_speed.main(words)
    found = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["count"]) for row in found["rows"]] == [
        ("tiny, seeing a view", 1),
        ("tiny, 3x3 pixels from 1 view", 9),
        ("tiny, 3x3 pixels by occupancy", 9),
        ("step of tiny, 2 objects, 2 views, 128 rays", 128),
    ]
    assert all(row["plain_gflops"] > 0 and row["products_gflops"] == 100 for row in found["rows"])


@pytest.mark.parametrize(
    "words",
    [
        ["--curve", "3"],
        ["--curve", "0", "--data", "."],
        ["--preset", "none"],
        ["--rays", "0"],
        ["--run", "nowhere"],
    ],
)
def test_what_cannot_be_measured_is_refused(words, capsys):
    with pytest.raises(SystemExit) as left:
        pixelnerf_speed.main(words)
    assert left.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_trainings_see_pictures_and_poses_as_a_set_of_srn(tmp_path):
    poses = tmp_path / "poses"
    (poses / "pose").mkdir(parents=True)
    (poses / "intrinsics.txt").write_text("131.25 64. 64. 0.\n0. 0. 0.\n1.\n128 128\n")
    for view in range(3):
        pose = np.eye(4)
        pose[:3, 3] = (0, 0, -1 - view)
        (poses / "pose" / f"{view:06d}.txt").write_text(" ".join(str(value) for value in pose.reshape(-1)))
    objects = []
    for name in ("one", "two"):
        objects.append(tmp_path / "published" / name)
        objects[-1].mkdir(parents=True)
        for view in range(3):
            shown = np.full((8, 8, 3), 40 * view, np.uint8)
            write_png(objects[-1] / f"{view:05d}.png", shown)
    # What is there is kept.
    for _ in range(2):
        as_srn(tmp_path / "set" / "chairs_train", objects, poses)
    found = open_capture(tmp_path / "set")
    assert isinstance(found, Collection)
    (first, second) = found.split("train")
    assert (first.id, second.id) == ("one", "two")
    capture = first.open()
    assert [int(image[0, 0, 0]) for image in capture.images] == [0, 40, 80]
    assert capture.cameras.c2w[:, :, 3].norm(dim=1).tolist() == [1, 2, 3]


def test_scores_of_trainings_name_the_best_baseline(capsys):
    baselines = {"white": (12.0, 0.7), "mean_per_pose": (14.5, 0.6), "object_mean": (19.0, 0.9)}
    score = Score("made", "pixelnerf", 7, 16.0, 0.8, baselines)
    assert score.best == "mean_per_pose"
    report([], [score])
    printed = capsys.readouterr().out
    assert "made: 7 views, +1.50 dB against mean_per_pose" in printed
    assert "| **pixelnerf** | **16.00** | **0.8000** |" in printed
    assert "| object mean (made of the scored views) | 19.00 | 0.9000 |" in printed
