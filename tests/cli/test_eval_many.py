"""`sightline eval` and `sightline render` on a collection, from arguments to files."""

import json
from pathlib import Path

import pytest

from many_objects import ball_data, warp
from sightline.cli.main import main

__all__ = ["ball_data", "warp"]


@pytest.fixture
def run(warp, ball_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "run"
    call = ["train", "warp", str(ball_data), "--out", str(out), "--steps", "3", "--eval-every", "0"]
    assert main([*call, "--device", "cpu"]) == 0
    capsys.readouterr()
    return out


def test_a_table_of_objects_and_baselines(run: Path, tmp_path: Path, capsys) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"ball test_{k} {k} {k + 4}\n" for k in range(3)), encoding="utf-8")
    call = ["eval", str(run), "--device", "cpu", "--protocol", "pixelnerf", "--source-list", str(listing)]
    assert main([*call, "--every", "2", "--json", str(tmp_path / "found.json")]) == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    for entry in found["per_object"]:
        assert rows[entry["object"]][1:4] == ["3", f"{entry['psnr']:.2f}", f"{entry['ssim']:.4f}"]
    for name, scores in found["baselines"].items():
        assert rows[f"({name})"][2] == f"{scores['psnr']:.2f}"
    assert rows["mean"][1:3] == ["9", f"{found['psnr']:.2f}"]
    folder = run / "eval" / "test-list-list-every-2-pixelnerf"
    assert shown.rstrip().endswith(str(folder))
    assert json.loads((folder / "metrics.json").read_text()) == found
    summary = (folder / "pixelnerf" / "all_metrics.txt").read_text()
    assert summary == f" psnr: {found['psnr']:.6f} ssim: {found['ssim']:.6f}"
    assert [view["sources"] for view in found["per_view"][::3]] == [[0, 4], [1, 5], [2, 6]]


def test_objects_sources_and_json_on_stdout(run: Path, capsys) -> None:
    call = ["eval", str(run), "--device", "cpu", "--objects", "test_2, test_0", "--sources", "3", "--approx"]
    assert main([*call, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["object"] for entry in found["per_object"]] == ["test_2", "test_0"]
    assert [entry["views"] for entry in found["per_object"]] == [1, 1]
    assert found["approximate"] is True


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--sources", "99"], "has no view '99'"),
        (["--source-list", "absent.txt"], "absent.txt"),
        (["--objects", "nobody"], "no object 'nobody'"),
        (["--sources", "1", "--num-sources", "2"], "in several ways"),
        (["--downscale", "0.5", "--data", "absent"], "absent"),
    ],
)
def test_wrong_input_is_one_paragraph_and_exit_code_2(run: Path, capsys, flags: list[str], said: str) -> None:
    assert main(["eval", str(run), "--device", "cpu", *flags]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert not (run / "eval").exists()


def test_pictures_and_scenes_have_no_source_views(run: Path, ball_data: Path, tmp_path: Path, capsys) -> None:
    call = ["eval", "--images", str(tmp_path), "--data", str(ball_data / "test" / "test_0")]
    assert main([*call, "--sources", "1"]) == 2
    assert "no source views" in capsys.readouterr().err


def test_render_an_object(run: Path, capsys) -> None:
    call = ["render", str(run), "--device", "cpu", "--object", "train_1", "--sources", "2,5", "--debug-views"]
    assert main([*call, "--frames", "2", "--size", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Path(found["path"]) == run / "renders" / "train_1-orbit.mp4"
    assert found["frames"] == 2
