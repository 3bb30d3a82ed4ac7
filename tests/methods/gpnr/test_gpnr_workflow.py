"""From folders of scenes to pictures and scores, by the commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from gpnr_cases import HEIGHT, WIDTH, plane_capture, small_config
from PIL import Image

from sightline.captures import write_capture
from sightline.cli.main import main
from sightline.kernels.parallel import torch_on_one_thread
from sightline.runs.run import Run
from sightline.runs.settings import to_plain


def call(*arguments: object) -> int:
    with torch_on_one_thread():
        return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes, of which the first is held out."""
    root = tmp_path_factory.mktemp("data") / "planes"
    root.mkdir()
    for number in range(3):
        write_capture(plane_capture(number, held_out=99), root / f"planes{number}", "llff")
    return root


@pytest.fixture(scope="module")
def run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    settings = folder / "settings.json"
    settings.write_text(json.dumps(to_plain(small_config())))
    words = ["--config", settings, "--steps", 8, "--eval-every", 4, "--holdout", 4, "--device", "cpu"]
    assert call("train", "gpnr", scenes, *words, "--out", folder / "run") == 0
    return folder / "run"


def test_training_shows_a_scene_that_is_held_out(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"train", "val"}
    assert (run / "eval" / "validation" / "00000008.png").is_file()
    record = Run.open(run).record
    assert record.data.options["format"] is None
    assert record.progress.step == 8


def test_scores_stand_beside_those_of_nearby_photos(run: Path, capsys) -> None:
    assert call("eval", run, "--json", "-", "--device", "cpu") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert [entry["object"] for entry in metrics["per_object"]] == ["planes0"]
    # Every fourth of nine views.
    assert metrics["views"] == 3
    assert set(metrics["baselines"]) == {"white", "nearest_photo", "mean_of_nearest", "warped_nearest"}
    assert metrics["baselines"]["warped_nearest"]["psnr"] > metrics["baselines"]["white"]["psnr"]


def test_the_number_of_photos_is_chosen(run: Path, capsys) -> None:
    scores = {}
    for count in (1, 2, 3):
        assert call("eval", run, "--num-sources", count, "--json", "-", "--device", "cpu") == 0
        metrics = json.loads(capsys.readouterr().out)
        assert metrics["num_sources"] == count
        assert (run / "eval" / f"test-train-nearest-{count}").is_dir()
        scores[count] = metrics["psnr"], metrics["baselines"]["mean_of_nearest"]["psnr"]
    assert len(set(scores.values())) == 3
    assert call("eval", run, "--num-sources", 0, "--device", "cpu") == 2
    assert "--num-sources" in capsys.readouterr().err


def test_a_scene_of_its_own_is_rendered_and_learnt(run: Path, scenes: Path, tmp_path: Path) -> None:
    scene = scenes / "planes1"
    out = tmp_path / "video"
    words = ["--frames", 2, "--format", "png", "--device", "cpu", "--depth", "--out", out]
    assert call("render", run, "--data", scene, *words) == 0
    frames = sorted(out.glob("*.png"))
    assert len(frames) >= 2
    assert Image.open(frames[0]).size == (WIDTH, HEIGHT)
    sheets = tmp_path / "sheets"
    words = ["--frames", 2, "--format", "png", "--device", "cpu", "--debug-views", "--out", sheets]
    assert call("render", run, "--data", scene, *words) == 0
    sheet = np.asarray(Image.open(sorted(sheets.glob("*.png"))[0]))
    assert sheet.shape[0] == HEIGHT
    # Photos, the picture, the map of photos and depth.
    left = sheet.shape[1] - 3 * WIDTH - 2 * 4
    assert left > 4
    picture = np.asarray(Image.open(frames[0]))
    assert (sheet[:, left : left + WIDTH] == picture).all()
    photos = sheet[:, left + WIDTH + 4 : left + 2 * WIDTH + 4].reshape(-1, 3)
    assert 1 <= len(np.unique(photos, axis=0)) <= 3
    tuned = tmp_path / "tuned"
    assert (
        call(
            "train", "gpnr", scene, "--init", run, "--config", run / "run.json", "--steps", 3, "--out", tuned
        )
        == 0
    )
    assert Run.open(tuned).record.progress.step == 3
    assert call("eval", tuned, "--device", "cpu") == 0


def test_two_processes_learn_together(scenes: Path, run: Path, tmp_path: Path) -> None:
    """Parameters without influence have a gradient too: processes wait for those of all."""
    words = ["--config", run.parent / "settings.json", "--steps", 3, "--eval-every", 0, "--holdout", 4]
    assert (
        call("train", "gpnr", scenes, *words, "--devices", 2, "--device", "cpu", "--out", tmp_path / "run")
        == 0
    )
    assert Run.open(tmp_path / "run").record.progress.step == 3
