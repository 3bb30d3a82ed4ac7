"""Requests to stop, at moments that are awkward."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.cli.signals import Signals
from sightline.foundation.interruption import Interruption

_PROGRAM = """
import sys
from sightline.cli.main import COMMANDS, main
COMMANDS.clear()
COMMANDS.update({name: ("slow_command", "") for name in ("train", "render")})
sys.argv = ["sightline", sys.argv[1]]
sys.exit(main())
"""
_WAIT = "import time; print('now', flush=True); time.sleep(60)"
_MODULES = {
    # Plain KeyboardInterrupt would let CPython end the process by the signal here, see `Interruption`.
    "in compiled text": f'def main(arguments):\n    exec("{_WAIT}")\n',
    "while importing": f"{_WAIT}\ndef main(arguments): return 3\n",
    "while importing inside": (
        "def main(arguments):\n    import slow_library\n    return 3\n",
        # As compiled libraries that cannot bear exceptions.
        f"import os\ntry:\n    {_WAIT}\nexcept BaseException:\n    os.abort()\n",
    ),
}


def stopped_process(folder: Path, command: str, modules: str | tuple[str, ...], number: int):
    sources = (modules,) if isinstance(modules, str) else modules
    for name, source in zip(("slow_command", "slow_library"), sources, strict=False):
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(number)
    error = process.communicate(timeout=30)[1]
    return process.returncode, error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("command", "code"), [("train", 0), ("render", 1)])
@pytest.mark.parametrize("when", _MODULES)
def test_a_stop_is_one_word_and_the_right_code(tmp_path, when, command, code, number) -> None:
    assert stopped_process(tmp_path, command, _MODULES[when], number) == (code, "Stopped.\n")


@pytest.mark.parametrize("last", [False, True])
def test_handlers_come_back_unless_the_process_ends(last: bool) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(Interruption), Signals(0, last=last):
            signal.raise_signal(signal.SIGTERM)
        for number, handler in before.items():
            assert signal.getsignal(number) == (signal.SIG_IGN if last else handler)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
