"""What a report knows of a run: its folder read without loading weights, as far as it can be read."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from sightline.captures import Capture
from sightline.captures.collection_record import CollectionRecord
from sightline.captures.record import CaptureRecord
from sightline.evaluation.saved_views import SavedEvaluation, read_evaluations
from sightline.foundation.errors import InputError, warn
from sightline.methods.registry import MethodInfo
from sightline.runs.checkpoint import STATE
from sightline.runs.history import History, read_history
from sightline.runs.run import METRICS, Run

_SIGN_OF_LIFE = 120.0
"""seconds since a log or a checkpoint was written after which a training counts as stopped"""
_SAYS_NOTHING = ("run", "out")
"""names of folders that do not tell runs apart"""


@dataclass(frozen=True)
class Status:
    """How far a run has come, in words."""

    text: str
    whole: bool
    """whether there is no more to come"""
    running: bool = False


@dataclass(frozen=True)
class RunFacts:
    """A run folder as a report shows it."""

    run: Run
    label: str
    """short name, different from those of the other runs of the report"""
    history: History
    evaluations: tuple[SavedEvaluation, ...]
    problems: tuple[str, ...] = ()
    """what could not be read"""

    @classmethod
    def read(cls, run: Run, label: str) -> "RunFacts":
        """Read logs and evaluations of a run."""
        evaluations, problems = read_evaluations(run.path)
        return cls(run, label, read_history(run.path), tuple(evaluations), tuple(problems))

    @property
    def main(self) -> SavedEvaluation | None:
        """The evaluation whose scores stand for the run."""
        return self.evaluations[0] if self.evaluations else None

    @cached_property
    def info(self) -> MethodInfo | None:
        """The method; None where it is not installed."""
        try:
            return self.run.method_info
        except InputError as error:
            warn(str(error))
            return None

    @cached_property
    def capture_record(self) -> CaptureRecord | None:
        """What the run remembers of its data; None where it does not."""
        try:
            return self.run.capture_info()
        except InputError:
            return None

    @cached_property
    def capture(self) -> Capture | None:
        """Its cameras, without images."""
        return None if self.capture_record is None else self.capture_record.as_capture()

    @cached_property
    def collection(self) -> CollectionRecord | None:
        """The objects that it was trained on; None where it was one scene."""
        try:
            return self.run.collection_info()
        except InputError as error:
            warn(str(error))
            return None

    @property
    def imported_from(self) -> str | None:
        """The program whose checkpoint it was made of; None where it was trained here."""
        return self.run.record.source.get("imported")

    @property
    def has_weights(self) -> bool:
        """Whether it can render."""
        return self.run.weights_path.is_file()

    @property
    def data_name(self) -> str:
        """Name of the data that it was trained on."""
        if self.collection is not None:
            return self.collection.name
        if self.capture_record is not None:
            return self.capture_record.name
        return Path(self.run.record.data.path).name or "unknown data"

    @property
    def data_folder(self) -> str:
        """Name of the folder of the data that it was trained on."""
        return PurePosixPath(self.run.record.data.path).name

    @cached_property
    def status(self) -> Status:
        """Whether the training is over, runs, or was stopped."""
        progress = self.run.record.progress
        if self.imported_from is not None:
            return Status(f"imported from {self.imported_from}", True)
        if progress.finished:
            return Status("finished", True)
        share = f"{progress.fraction:.0%}, step {progress.step:,}"
        if self._last_sign() < _SIGN_OF_LIFE:
            return Status(f"training: {share}" if progress.step else "training has just begun", False, True)
        return Status(f"stopped at {share}" if progress.step else "nothing saved yet", False)

    def _last_sign(self) -> float:
        """Seconds since the training last wrote something."""
        times = [
            path.stat().st_mtime
            for path in (self.run.path / METRICS, self.run.path / STATE)
            if path.is_file()
        ]
        return time.time() - max(times) if times else float("inf")


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Name runs by their folders, with as many of the folders above as say something and tell them apart."""
    parts = [path.resolve().parts[1:] or (path.name,) for path in paths]
    depths = [2 if names[-1] in _SAYS_NOTHING else 1 for names in parts]
    for _ in range(max(map(len, parts), default=0)):
        labels = ["/".join(names[-depth:]) for names, depth in zip(parts, depths, strict=True)]
        shared = [labels.count(label) > 1 for label in labels]
        if not any(shared):
            break
        depths = [depth + twice for depth, twice in zip(depths, shared, strict=True)]
    return ["/".join(names[-depth:]) for names, depth in zip(parts, depths, strict=True)]
