"""The plain implementation that `enr` is measured against, and the benchmark that measures it."""

import json

import numpy as np
import pytest
import torch
from benchmarks import enr_speed
from benchmarks.enr_curve import measure_curve
from benchmarks.layer_work import LayerWork
from benchmarks.plain_enr import Plain, motions, move, ssim
from enr_cases import made_collection, small_config
from enr_golden import (
    LOSSES,
    RENDERS,
    ROTATION,
    assert_like,
    config_of,
    feature_tolerance,
    picture_tensor,
    rule_weights,
)
from torch import nn

from sightline.methods.base import Progress
from sightline.methods.enr.config import INFO, PRESETS
from sightline.methods.enr.method import Enr
from sightline.methods.enr.scene import BATCH

# In float64; those stored are float32, and the worst is off by 2.3e-3.
GRADIENTS = 3e-3


def rows_of(*columns) -> torch.Tensor:
    """Azimuth and elevation in degrees, x, y, z; what is left out is 0."""
    found = torch.from_numpy(np.concatenate([np.asarray(column, float) for column in columns], 1))
    return torch.nn.functional.pad(found, (0, 5 - found.shape[1]))


def test_plain_motions_are_the_published_ones(golden):
    arrays = golden.arrays("rotation")
    volume, pairs = torch.from_numpy(arrays["volume"]), arrays["pairs_deg"]
    still, shift, start = np.zeros((6, 2)), arrays["translations"], arrays["t_source"]

    def error(source, target, name, mode="bilinear"):
        count = len(arrays[name])
        moved = move(volume.expand(count, -1, -1, -1, -1), motions(source, target)[:count].float(), mode)
        return np.abs(moved.numpy() - arrays[name])

    source, target = rows_of(pairs[:, :2]), rows_of(pairs[:, 2:])
    assert error(source, target, "rotated_trilinear").max() < ROTATION
    assert error(rows_of(still), rows_of(still, shift), "translated_only").max() < ROTATION
    shifted = rows_of(pairs[:, :2], start), rows_of(pairs[:, 2:], shift)
    assert error(*shifted, "rototranslated").max() < ROTATION
    # Where two voxels are equally near, rounding decides.
    assert (error(source, target, "rotated_nearest", "nearest") > ROTATION).mean() < 1e-3


@torch.no_grad()
@pytest.mark.parametrize("channels_last", [False, True])
def test_plain_views_of_64_pixels_are_the_published_ones(golden, channels_last):
    arrays = golden.arrays("model64_repro")
    config = INFO.build_config("repro64-rototranslation", network_precision="float32")
    plain = Plain(config, golden.network("model64", config).state_dict(), channels_last=channels_last)
    capture = golden.collection("rotation", angle_unit="radians")[str(arrays["rotation_scene_id"])].open()
    volume = plain.infer(picture_tensor(capture, 0))
    assert_like(volume, arrays, "scene64", feature_tolerance(arrays, "scene64"))
    rows = torch.from_numpy(arrays["rotation_7_params"]).double()
    rows[:, :2] = rows[:, :2].rad2deg()
    found = plain.show(volume, motions(rows[:1], rows[1:]).float())
    assert_like(found, arrays, "rotation_unitsfixed_7_render", RENDERS)


@pytest.mark.parametrize("channels_last", [False, True])
def test_plain_training_is_the_published_one(golden, channels_last):
    arrays, file = golden.arrays("tiny_training"), golden.published("tiny_model")
    state = dict(file["state_dict"])
    mask = state.pop("spherical_mask.mask")
    plain = Plain(config_of(file["config"], learning_rate=2e-4), state, channels_last=channels_last)
    assert torch.equal(plain.network.mask.expand_as(mask), mask.float())
    # Rounding grows in the gradients: in float32 some are off by 3e-2 with channels side by side.
    plain.network.double()
    rows = rows_of(np.stack([arrays["batch_azimuth"], arrays["batch_elevation"]], 1))
    pictures, partners = torch.from_numpy(arrays["batch_img"]).double(), [1, 0, 3, 2]
    moving = motions(rows[partners], rows)
    with torch.no_grad():
        assert_like(plain.show(plain.infer(pictures)[partners], moving), arrays, "rendered", RENDERS)
    stored = golden.numbers["losses_by_setting_per_step"]["l1_0.05"]["total"]
    # Adam's first steps go by the signs of gradients, which rounding decides where they are tiny.
    for step, allowed in enumerate((LOSSES, LOSSES, 5e-3, 5e-3, 5e-3)):
        assert plain.step(pictures, moving) == pytest.approx(stored[step], rel=allowed)
        if step == 0:
            for key, norm in golden.numbers["grad_norms_l1_ssim005"].items():
                gradient = plain.network.get_parameter(key).grad
                assert gradient is not None
                assert float(gradient.norm()) == pytest.approx(norm, rel=GRADIENTS, abs=1e-7), key
    for key, (total, size) in golden.numbers["adam_5_steps_param_sum_abssum"].items():
        value = plain.network.get_parameter(key).detach()
        # One element that went the other way in all steps is off by 10 learning rates: two may.
        assert float(value.sum()) == pytest.approx(total, abs=1e-3 * size + 20 * 2e-4), key
        assert float(value.abs().sum()) == pytest.approx(size, abs=1e-3 * size + 20 * 2e-4), key


