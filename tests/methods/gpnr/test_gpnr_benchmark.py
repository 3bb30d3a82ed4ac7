"""The plain implementation that `gpnr` is measured against, and the benchmark that measures it."""

import json

import numpy as np
import pytest
import torch
from benchmarks import gpnr_speed
from benchmarks.layer_work import LayerWork
from benchmarks.plain_gpnr import Batch, Plain, plain_state
from gpnr_cases import plane_collection, small_config
from gpnr_golden import arrays, assert_probed, facts, folder, golden_rays, rule_network

from sightline.importers.gpnr import published_name
from sightline.methods.gpnr.config import PRESETS, GpnrConfig


def plain_of(shared, name: str) -> Plain:
    network = rule_network(shared, name)
    state = network.state_dict()
    return Plain(network.config, plain_state({own: published_name(own) for own in state}, state))


def batch_of(shared) -> Batch:
    rays, cameras, pictures = golden_rays(shared)
    file = arrays(folder(shared) / "model_batch.npz")
    last = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(len(pictures), 1, 4)
    return Batch(
        rays.origins,
        rays.directions,
        torch.from_numpy(file["target_worldtocam"][0]),
        torch.cat([cameras.c2w, last], 1),
        cameras.intrinsics[0],
        torch.stack(pictures).permute(0, 3, 1, 2) / 255,
        rays.near,
        rays.far,
    )


@pytest.mark.parametrize("name", ["reduced", "variant", pytest.param("readme_sharp", marks=pytest.mark.slow)])
@torch.no_grad()
def test_plain_colours_are_the_published_ones(shared, name):
    file = arrays(folder(shared) / f"model_{name}.npz")
    rgb, mixed = plain_of(shared, name).network(batch_of(shared))
    for found, key in ((rgb, "rgb"), (mixed, "rgb_coarse")):
        torch.testing.assert_close(found, torch.from_numpy(file[key]), rtol=0, atol=5e-5)


@torch.no_grad()
def test_plain_layers_are_the_published_ones(shared):
    file = arrays(folder(shared) / "model_reduced.npz")
    plain = plain_of(shared, "reduced")
    found: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: found.setdefault(name, output)

    for name, module in plain.network.named_modules():
        module.register_forward_hook(keep(name.replace(".", "/")))
    plain.network(batch_of(shared))
    compared = 0
    for name, output in found.items():
        if f"{name}_shape" in file and "/" in name:
            assert_probed(output, file, name, 2e-4)
            compared += 1
    assert compared >= 12


def test_plain_training_is_the_published_one(shared):
    plain, history = plain_of(shared, "reduced"), facts(shared)["training_reduced"]["history"]
    colours = torch.from_numpy(arrays(folder(shared) / "model_batch.npz")["target_rgb"].astype(np.float32))
    for step, line in enumerate(history):
        for group in plain.optimiser.param_groups:
            group["lr"] = 3e-4 * (step / 2 if step < 2 else (10 - step) / 8)
        loss = plain.step(batch_of(shared), colours / 255)
        assert loss == pytest.approx(line["loss"] + line["loss_c"], rel=1e-4)


def tiny(**changes) -> GpnrConfig:
    return small_config(faithful=True, spacing="distance", pixel_centre=0.0, **changes)


def test_the_sides_of_the_benchmark_do_the_same(monkeypatch):
    monkeypatch.setattr(LayerWork, "gflops", lambda _: 100.0)
    picture = gpnr_speed.compare_rendering("tiny", tiny(), 20, rounds=1)
    step = gpnr_speed.compare_steps("tiny", tiny(), rounds=1)
    assert (picture.count, step.count) == (20, 96)
    for row in (picture, step):
        assert row.difference < 1e-4
        assert row.rates["ratio"] == pytest.approx(row.plain_seconds / row.seconds)


def test_curves_of_equal_sides_are_equal():
    curve = gpnr_speed.measure_curve(tiny(warm_up=2), plane_collection(), 12)
    assert len(curve.plain) == 10
    assert curve.ours == pytest.approx(curve.plain, rel=0.02)
    assert curve.plain[-1] < 0.95 * curve.plain[0]


def test_the_benchmark_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(LayerWork, "gflops", lambda _: 100.0)
    monkeypatch.setitem(PRESETS, "tiny", vars(tiny()))
    gpnr_speed.main(["--preset", "tiny", "--step", "tiny", "--rays", "9", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["count"]) for row in found["rows"]] == [
        ("tiny, rendering", 9),
        ("step of tiny", 96),
    ]
    with pytest.raises(SystemExit):
        gpnr_speed.main(["--curve", "3"])
    assert "--data FOLDER" in capsys.readouterr().err
