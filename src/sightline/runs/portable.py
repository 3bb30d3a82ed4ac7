"""Portable scenes: a run that is one file, enough to render on a machine without the data.

It is a safetensors file. Its tensors are the method's parameters and buffers; its metadata holds the texts
of `run.json` and `capture.json` (cameras, names, splits and bounds, without thumbnails), the method and the
step. Where the data was is left out.
"""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sightline.captures.record import CaptureRecord
from sightline.foundation.errors import InputError
from sightline.foundation.files import atomic_path
from sightline.runs.record import RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import from_plain
from sightline.runs.weights import apply_weights, read_weights

if TYPE_CHECKING:
    from sightline.captures import Capture
    from sightline.captures.collection import Collection
    from sightline.methods.base import Method

_RUN, _CAPTURE = "sightline.run", "sightline.capture"


class PortableRun(Run):
    """A portable scene, used like a run folder; what is made of it goes to a folder of its name beside it."""

    def __init__(self, file: Path, record: RunRecord, capture: CaptureRecord):
        super().__init__(file.with_suffix("") if file.suffix else file.with_name(f"{file.name}-made"), record)
        self.file = file
        self._capture = capture

    @property
    def weights_path(self) -> Path:
        """The file itself."""
        return self.file

    @cached_property
    def config(self) -> Any:
        """The method's configuration; InputError names what this version does not know."""
        return from_plain(self.method_info.config_class(), self.record.config, where=f"{self.file}, config")

    def update(self, **changes: Any) -> None:
        """Portable scenes are not written to."""
        raise InputError("A portable scene is not changed", where=self.file, fix="Give a run folder")

    def capture_info(self) -> CaptureRecord:
        """What the scene was learnt from, without its images."""
        return self._capture

    def open_data(self, data: Path | str | None = None, **options: Any) -> "Capture | Collection":
        """Open the data at `data`; the file itself has none."""
        if data is None:
            raise InputError(
                "A portable scene has cameras but no photos",
                where=self.file,
                fix="Give the photos with --data",
            )
        return super().open_data(data, **options)

    def load_method(self, device: torch.device | str = "cpu", *, best: bool = False) -> "Method":
        """Build the method with the file's weights, in evaluation mode."""
        if best:
            raise InputError(
                "A portable scene has one set of weights", where=self.file, fix="Leave out --best"
            )
        method = self.method_info.method_class()(self.config)
        tensors = read_weights(self.file, method=self.method_name)
        method.restore(self.record.state)
        apply_weights(method, tensors, where=self.file)
        return method.to(device).eval()


def write_portable(run: Run, method: "Method", path: Path, *, half: bool = False) -> None:
    """Write a loaded run as one file.

    Args:
        method: the run's method with its weights.
        half: store floating-point tensors with 16 bits.

    Raises:
        InputError: a number is too large for 16 bits.
        RunError: the disk refuses.
    """
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in method.state_dict().items()}
    if half:
        tensors = {name: _halved(name, value) for name, value in tensors.items()}
    record = replace(
        run.record,
        data=replace(run.record.data, path="."),
        training={},
        timings={},
        device={},
    )
    capture = replace(run.capture_info(), path=".", thumbnails={})
    metadata = {
        "method": run.method_name,
        "step": str(run.record.progress.step),
        _RUN: json.dumps(record.to_json(), separators=(",", ":")),
        _CAPTURE: json.dumps(capture.to_json(), separators=(",", ":")),
    }
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OSError(None, str(error)) from error
        temporary.chmod(mode)


def _halved(name: str, value: torch.Tensor) -> torch.Tensor:
    if not value.is_floating_point():
        return value
    small = value.half()
    if not bool(torch.isfinite(small).all()):
        raise InputError(f"{name} has numbers too large for 16 bits", where="--half", fix="Leave out --half")
    return small


def open_portable(path: Path) -> PortableRun:
    """Open a portable scene; InputError where the file is none."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"This is neither a run folder nor a portable scene ({error})",
            where=path,
            fix="Give a folder that `sightline train` wrote, or a file of `sightline export RUN weights`",
        ) from error
    if _RUN not in metadata or _CAPTURE not in metadata:
        raise InputError(
            "The file holds weights, but neither settings nor cameras",
            where=path,
            fix="Give the run folder, or write a portable scene with: sightline export RUN weights",
        )
    try:
        record, capture = json.loads(metadata[_RUN]), json.loads(metadata[_CAPTURE])
    except ValueError as error:
        raise InputError("The portable scene is damaged", where=path, fix="Copy it again") from error
    return PortableRun(
        path, RunRecord.from_json(record, where=path), CaptureRecord.from_json(capture, where=path)
    )