def test_plain_ssim_is_the_published_one(golden):
    stored = golden.numbers["loss_pairs"]
    pair = stored["view_a_vs_view_b"]
    capture = golden.collection("original", angle_unit="degrees")[pair["scene"]].open()
    a, b = (picture_tensor(capture, view) for view in pair["views"])
    assert float(ssim(a, b)) == pytest.approx(pair["ssim"], rel=1e-4)
    assert float(ssim(a, 1 - b)) == pytest.approx(stored["view_a_vs_inverted_b"]["ssim"], abs=1e-5)


def small_method(**changes) -> Enr:
    """Weights by the rule: normalisations with scales of their own too."""
    method = Enr(small_config(**changes))
    state = method.network.state_dict()
    state = {name: rule_weights(7, name, tuple(value.shape)) for name, value in state.items()}
    method.network.load_state_dict(state)
    return method


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "l2", "image_size": 32},
        {"interpolation": "nearest", "ssim_weight": 0.0},
        {"normalisation": "none", "loss": "l2"},
        {"channels_2d": (40, 72, 72), "channels_3d": (16, 32, 32, 12), "learning_rate": 1e-3},
    ],
)
def test_plain_and_enr_agree(changes, channels_last):
    method = small_method(**changes)
    plain = Plain(method.config, method.network.state_dict(), channels_last=channels_last)
    batch = enr_speed.make_batch(method.config, 6)
    with torch.no_grad():
        volumes = method.network.infer(batch.pictures)
        assert (plain.infer(batch.pictures) - volumes).abs().max() < 1e-4 * volumes.abs().max()
        partners = volumes.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
        shown = plain.show(partners, batch.motions)
        assert (shown - method.swap_and_render(batch)).abs().max() < 1e-4
    adam = method.optimisers()[0].optimiser
    loss = method(batch, Progress(0, 0.0))["loss"]
    loss.backward()
    adam.step()
    assert plain.step(batch.pictures, batch.motions) == pytest.approx(loss.item(), rel=1e-4)
    theirs = dict(plain.network.named_parameters())
    apart, rate = [], method.config.learning_rate
    for name, parameter in method.network.named_parameters():
        assert parameter.grad is not None
        flow = theirs[name].grad
        assert flow is not None
        assert (flow - parameter.grad).norm() <= 2e-2 * parameter.grad.norm() + 1e-7, name
        apart.append((theirs[name] - parameter).detach().abs().flatten())
    # The first step is a learning rate long, one way or the other where a gradient is nothing but rounding.
    assert float((torch.cat(apart) > 0.02 * rate).float().mean()) < 0.01
    assert float(torch.cat(apart).max()) < 2.1 * rate


def test_operations_are_two_for_each_multiplication():
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ConvTranspose2d(5, 2, 4, stride=2, padding=1))
    x = torch.zeros(2, 3, 8, 8)
    first, second = 2 * 2 * 8 * 8 * 3 * 5 * 9, 2 * 2 * 8 * 8 * 5 * 2 * 16
    assert LayerWork(layers, lambda: layers(x)).operations == first + second
    # The picture needs no gradient.
    assert LayerWork(layers, lambda: layers(x), backward=True).operations == 2 * first + 3 * second
    volume = nn.Conv3d(2, 3, 2)
    counted = LayerWork(volume, lambda: volume(torch.zeros(1, 2, 4, 4, 4)))
    assert counted.operations == 2 * 3**3 * 2 * 3 * 8
    assert counted.gflops(0.0) > 0


def test_the_sides_of_the_benchmark_do_the_same():
    config = small_config()
    step = enr_speed.compare_steps("small", config, rounds=1)
    assert step.difference < 1e-5
    assert step.count == 4
    views = enr_speed.compare_views("small", config, 3, rounds=1)
    assert [row.name for row in views] == ["small, 3 views", "small, 3 views, plain keeps the volume"]
    assert max(row.difference for row in views) < 1e-4
    for row in (step, *views):
        assert row.rates["per_second"] == pytest.approx(row.count / row.seconds)
        assert row.rates["ratio"] == pytest.approx(row.plain_seconds / row.seconds)
    published, kept = (row.plain_gflops * row.plain_seconds for row in views)
    assert 1.2 * kept < published < 5 * kept


def test_curves_of_equal_sides_are_equal():
    curve = measure_curve(small_config(final_rate=0.5), made_collection(3, 6), 14)
    assert len(curve.plain) == 10
    assert curve.ours == pytest.approx(curve.plain, rel=0.02)
    assert curve.plain[-1] < 0.95 * curve.plain[0]
    assert curve.lines()[-2].split()[0] == "14"


def test_the_benchmark_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(enr_speed, "convolution_gflops", lambda: 100.0)
    shape = vars(small_config())
    monkeypatch.setitem(PRESETS, "tiny", {name: shape[name] for name in shape if name != "batch_size"})
    enr_speed.main(["--preset", "tiny", "--views", "tiny", "--batch", "2", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["count"]) for row in found["rows"]] == [
        ("step of tiny, 2 pictures", 2),
        ("tiny, 1 view", 1),
        ("tiny, 1 view, plain keeps the volume", 1),
        (f"tiny, {BATCH} views", BATCH),
        (f"tiny, {BATCH} views, plain keeps the volume", BATCH),
    ]


@pytest.mark.parametrize("words", [["--curve", "3"], ["--curve", "0", "--data", "."], ["--preset", "none"]])
def test_what_cannot_be_measured_is_refused(words, capsys):
    with pytest.raises(SystemExit) as left:
        enr_speed.main(words)
    assert left.value.code == 2
    assert "error:" in capsys.readouterr().err
