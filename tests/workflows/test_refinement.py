"""Runs that learn of their photos too: what is in the folder, what evaluation says, going on."""

import csv
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch

import sightline
from sightline.captures import Capture, open_capture
from sightline.evaluation.tables import result_tables
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.methods.ngp.method import Ngp
from sightline.runs.run import Run
from sightline.runs.weights import read_weights

SMALL = {
    "levels": 3, "log2_entries": 10, "coarsest": 8, "finest": 32, "hidden": 16, "grid": 16,
    "bins_per_box": 32, "batch_samples": 1024, "refresh_cells": 512, "device": "cpu", "eval_every": 0,
}  # fmt: skip
BOTH = {"refine": "exposure,poses", "pose_from": 0.1}


@pytest.fixture
def run(data: Path, tmp_path: Path):
    return sightline.train("ngp", data, out=tmp_path / "run", steps=16, **SMALL, **BOTH)


def test_scores_with_a_fit_stand_beside_those_without(run) -> None:
    metrics = run.evaluate()
    assert metrics["fitted"] == ["exposure"]
    assert metrics["views"] == 2
    for scores in (metrics, *metrics["per_view"]):
        # Gains of least squares can only help, but for the rounding to 8 bits.
        assert scores["psnr_fitted"] > scores["psnr"] - 0.05
    means = [sum(view[key] for view in metrics["per_view"]) / 2 for key in ("psnr", "psnr_fitted")]
    assert [metrics["psnr"], metrics["psnr_fitted"]] == pytest.approx(means)
    assert json.loads((run.path / "eval" / "test" / "metrics.json").read_text())["fitted"] == ["exposure"]
    (table,) = result_tables(metrics)
    assert "PSNR, exposure fitted" in [column.name for column in table.columns]
    with open(run.path / "eval" / "test" / "per_view.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [float(row["psnr_fitted"]) for row in rows]
    assert found == [view["psnr_fitted"] for view in metrics["per_view"]]


def test_refined_cameras_are_written_and_given_ones_kept(run, data: Path) -> None:
    document = json.loads((run.path / "refined_cameras.json").read_text())
    capture = open_capture(data)
    assert isinstance(capture, Capture)
    given = capture.cameras[list(run.capture.splits["train"])]
    assert document["indices"] == list(run.capture.splits["train"])
    assert document["names"] == [run.capture.image_names[k] for k in document["indices"]]
    assert document["step"] == 16
    refined = Cameras.from_json(document["cameras"])
    assert torch.equal(refined.c2w, run.refined_cameras().c2w)
    assert torch.equal(run.capture.cameras[document["indices"]].c2w, given.c2w)
    moved = (refined.c2w - given.c2w).abs().amax()
    assert 1e-6 < float(moved) < 0.1
    torch.testing.assert_close(refined.centres.mean(0), given.centres.mean(0), atol=1e-4, rtol=0)


def test_other_commands_need_nothing_more(run, tmp_path: Path) -> None:
    (picture,) = sightline.load(run.path).render(run.cameras("test")[[0]])
    assert picture.rgb.shape == (8, 8, 3)
    exported = run.export("weights", out=tmp_path / "scene.safetensors")
    assert exported is not None
    again = sightline.load(tmp_path / "scene.safetensors")
    assert torch.equal(again.render(run.cameras("test")[[0]])[0].rgb, picture.rgb)
    assert torch.equal(again.refined_cameras().c2w, run.refined_cameras().c2w)


def test_runs_without_it_say_nothing_of_it(data: Path, tmp_path: Path) -> None:
    run = sightline.train("ngp", data, out=tmp_path / "run", steps=2, **SMALL)
    metrics = run.evaluate()
    assert not [key for key in metrics if "fitted" in key]
    assert not (run.path / "refined_cameras.json").exists()
    with pytest.raises(InputError, match="as they were given"):
        run.refined_cameras()
    with pytest.raises(InputError, match="'focus'"):
        sightline.train("ngp", data, out=tmp_path / "other", steps=2, refine="focus", **SMALL)
    # Its weights are those to begin with for a run that refines: what is new begins as the identity.
    refined = sightline.train("ngp", data, out=tmp_path / "more", steps=2, init=run.path, **SMALL, **BOTH)
    assert math.isfinite(refined.evaluate()["psnr_fitted"])


def test_a_stopped_training_goes_on_to_the_identical_result(
    data: Path, tmp_path: Path, monkeypatch, run
) -> None:
    after = Ngp.after_step

    def stop(self, progress):
        if progress.step == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return after(self, progress)

    monkeypatch.setattr(Ngp, "after_step", stop)
    out = tmp_path / "stopped"
    sightline.train("ngp", data, out=out, steps=16, **SMALL, **BOTH)
    assert Run.open(out).record.progress.step == 9
    monkeypatch.setattr(Ngp, "after_step", after)
    resumed = sightline.train("ngp", data, out=out, steps=16, resume=True)
    ours, theirs = (read_weights(found.folder.weights_path) for found in (resumed, run))
    assert ours.keys() == theirs.keys()
    assert {"refinement.gains", "refinement.turns", "refinement.shifts"} < ours.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.slow  # two processes that import everything: 15 s
def test_two_processes_average_the_gradients(data: Path, tmp_path: Path) -> None:
    run = sightline.train("ngp", data, out=tmp_path / "two", steps=16, devices=2, **SMALL, **BOTH)
    weights = read_weights(run.folder.weights_path)
    for name in ("gains", "turns", "shifts"):
        assert 1e-6 < float(weights[f"refinement.{name}"].abs().max()) < 0.1
    assert (run.path / "refined_cameras.json").exists()
