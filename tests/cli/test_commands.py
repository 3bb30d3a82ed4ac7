"""Commands from arguments to files, with the small method."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sightline.cli import train as train_command
from sightline.cli.main import main
from sightline.methods.registry import get_method_info
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings


@pytest.fixture
def trained(wave, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "run"
    assert main(["train", "wave", str(data), "--out", str(out), "--steps", "30", "--device", "cpu"]) == 0
    capsys.readouterr()
    return out


def test_train_prints_the_run_folder_alone_on_stdout(wave, data: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["train", "wave", str(data), "--out", str(out), "--steps", "12"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert "Trained 12 steps" in captured.err
    assert Run.open(out).record.progress.step == 12


def test_train_without_a_budget_takes_the_methods_default(
    wave, data: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "wave", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == "runs/data-wave"
    assert (found["ending"], found["step"]) == ("finished", 20)


def test_settings_come_from_defaults_preset_file_and_flags(wave, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("preset: fast\nrays: 32\nhidden: 4\nseed: 5\nlog-every: 3\nsteps: 7\n", encoding="utf-8")
    out = tmp_path / "run"
    call = ["train", "wave", str(data), "--out", str(out), "--config", str(file), "--hidden", "6"]
    assert main([*call, "--seed", "9"]) == 0
    run = Run.open(out)
    assert run.record.preset == "fast"
    assert run.config.learning_rate == 0.2
    assert (run.config.rays, run.config.hidden) == (32, 6)
    assert (run.record.seed, run.record.training["log_every"], run.record.progress.step) == (9, 3, 7)
    again = tmp_path / "again"
    assert main(["train", "wave", str(data), "--out", str(again), "--config", str(out / "run.json")]) == 0
    assert Run.open(again).config == run.config
    assert Run.open(again).record.progress.step == 7
    assert load_file(again / "weights.safetensors")["colours"].equal(
        load_file(out / "weights.safetensors")["colours"]
    )
    third = tmp_path / "third"
    assert (
        main(["train", "wave", str(data), "--out", str(third), "--config", str(file), "--minutes", "0.002"])
        == 0
    )
    assert Run.open(third).record.training["steps"] is None


def test_unknown_settings_in_a_file_are_named(wave, data: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("rayz: 32\nseed: 5\nzebra: 1\n", encoding="utf-8")
    assert main(["train", "wave", str(data), "--config", str(file)]) == 2
    err = capsys.readouterr().err
    assert "'rayz' (did you mean 'rays'?)" in err
    assert "'zebra'" in err
    assert "settings.yaml" in err
    file.write_text("rays: [1\n", encoding="utf-8")
    assert main(["train", "wave", str(data), "--config", str(file)]) == 2
    assert "settings.yaml, line 2" in capsys.readouterr().err
    file.write_text("method: nerf\n", encoding="utf-8")
    assert main(["train", "wave", str(data), "--config", str(file)]) == 2
    assert "'nerf', not wave" in capsys.readouterr().err


def test_bad_calls_of_train(wave, data: Path, tmp_path: Path, capsys) -> None:
    for arguments, said in [
        (["nothing", str(data)], "There is no method 'nothing'"),
        (["wave", str(tmp_path / "absent")], "There is no such data"),
        (["wave", str(data), "--preset", "slow"], "wave has no preset 'slow'"),
        (["wave", str(data), "--steps", "3", "--minutes", "1"], "Both a time and a number of steps"),
        (["wave", str(data), "--steps", "0"], "above 0, not 0. Where: --steps"),
        (["wave", str(data), "--minutes", "nan"], "above 0, not nan. Where: --minutes"),
        (["wave", str(data), "--learning-rate", "nan"], "finite number, not nan. Where: --learning-rate"),
        (["wave", str(data), "--downscale", "inf"], "finite number, not inf. Where: --downscale"),
    ]:
        assert main(["train", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_an_existing_run_is_refused_then_resumed_then_finished(trained: Path, data: Path, capsys) -> None:
    call = ["train", "wave", str(data), "--out", str(trained)]
    assert main([*call, "--steps", "30"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*call, "--resume"]) == 0
    assert "is finished: 30 steps" in capsys.readouterr().err
    assert main([*call, "--resume", "--hidden", "3"]) == 2
    assert "these differ: --hidden" in capsys.readouterr().err
    assert main([*call, "--resume", "--steps", "45"]) == 0
    assert Run.open(trained).record.progress.step == 45


def test_resume_starts_a_run_that_does_not_exist(wave, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    assert main(["train", "wave", str(data), "--out", str(out), "--steps", "5", "--resume"]) == 0
    assert Run.open(out).record.progress.step == 5


def test_switches_of_a_run_may_be_given_again(wave, data: Path, tmp_path: Path, capsys) -> None:
    call = ["train", "wave", str(data), "--out", str(tmp_path / "new"), "--steps", "5", "--strict"]
    assert main(call) == 0
    assert main([*call, "--resume"]) == 0
    assert "is finished: 5 steps" in capsys.readouterr().err
    settings = tmp_path / "settings.json"
    settings.write_text('{"mirror": true}')
    for words, mirrored in (([], True), (["--mirror"], True), (["--no-mirror"], False)):
        parsed = train_command._parse(get_method_info("enr"), ["data", "--config", str(settings), *words])
        assert parsed.method.mirror is mirrored


def test_eval_prints_a_table_and_writes_results(trained: Path, tmp_path: Path, capsys) -> None:
    assert main(["eval", str(trained), "--json", str(tmp_path / "scores.json")]) == 0
    out = capsys.readouterr().out
    assert "test/r_0.png" in out
    found = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert found == json.loads((trained / "eval" / "test" / "metrics.json").read_text(encoding="utf-8"))
    assert found["views"] == 2
    assert found["lpips"] is None
    assert found["lpips_reason"]
    assert main(["eval", str(trained), "--split", "val", "--every", "2", "--best", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["views"] == 1
    assert (trained / "eval" / "val-every-2-best" / "metrics.json").is_file()


def test_eval_of_rendered_pictures_agrees_with_eval_of_the_run(trained: Path, data: Path, capsys) -> None:
    assert main(["eval", str(trained), "--json", "-"]) == 0
    of_run = json.loads(capsys.readouterr().out)
    assert main(["render", str(trained), "--path", "test"]) == 0
    pictures = capsys.readouterr().out.strip()
    assert main(["eval", "--images", pictures, "--data", str(data), "--json", "-"]) == 0
    of_pictures = json.loads(capsys.readouterr().out)
    assert of_pictures["psnr"] == pytest.approx(of_run["psnr"], abs=1e-6)
    assert of_pictures["matched_by"] == "name"


def test_bad_calls_of_eval(trained: Path, data: Path, tmp_path: Path, capsys) -> None:
    for arguments, said in [
        ([], "Give a run folder, or --images"),
        ([str(trained), "--images", str(tmp_path)], "What to score is not clear"),
        (["--images", str(tmp_path)], "Give it with --data"),
        ([str(trained), "--split", "night"], "no views in the split 'night'"),
        ([str(trained), "--holdout", "3"], "go with --data only"),
        ([str(trained), "--protocol", "unheard"], "There is no protocol 'unheard'"),
        ([str(tmp_path / "absent")], "no such run folder"),
    ]:
        assert main(["eval", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_split_rules_go_through_training_and_scoring(data: Path, tmp_path: Path, wave, capsys) -> None:
    run = tmp_path / "ruled"
    call = ["train", "wave", str(data), "--out", str(run), "--steps", "3", "--device", "cpu"]
    assert main([*call, "--split-rule", "llffhold4", "--resize-rule", "lanczos"]) == 0
    recorded = json.loads((run / "run.json").read_text(encoding="utf-8"))["data"]
    assert (recorded["split_rule"], recorded["resize_rule"]) == ("llffhold4", "lanczos")
    splits = json.loads((run / "capture.json").read_text(encoding="utf-8"))["splits"]
    # Views 0, 4, 8 and 12 by name, of 13; they validate and test.
    assert len(splits["test"]) == 4
    assert splits["val"] == splits["test"]
    capsys.readouterr()
    assert main(["eval", str(run), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["views"] == 4
    # Another rule needs the data on the command line, warns of training views, and has a place of its own.
    other = [
        "eval",
        str(run),
        "--data",
        str(data),
        "--split-rule",
        "holdout",
        "--holdout",
        "2",
        "--json",
        "-",
    ]
    assert main(other) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["views"] == 7
    assert "split in another way" in captured.err
    assert (run / "eval" / "test-holdout-2" / "metrics.json").is_file()
    assert main(["eval", str(run), "--data", str(data), "--split-rule", "llffhold4", "--json", "-"]) == 0
    assert "split in another way" not in capsys.readouterr().err
    for command in (["train", "wave", str(data)], ["data", "inspect", str(data)]):
        assert main([*command, "--split-rule", "paper"]) == 2
        assert "llffholdN" in capsys.readouterr().err


def test_data_inspect_tells_and_draws(data: Path, tmp_path: Path, capsys) -> None:
    picture = tmp_path / "cameras.png"
    assert main(["data", "inspect", str(data), "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "13: 9 train, 2 val, 2 test" in out
    assert picture.is_file()
    assert main(["data", "inspect", str(data), "--picture", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["views"], found["format"]) == (13, "blender")


def test_data_convert_writes_a_folder_that_reads_the_same(data: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "converted"
    assert main(["data", "convert", str(data), "--to", "transforms", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert main(["data", "inspect", str(out), "--picture", str(tmp_path / "c.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["views"] == 13
    assert main(["data", "convert", str(data), "--to", "paper", "--out", str(tmp_path / "x")]) == 2


def test_doctor_tells_what_there_is(capsys) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["torch"]
    assert int(found["machine"]["cores"].split()[0]) >= 1
    assert {"kernels", "programs", "extras", "weights", "missing"} <= set(found)
    assert main(["doctor"]) == 0
    assert "missing" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
def test_a_stopped_process_saves_exits_0_and_goes_on_identically(
    make_run, installed_wave, data: Path, tmp_path: Path
) -> None:
    steps, out = 2000, tmp_path / "stopped"
    call = [sys.executable, "-m", "sightline", "train", "wave", str(data), "--out", str(out)]
    process = subprocess.Popen(
        [*call, "--steps", str(steps), "--device", "cpu", "--log-every", "5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    log, started = out / "metrics.jsonl", time.monotonic()
    while not (log.is_file() and log.stat().st_size) and time.monotonic() - started < 60:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert stdout == f"{out}\n"
    assert "--resume" in stderr
    progress = Run.open(out).record.progress
    assert 5 <= progress.step < steps
    assert not progress.finished
    settings = TrainSettings(steps=steps, device="cpu", eval_every=0)
    assert train_run(TrainOrder(out, settings)).step == steps
    straight = make_run("straight")
    train_run(TrainOrder(straight.path, settings))
    resumed, expected = load_file(out / "weights.safetensors"), load_file(straight.weights_path)
    assert all(resumed[key].equal(expected[key]) for key in expected)
