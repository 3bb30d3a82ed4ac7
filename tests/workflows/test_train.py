"""The Python interface of training, and where runs go."""

from pathlib import Path

import pytest

import sightline
from sightline.foundation.errors import InputError
from sightline.runs.run import Run
from sightline.workflows.evaluate import evaluate_run, result_name
from sightline.workflows.options import TrainOptions, read_layers, with_budget
from sightline.workflows.train import default_folder
from small_method import INFO, WaveConfig


def test_train_and_evaluate_from_python(wave, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    run = sightline.train("wave", data, out=tmp_path / "run", steps=30, preset="fast", rays=32, device="cpu")
    assert run.config == WaveConfig(rays=32, learning_rate=0.2)
    assert Run.open(run.path).record.progress.finished
    metrics = run.evaluate()
    assert metrics["views"] == 2
    # It has one way to place samples.
    assert "sampler" not in metrics
    assert metrics["psnr"] == evaluate_run(run.path, data=data, device="cpu").metrics["psnr"]
    again = sightline.train("wave", data, out=run.path, steps=35, resume=True)
    assert again.folder.record.progress.step == 35
    with pytest.raises(InputError, match="'beams'"):
        sightline.train("wave", data, beams=4)


def test_a_call_can_be_made_again_when_its_input_is_put_right(wave, data: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "run", data / "train" / "r_3.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"decoded.*r_3\.png"):
        sightline.train("wave", data, out=out, steps=5, device="cpu")
    assert not out.exists()
    picture.write_bytes(whole)
    assert sightline.train("wave", data, out=out, steps=5, device="cpu").folder.record.progress.step == 5
    # What was trained is never removed.
    picture.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"r_3\.png"):
        sightline.train("wave", data, out=out, steps=9, resume=True, device="cpu")
    assert Run.open(out).read_training_state() is not None
    picture.write_bytes(whole)
    assert sightline.train("wave", data, out=out, steps=9, resume=True).folder.record.progress.step == 9


def test_a_downscaled_evaluation_renders_smaller(wave, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    run = sightline.train("wave", data, out=tmp_path / "run", steps=3, device="cpu")
    evaluation = evaluate_run(run.path, downscale=2, every=2)
    assert evaluation.folder is not None
    assert evaluation.folder.name == "test-every-2-downscale-2"
    assert (evaluation.metrics["downscale"], evaluation.metrics["every"]) == (2.0, 2)
    assert evaluation.metrics["weights"] == "latest"
    from sightline.media.images import read_image

    assert read_image(evaluation.folder / "images" / "r_0.png").shape == (4, 4, 3)


def test_names_of_folders(tmp_path: Path) -> None:
    (tmp_path / "fox").mkdir()
    (tmp_path / "fox" / "transforms.json").touch()
    assert default_folder(tmp_path / "fox", "ngp") == Path("runs/fox-ngp")
    assert default_folder(tmp_path / "fox" / "transforms.json", "ngp") == Path("runs/fox-ngp")
    assert result_name("test") == "test"
    assert result_name("val", 3, "nerf_pl", True) == "val-every-3-best-nerf_pl"


def test_the_budget_is_the_methods_where_none_is_given() -> None:
    assert with_budget(TrainOptions(), INFO).steps == 20
    assert with_budget(TrainOptions(minutes=2), INFO).steps is None
    plain = type(INFO)(**{**vars(INFO), "default_steps": None})
    assert with_budget(TrainOptions(), plain).minutes == 1.0


def test_layers_without_a_file_are_defaults_and_preset(wave) -> None:
    assert read_layers(INFO).config == WaveConfig()
    assert read_layers(INFO, preset="fast").config == WaveConfig(learning_rate=0.2)
    assert read_layers(INFO, preset="fast").options == TrainOptions(preset="fast")


def test_a_run_can_be_moved_and_its_data_given(wave, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    run = sightline.train("wave", data, out=tmp_path / "run", steps=3, device="cpu")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    moved = run.path.rename(tmp_path / "deep" / "er" / "run")
    with pytest.raises(InputError, match="--data"):
        evaluate_run(moved)
    assert evaluate_run(moved, data=data).metrics["views"] == 2
    resumed = sightline.train("wave", data, out=moved, steps=5, resume=True)
    assert resumed.folder.record.progress.step == 5
    assert evaluate_run(moved).metrics["views"] == 2


def test_no_flag_of_a_method_hides_a_shared_one() -> None:
    from dataclasses import fields

    from sightline.methods.registry import list_methods

    shared = {field.name for field in fields(TrainOptions)} | {"data", "json", "debug"}
    for info in list_methods():
        own = {field.name for field in fields(info.config_class())}
        assert not own & shared, info.name
