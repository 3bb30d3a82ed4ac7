"""Logs of a training: a line of JSON per logged step, and the same for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.foundation.errors import RunError, warn
from sightline.foundation.files import write_atomic
from sightline.methods.base import Progress
from sightline.runs.run import METRICS

if TYPE_CHECKING:
    pass


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
            # A log that cannot be written is no reason to lose the training.
            self._failed = True
            warn(
                f"The log {METRICS} cannot be written any more ({error.strerror or error}); training goes on"
            )

    def write_picture(self, name: str, progress: Progress, picture: np.ndarray) -> None:
        """Show a picture, uint8 (height, width, 3), in TensorBoard."""
        if self._board is not None and not self._failed:
            self._board.add_image(name, picture, progress.step, dataformats="HWC")

    def close(self) -> None:
        """Write out what is buffered."""
        self._file.close()
        if self._board is not None:
            self._board.close()
            self._board = None


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
