import json
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.cli.main import main
from sightline.workflows.api import load


@pytest.fixture
def trained(wave, data: Path, tmp_path: Path, capsys) -> Path:
    out = tmp_path / "run"
    assert main(["train", "wave", str(data), "--out", str(out), "--steps", "30", "--device", "cpu"]) == 0
    capsys.readouterr()
    return out


def test_report_prints_the_path_alone_on_stdout(trained: Path, capsys) -> None:
    assert main(["report", str(trained), "--views", "1", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{trained / 'report.html'}\n"
    assert "Wrote a page" in captured.err
    assert (trained / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_as_json(trained: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "pages" / "one.html"
    assert main(["report", str(trained), "--out", str(page), "--no-pictures", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == page.as_posix()
    assert found["bytes"] == page.stat().st_size
    (run,) = found["runs"]
    assert (run["method"], run["status"], run["views"], run["evaluations"]) == ("wave", "finished", [], [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "There is no such run folder"),
        (["."], "This is not a run folder"),
        ([], "No run is given"),
        (["run", "--views", "-1"], "fewer than no views"),
        (["run", "run"], "given twice"),
        (["run", "--out", "."], "this is a folder"),
    ],
)
def test_wrong_calls_end_with_2(trained: Path, monkeypatch, capsys, arguments, told) -> None:
    monkeypatch.chdir(trained.parent)
    assert main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_report_from_python(trained: Path, tmp_path: Path) -> None:
    page = load(trained, device="cpu").report(out=tmp_path / "page.html", views=1)
    assert page == tmp_path / "page.html"
    assert "test/r_0.png: truth" in page.read_text(encoding="utf-8")


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from sightline.cli.main import main; main(['report', '--help'])"
    heavy = "print([n for n in ('torch', 'numba', 'matplotlib') if n in sys.modules], file=sys.stderr)"
    script = f"import sys\ntry:\n    exec({code!r})\nexcept SystemExit:\n    pass\n{heavy}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--no-pictures" in done.stdout
    assert "--no-render" in done.stdout
    assert done.stderr.strip() == "[]"
