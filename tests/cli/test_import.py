"""`sightline import`: from checkpoint to scores and pictures, and bad calls."""

import json
from pathlib import Path

import pytest
import torch

from published_checkpoints import make_networks, small_config, write_checkpoint, write_views
from sightline.cli.main import main
from sightline.runs.run import Run

SMALL = ["--coarse-samples", "8", "--fine-samples", "8"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint("nerf-pytorch", make_networks(small_config("nerf-pytorch")), tmp_path / "files")


def call(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_import_then_eval_and_render(checkpoint: Path, tmp_path: Path, capsys) -> None:
    data, out = write_views(tmp_path / "data"), tmp_path / "run"
    assert call("import", checkpoint, "--data", data, "--out", out, *SMALL) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert "Imported 001200.tar of nerf-pytorch" in captured.err
    assert "From the data: scene bounded, near 2, far 6, background white" in captured.err
    assert "From what was given: coarse_samples 8, fine_samples 8" in captured.err
    assert call("eval", out, "--json", "-", "--device", "cpu") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["method"], len(metrics["per_view"])) == ("nerf", 1)
    assert 0 < metrics["psnr"] < 60
    arguments = ["--path", "orbit", "--frames", "2", "--format", "png", "--device", "cpu"]
    assert call("render", out, *arguments) == 0
    assert len(list(Path(capsys.readouterr().out.strip()).glob("*.png"))) == 2


def test_an_import_without_data_is_shown_with_data(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert call("import", checkpoint, "--out", out) == 2
    assert "does not say where its scene is" in capsys.readouterr().err
    assert not out.exists()
    assert call("import", checkpoint, "--out", out, "--scene", "bounded", *SMALL) == 0
    capsys.readouterr()
    assert call("eval", out) == 2
    assert "was imported without data" in capsys.readouterr().err
    data = write_views(tmp_path / "data")
    assert call("eval", out, "--data", data, "--json", "-", "--device", "cpu") == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"
    where = ["--path", "test", "--out", tmp_path / "pictures", "--device", "cpu"]
    assert call("render", out, "--data", data, *where) == 0
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_settings_from_a_file_and_flags(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("scene: bounded\nfar: 5\nlog-spaced: false\ncoarse-samples: 9\n", encoding="utf-8")
    out = tmp_path / "run"
    flags = ["--config", file, "--coarse-samples", 7, "--disparity", "--background", "black"]
    assert call("import", checkpoint, "--out", out, "--from", "nerf-pytorch", *flags) == 0
    config = Run.open(out).config
    assert (config.far, config.log_spaced, config.coarse_samples) == (5.0, False, 7)
    assert (config.disparity, config.background) == (True, "black")
    again = tmp_path / "again"
    assert call("import", checkpoint, "--out", again, "--config", out / "run.json") == 0
    assert Run.open(again).config == config


def test_bad_calls(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    bounded = ["--out", out, "--scene", "bounded"]
    (tmp_path / "short.tar").write_bytes(checkpoint.read_bytes()[:3000])
    (tmp_path / "words.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "settings.yaml").write_text("widht: 3\n", encoding="utf-8")
    for arguments, said in [
        ([tmp_path / "none.tar"], "The file does not exist"),
        ([tmp_path / "short.tar"], "cannot be read"),
        ([tmp_path / "words.txt"], "no form that holds arrays"),
        ([checkpoint, "--from", "krrish94"], "no checkpoint of krrish94; it looks like one of nerf-pytorch"),
        ([checkpoint, "--from", "keras"], "Checkpoints of 'keras' are not read. Where: --from"),
        ([checkpoint, "--preset", "nerf_pl"], "'nerf_pl' does not go with checkpoints of nerf-pytorch"),
        ([checkpoint, "--config", tmp_path / "settings.yaml"], "did you mean 'width'"),
        ([checkpoint, "--data", tmp_path / "nowhere"], "no such folder or file"),
        ([checkpoint, "--near", "nan"], "finite number"),
        ([checkpoint, "--near", "0", "--disparity"], "inverse depth where rays begin at 0"),
        ([checkpoint, "--near", "7"], "Rays would begin at 7 and end at 6"),
    ]:
        assert call("import", *arguments, *bounded) == 2, said
        told = capsys.readouterr().err
        assert said in told
        assert "Traceback" not in told
        assert not out.exists()


def test_a_capture_from_all_around_is_no_forward_facing_one(checkpoint: Path, tmp_path: Path, capsys) -> None:
    data, out = write_views(tmp_path / "data"), tmp_path / "run"
    assert call("import", checkpoint, "--data", data, "--out", out, "--scene", "forward") == 2
    told = capsys.readouterr().err
    assert "look sideways or backwards" in told
    assert "--scene surround" in told
    assert not out.exists()


def test_damaged_tensors_are_listed_together_and_nothing_is_left(tmp_path: Path, capsys) -> None:
    def damage(content: dict) -> dict:
        tensors = content["state_dict"]
        del tensors["nerf_fine.sigma.weight"]
        tensors["nerf_coarse.rgb.0.bias"] = torch.zeros(7)
        tensors["nerf_coarse.extra.weight"] = torch.zeros(2, 2)
        tensors["nerf_fine.rgb.0.bias"][0] = torch.nan
        return content

    networks = make_networks(small_config("nerf_pl"))
    file = write_checkpoint("nerf_pl", networks, tmp_path / "files", damage)
    assert call("import", file, "--out", tmp_path / "run", "--scene", "bounded") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "missing: nerf_fine.sigma.weight" in told
    assert "not known: nerf_coarse.extra.weight" in told
    assert "nerf_coarse.rgb.0.bias (7,) instead of (3,)" in told
    assert "not finite: nerf_fine.rgb.0.bias" in told
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_overwritten(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert call("import", checkpoint, "--out", out, "--scene", "bounded") == 0
    before = (out / "weights.safetensors").read_bytes()
    assert call("import", checkpoint, "--out", out, "--scene", "bounded") == 2
    assert "exists already" in capsys.readouterr().err
    assert (out / "weights.safetensors").read_bytes() == before


def test_help_names_the_programs(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        call("import", "--help")
    assert end.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for name in ("nerf_pl", "nerf-pytorch", "bmild", "flax_nerf", "krrish94"):
        assert name in told
