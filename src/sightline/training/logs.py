"""Logs of a training: a line of JSON per logged step, and the same for TensorBoard."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import RunError, warn
from sightline.foundation.files import write_atomic
from sightline.methods.base import Progress
from sightline.runs.run import METRICS


class TrainingLog:
    """Appends to `metrics.jsonl` and `tensorboard/` of a run folder.

    Args:
        folder: the run folder.
        resume_step: drop what an earlier part logged after this step, since those steps are done again.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        from torch.utils.tensorboard import SummaryWriter

        path = folder / METRICS
        write_atomic(path, "".join(_lines_until(path, resume_step)).encode("utf-8"))
        try:
            self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 - until `close`
            self._board: SummaryWriter | None = SummaryWriter(
                str(folder / "tensorboard"), purge_step=resume_step + 1 if resume_step else None
            )
        except OSError as error:
            raise RunError(
                f"Cannot write the log ({error.strerror or error})",
                where=path,
                fix="Check the folder's rights",
            ) from error
        self._failed = False
        self._earlier_hook = threading.excepthook
        threading.excepthook = self._on_thread_error

    def write(self, kind: str, progress: Progress, values: Mapping[str, Any]) -> None:
        """Log values under `kind` ("train" or "val"): one JSON line and one TensorBoard scalar each."""
        if self._failed:
            return
        line = {
            "kind": kind,
            "step": progress.step,
            "seconds": round(progress.seconds, 3),
            "fraction": round(progress.fraction, 6),
            **values,
        }
        try:
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
            if self._board is not None:
                for name, value in values.items():
                    if isinstance(value, (int, float)):
                        self._board.add_scalar(f"{kind}/{name}", value, progress.step)
        except OSError as error:
            self._give_up(error)

    def write_picture(self, name: str, progress: Progress, picture: np.ndarray) -> None:
        """Show a picture, uint8 (height, width, 3), in TensorBoard."""
        if self._board is None or self._failed:
            return
        try:
            self._board.add_image(name, picture, progress.step, dataformats="HWC")
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Write out what is buffered, as far as that can be."""
        board, self._board = self._board, None
        for part in (self._file, board):
            try:
                if part is not None:
                    part.close()
            except OSError as error:
                self._give_up(error)
        threading.excepthook = self._earlier_hook

    def _give_up(self, error: OSError) -> None:
        """Log no more: that is no reason to lose the training."""
        if not self._failed:
            warn(f"The logs cannot be written any more ({error.strerror or error}); the training is not lost")
        self._failed = True

    def _on_thread_error(self, arguments: threading.ExceptHookArgs) -> None:
        """Leave out the traceback of TensorBoard's writing thread: the next `write` tells its error."""
        of_tensorboard = type(arguments.thread).__module__.partition(".")[0] == "tensorboard"
        if not (of_tensorboard and isinstance(arguments.exc_value, OSError)):
            self._earlier_hook(arguments)


def _lines_until(path: Path, step: int) -> list[str]:
    """Give the whole lines of an earlier log up to and including `step`."""
    if not path.is_file() or step <= 0:
        return []
    kept = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line if line.endswith("\n") else line + "\n")
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut when the machine stopped
    return kept
