"""The dispatcher: help without torch, exit codes, errors of one paragraph."""

import subprocess
import sys
import time

import pytest

from sightline.cli import main as main_module
from sightline.cli.main import COMMANDS, main
from sightline.foundation.errors import InputError, RunError

_HEAVY = ("torch", "numba", "numpy", "tyro", "rich")


@pytest.mark.parametrize("arguments", [["--help"], ["train"], ["data"], ["--version"]])
def test_help_loads_neither_torch_nor_numba(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from sightline.cli.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        f"print([name for name in {_HEAVY[:2]!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_help_takes_less_than_half_a_second() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sightline", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert name in out
        assert summary in out
    assert main([]) == 0


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main([*command.split(), "--help"])
    except SystemExit as done:
        code = done.code
    assert code == 0
    assert f"sightline {command}" in capsys.readouterr().out


def test_an_unknown_command_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian", "ngp"]) == 2
    captured = capsys.readouterr()
    assert "There is no command 'trian ngp'" in captured.err
    assert captured.out == ""
    assert main(["data", "wash"]) == 2
    assert "data inspect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            InputError("The thing is wrong", where="file.json, line 3", fix="Mend it"),
            2,
            "file.json, line 3. Mend it.",
        ),
        (RunError("The disk is full"), 1, "error: The disk is full."),
        (ValueError("odd\nsecond line"), 1, "ValueError: odd"),
        (KeyboardInterrupt(), 1, "Stopped."),
    ],
)
def test_errors_are_one_paragraph_with_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error, code: int, said: str
) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr("sightline.cli.doctor.main", fail)
    assert main(["doctor"]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    if not isinstance(error, KeyboardInterrupt):
        with pytest.raises(type(error)):
            main(["doctor", "--debug"])


def test_stopping_a_training_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sightline.cli.train.main", stop)
    assert main(["train", "x", "y"]) == 0


def test_wrong_flags_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--nothing"])
    assert caught.value.code == 2


def test_debug_is_taken_from_anywhere_but_not_from_other_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("sightline.cli.doctor.main", lambda arguments: seen.append(arguments))
    assert main_module.main(["doctor", "--debug", "--debug-views"]) == 0
    assert seen == [["--debug-views"]]
