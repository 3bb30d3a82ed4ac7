"""The run folder as one object: made by training, enough for every later command."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sightline.captures import open_capture
from sightline.captures.collection_record import CollectionRecord
from sightline.captures.record import CaptureRecord
from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import read_json, write_json
from sightline.methods.registry import MethodInfo, get_method_info
from sightline.runs.checkpoint import (
    BEST,
    WEIGHTS,
    Checkpoint,
    read_state,
    read_state_step,
    repair_checkpoint,
    write_checkpoint,
)
from sightline.runs.record import RUN_FILE, DataSource, RunRecord
from sightline.runs.settings import from_plain
from sightline.runs.weights import apply_weights, read_weights, write_weights

if TYPE_CHECKING:
    from sightline.captures import Capture
    from sightline.captures.collection import Collection
    from sightline.methods.base import Method

CAPTURE_FILE = "capture.json"
COLLECTION_FILE = "collection.json"
METRICS = "metrics.jsonl"
_THUMBNAIL_SIZE = 64


class Run:
    """A run folder: `run.json`, `capture.json`, weights, training state and logs.

    Attributes:
        path: the folder.
        record: the content of `run.json`.
    """

    def __init__(self, path: Path, record: RunRecord):
        self.path = Path(path)
        self.record = record

    @classmethod
    def create(cls, path: Path | str, record: RunRecord) -> "Run":
        """Make a run folder; InputError where the folder exists and is not empty."""
        path = Path(path)
        if path.is_file():
            raise InputError(
                "A run needs a folder, but this is a file", where=path, fix="Choose another --out"
            )
        if path.is_dir() and any(path.iterdir()):
            raise InputError(
                "The run folder exists already",
                where=path,
                fix="Go on with --resume, or choose another folder with --out",
            )
        run = cls(path, record)
        run._write_record()
        return run

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """Open a run folder or a portable scene; InputError for anything else, or from a newer version."""
        path = Path(path).expanduser()
        if path.is_file():
            from sightline.runs.portable import open_portable

            return open_portable(path)
        return cls(path, RunRecord.read(path))

    @staticmethod
    def exists(path: Path | str) -> bool:
        """Whether the folder holds a run."""
        return (Path(path) / RUN_FILE).is_file()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, method={self.method_name!r}, step={self.record.progress.step})"

    def discard_untrained(self) -> None:
        """Remove a run that this process made and in which nothing was saved: its place is free again."""
        if read_state_step(self.path) is not None or self.weights_path.exists():
            return
        with suppress(OSError):
            shutil.rmtree(self.path)

    @property
    def method_name(self) -> str:
        """Registry name of the method."""
        return self.record.method

    @cached_property
    def method_info(self) -> MethodInfo:
        """The method's entry in the registry; InputError where this version does not have the method."""
        try:
            return get_method_info(self.record.method)
        except InputError as error:
            raise InputError(
                f"The run is of the method {self.record.method!r}, which is not installed",
                where=self.path / RUN_FILE,
                fix="Install the package or the version of Sightline that has it",
            ) from error

    @cached_property
    def config(self) -> Any:
        """The method's configuration; InputError names what this version does not know."""
        return from_plain(
            self.method_info.config_class(), self.record.config, where=f"{self.path / RUN_FILE}, config"
        )

    @property
    def weights_path(self) -> Path:
        """The latest weights."""
        return self.path / WEIGHTS

    @property
    def best_weights_path(self) -> Path:
        """The weights with the highest validation PSNR; there may be none."""
        return self.path / BEST

    def update(self, **changes: Any) -> None:
        """Change fields of the record and write run.json."""
        self.record = replace(self.record, **changes)
        self._write_record()

    def add_timings(self, timings: Mapping[str, float]) -> None:
        """Add seconds to the record's timings (a resumed run adds to those of its earlier parts)."""
        total = dict(self.record.timings)
        for name, seconds in timings.items():
            total[name] = round(total.get(name, 0.0) + seconds, 3)
        self.record = replace(self.record, timings=total)

    def open_data(self, data: Path | str | None = None, **options: Any) -> "Capture | Collection":
        """Open the data that the run was trained on, at its recorded place or at `data`.

        `options` replace recorded options of `open_capture` (downscale, format …).
        """
        source = self.record.data
        path = Path(data) if data is not None else source.locate(self.path)
        return open_capture(path, **{**source.options, **options})

    def relocate_data(self, data: Path | str) -> None:
        """Record another place of the same data."""
        self.update(data=DataSource.describe(Path(data), self.path, **self.record.data.options))

    def capture_info(self) -> CaptureRecord:
        """Read what the run remembers of its data: cameras, names, splits; needs no data."""
        path = self.path / CAPTURE_FILE
        if not path.is_file():
            raise InputError(
                "The run does not know its cameras yet",
                where=path,
                fix="Train it first, or give the data with --data",
            )
        return CaptureRecord.from_json(read_json(path), where=path)

    def record_capture(self, capture: "Capture", *, thumbnails: bool = False) -> None:
        """Write capture.json; with thumbnails, which reads images."""
        record = CaptureRecord.from_capture(capture, with_thumbnails=_THUMBNAIL_SIZE if thumbnails else 0)
        record = replace(record, path=self.record.data.path)
        write_json(self.path / CAPTURE_FILE, record.to_json(), indent=None)

    def collection_info(self) -> CollectionRecord | None:
        """Read which objects the run was trained on and how they are split; None where it was one scene."""
        path = self.path / COLLECTION_FILE
        return CollectionRecord.from_json(read_json(path), where=path) if path.is_file() else None

    def record_collection(self, collection: "Collection") -> None:
        """Write collection.json, and to capture.json the cameras of one training object.

        One object is opened, however many there are.
        """
        members = collection.splits.get("train") or [entry.id for entry in collection.objects[:1]]
        reference = collection[members[0]]
        record = CollectionRecord.from_collection(collection, reference.id)
        record = replace(record, path=self.record.data.path)
        self.record_capture(reference.open())
        write_json(self.path / COLLECTION_FILE, record.to_json(), indent=None)

    def load_method(self, device: torch.device | str = "cpu", *, best: bool = False) -> "Method":
        """Build the method with its trained weights, in evaluation mode, ready for `encode` and `render`.

        Args:
            best: take the weights with the highest validation PSNR instead of the latest ones.

        Raises:
            InputError: no weights, damaged ones, or ones that do not fit (every tensor that differs is
                listed).
        """
        repair_checkpoint(self.path)
        path = self.best_weights_path if best else self.weights_path
        if best and not path.is_file():
            raise InputError(
                "The run has no best weights, since it was trained without validation",
                where=path,
                fix="Leave out --best to take the latest ones",
            )
        method = self.method_info.method_class()(self.config)
        tensors = read_weights(path, method=self.method_name)
        method.restore(self.record.state)
        apply_weights(method, tensors, where=path)
        return method.to(device).eval()

    def read_training_state(self) -> dict[str, Any] | None:
        """Read what training needs to go on; None where nothing was saved yet."""
        repair_checkpoint(self.path)
        return read_state(self.path)

    def write_checkpoint(self, checkpoint: Checkpoint, **changes: Any) -> None:
        """Write weights and training state, then run.json with `changes`; earlier ones stay until then."""
        write_checkpoint(self.path, checkpoint)
        self.update(**changes)

    def write_best(self, checkpoint: Checkpoint) -> None:
        """Write the weights with the highest validation PSNR so far."""
        write_weights(
            self.best_weights_path, checkpoint.weights, method=self.method_name, step=checkpoint.step
        )

    def write_milestone(self, checkpoint: Checkpoint) -> Path:
        """Keep a copy of the weights under their step, in `milestones/`."""
        path = self.path / "milestones" / f"weights.{checkpoint.step:08d}.safetensors"
        write_weights(path, checkpoint.weights, method=self.method_name, step=checkpoint.step)
        return path

    def _write_record(self) -> None:
        write_json(self.path / RUN_FILE, self.record.to_json())


def warn_unfinished(run: Run) -> None:
    """Tell the user when a run that is about to be used was stopped before its end."""
    progress = run.record.progress
    if not progress.finished and progress.step:
        warn(
            f"The training of {run.path} was stopped at {progress.fraction:.0%} (step {progress.step}); "
            "go on with --resume"
        )
