"""`sightline data make` from arguments to folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightline.captures import Collection, open_capture
from sightline.cli.main import main

TINY = ["--size", "16", "--samples", "1", "--workers", "0"]


def test_help_says_what_can_be_made(capsys):
    assert main(["data", "make"]) == 0
    assert "multi-object" in capsys.readouterr().out
    assert main(["data", "make", "elephants"]) == 2
    captured = capsys.readouterr()
    assert "'elephants'" in captured.err
    assert captured.out == ""


def test_objects_are_made_and_their_folder_is_printed(tmp_path, capsys):
    out = tmp_path / "set"
    call = ["data", "make", "objects", "--out", str(out), "--layout", "srn", "--categories", "lamps, vases"]
    numbers = [
        "--objects",
        "2",
        "--val-objects",
        "0",
        "--test-objects",
        "1",
        "--views",
        "2",
        "--test-views",
        "2",
    ]
    assert main([*call, *numbers, *TINY]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert "Rendering 6 views" in captured.err
    assert sorted(path.name for path in out.iterdir()) == [
        *("lamps_test", "lamps_train", "synthesis.json", "vases_train")
    ]
    assert json.loads((out / "synthesis.json").read_text())["categories"] == ["lamps", "vases"]
    # Again with the same settings there is nothing to do.
    before = (out / "synthesis.json").stat().st_mtime_ns
    assert main([*call, *numbers, *TINY]) == 0
    assert (out / "synthesis.json").stat().st_mtime_ns == before


def test_scenes_are_made(tmp_path, capsys):
    out = tmp_path / "room"
    assert main(["data", "make", "scene", "--out", str(out), "--layout", "llff", "--views", "3", *TINY]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    capture = open_capture(out)
    assert not isinstance(capture, Collection)
    assert (capture.format, len(capture)) == ("llff", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["objects", "--views", "0"], "--views is 0"),
        (["objects", "--categories", "dogs"], "no category 'dogs'"),
        (["objects", "--meshes", "nowhere"], "folder of meshes does not exist"),
        (["scene", "--scenes", "0"], "--scenes is 0"),
    ],
)
def test_wrong_calls_end_with_2(tmp_path, capsys, arguments, message):
    assert main(["data", "make", *arguments, "--out", str(tmp_path / "set")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "set").exists()


def test_unknown_layouts_are_refused_by_the_parser(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["data", "make", "objects", "--out", str(tmp_path / "set"), "--layout", "enr"])
    assert error.value.code == 2


def finished(out: Path) -> list[Path]:
    return sorted(out.glob("train/*"))


def group_lives(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT between processes")
def test_ctrl_c_leaves_whole_objects_and_no_processes(tmp_path):
    out = tmp_path / "set"
    arguments = ["data", "make", "objects", "--out", str(out), "--objects", "5000", "--views", "4"]
    arguments += ["--size", "16", "--samples", "4", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sightline.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not finished(out) and time.monotonic() < deadline:
        time.sleep(0.1)
    # As a terminal does: to the process and to its workers.
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.rstrip().endswith("Stopped.")
    assert "Traceback" not in errors
    assert finished(out)
    for folder in finished(out):
        assert sorted(path.name for path in folder.iterdir()) == [
            *(f"{index:05d}.png" for index in range(4)),
            "render_params.json",
        ]
    while group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group_lives(process.pid)
