"""`nerf` through training, run folder, resuming, evaluation and rendering, as the command line calls them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerf_cases import SMALL, ball_capture
from safetensors.torch import load_file

from sightline.captures import write_capture
from sightline.cli.main import main
from sightline.evaluation.protocols import SIGHTLINE
from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.runs.run import Run
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.options import TrainOptions
from sightline.workflows.render import render_run
from sightline.workflows.train import train_method


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "ball"
    write_capture(ball_capture(12, 12), folder, "blender")
    return folder


def config(**changes: Any) -> NerfConfig:
    return INFO.build_config(
        "nerf_pl", **{**SMALL, "rays": 32, "coarse_samples": 8, "fine_samples": 8, **changes}
    )


def train(data: Path, out: Path, steps: int, **options: Any) -> Run:
    settings = TrainOptions(out=out, steps=steps, device="cpu", eval_every=0, **options)
    return train_method("nerf", data, config(), settings).run


def test_stopping_and_resuming_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    whole = train(data, tmp_path / "whole", 6)
    part = train(data, tmp_path / "part", 3)
    assert part.record.progress.step == 3
    part = train(data, tmp_path / "part", 6, resume=True)
    first, second = (load_file(run.weights_path) for run in (whole, part))
    assert set(first) == {
        f"networks.{net}.{layer}.{kind}"
        for net in ("coarse", "fine")
        for layer in ("trunk.0", "trunk.1", "trunk.2", "density", "feature", "view", "colour")
        for kind in ("weight", "bias")
    }
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_run_is_evaluated_and_rendered(data: Path, tmp_path: Path) -> None:
    run = train(data, tmp_path / "run", 2)
    result = evaluate_run(run, protocol=SIGHTLINE.name, device="cpu")
    assert result is not None
    rendered = render_run(run, path="orbit", frames=2, size="8x6", format="png", depth=True, device="cpu")
    assert rendered.frames == 2
    assert len(list(rendered.path.glob("*.png"))) == 2


def test_the_command_line_trains_and_refuses(data: Path, tmp_path: Path, capsys: Any) -> None:
    flags = "--preset tiny --steps 1 --device cpu --eval-every 0 --coarse-samples 4 --depth 6 --width 8"
    assert main(["train", "nerf", str(data), "--out", str(tmp_path / "run"), *flags.split()]) == 0
    run = Run.open(tmp_path / "run")
    assert (run.config.width, run.config.skip_input, run.record.preset) == (8, "raw", "tiny")
    shape = load_file(run.weights_path)["networks.coarse.trunk.5.weight"].shape
    assert tuple(shape) == (8, 8 + 3)
    capsys.readouterr()
    refused = ["train", "nerf", str(data), "--out", str(tmp_path / "other"), "--skip-layers", "20"]
    assert main([*refused, "--steps", "1"]) == 2
    assert "layer 20 of 8" in capsys.readouterr().err


def test_a_picture_is_that_of_the_run(data: Path, tmp_path: Path) -> None:
    run = train(data, tmp_path / "run", 2)
    method = run.load_method()
    camera = run.capture_info().as_capture().cameras[0]
    first, second = (method.render(method.encode(), camera).rgb.numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
