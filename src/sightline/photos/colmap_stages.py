"""Running COLMAP's stages in processes of their own, with progress, a log file and an end on Ctrl-C."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, RunError

Watch = Callable[[str, int], AbstractContextManager[Callable[[float], None]]]
"""(what, how many) → a context that gives a function to call with how many are done"""
LOG_FILE = "log.txt"
_SHOWN_LINES = 3


def require_pycolmap() -> None:
    """Say how to get pycolmap where it is missing."""
    if importlib.util.find_spec("pycolmap") is None:
        raise InputError(
            "Camera poses are found by pycolmap, which is not installed",
            fix="Install it: pip install 'sightline[photos]'",
        )


def run_stage(stage: str, job: dict[str, Any], work: Path, watch: Watch, what: str, total: int) -> None:
    """Run one stage of `colmap_process` and wait for it; it ends when this is interrupted.

    Args:
        job: what the stage reads.
        work: folder for the job and the log.

    Raises:
        RunError: the stage failed; the last lines of its log are given.
    """
    file = work / f"{stage}.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "sightline.photos.colmap_process", stage, str(file)]
    with open(work / LOG_FILE, "a", encoding="utf-8") as log, watch(what, total) as on_done:
        begin = log.tell()
        # In a session of its own: Ctrl-C reaches this process alone, which ends that one.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": _search_path()},
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                words = line.split()
                if words[:1] == ["progress"]:
                    on_done(float(words[1]))
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code:
        raise RunError(
            f"COLMAP failed while {what}: {_last_lines(work / LOG_FILE, begin)}",
            where=work / LOG_FILE,
            fix="Run the same command again: it goes on from there. If it fails again, the log says where",
        )


def _search_path() -> str:
    package = Path(__file__).resolve().parents[2]
    return os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))


def _last_lines(log: Path, begin: int) -> str:
    with open(log, encoding="utf-8", errors="replace") as file:
        file.seek(begin)
        lines = [line.strip() for line in file if line.strip()]
    return " | ".join(lines[-_SHOWN_LINES:]) or "it said nothing"
