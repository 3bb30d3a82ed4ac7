"""run.json: what a run is made of, as typed records (no torch)."""

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.foundation.hardware import available_cores, processor_name
from sightline.runs.settings import from_plain, to_plain

SCHEMA = 1
RUN_FILE = "run.json"


@dataclass(frozen=True)
class DataSource:
    """Where a run's data is and how it is opened."""

    path: str
    """folder or file of the data, relative to the run folder where that is possible; forward slashes. Empty
    for weights that were imported without their data"""
    format: str | None = None
    downscale: float = 1
    holdout: int = 8
    split_rule: str | None = None
    resize_rule: str | None = None
    strict: bool = False
    angle_unit: str | None = None

    @classmethod
    def describe(cls, data: Path, run: Path, **options: Any) -> "DataSource":
        """Record the data at `data` as seen from the run folder `run`."""
        data, run = Path(data).resolve(), Path(run).resolve()
        try:
            path = Path(os.path.relpath(data, run))
        except ValueError:  # another drive, on Windows
            path = data
        return cls(path=path.as_posix(), **options)

    def locate(self, run: Path) -> Path:
        """Give the path of the data as seen from where the run folder is now; InputError where it is gone."""
        if not self.path:
            raise InputError(
                "This run was imported without data", where=run, fix="Say where the data is with --data"
            )
        path = Path(os.path.normpath(Path(run).resolve() / self.path))
        if not path.exists():
            raise InputError(
                "The data that this run was trained on is not where it was",
                where=path,
                fix="Give its place with --data, or move it back beside the run folder",
            )
        return path

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for `open_capture`."""
        values = to_plain(self)
        del values["path"]
        return values


@dataclass(frozen=True)
class RunProgress:
    """How far the training of a run has come, as of its last checkpoint."""

    step: int = 0
    fraction: float = 0.0
    seconds: float = 0.0
    """training time over all resumed parts"""
    finished: bool = False
    psnr: float | None = None
    """training PSNR of the last logged steps, dB"""
    best_psnr: float | None = None
    """highest validation PSNR, dB, that weights.best.safetensors belongs to"""


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json."""

    method: str
    config: dict[str, Any]
    data: DataSource
    preset: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
    """what the method found when it prepared the data: the normalised frame, sizes"""
    seed: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    """how it was trained: steps or minutes, devices, precision, intervals"""
    progress: RunProgress = field(default_factory=RunProgress)
    timings: dict[str, float] = field(default_factory=dict)
    """seconds: warm_up (not part of the training time), prepare, train, checkpoints, validation"""
    versions: dict[str, str] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    """where the weights came from, when they were not trained here"""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Give the record as JSON values, the schema first."""
        values = to_plain(self)
        return {"schema": values.pop("schema"), **values}

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """Read run.json of a run folder; InputError where it is no run folder or from a newer version."""
        path = Path(folder) / RUN_FILE
        if not Path(folder).is_dir():
            raise InputError("There is no such run folder", where=folder, fix="Check the path")
        if not path.is_file():
            raise InputError(
                f"This is not a run folder: it has no {RUN_FILE}",
                where=folder,
                fix="Give a folder that `sightline train` wrote",
            )
        return cls.from_json(read_json(path), where=path)

    @classmethod
    def from_json(cls, values: Any, where: object = None) -> "RunRecord":
        """Read what `to_json` gave; InputError where it is not that, or from a newer version."""
        if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
            raise InputError(f"{RUN_FILE} has no field 'schema', so it is not a run's", where=where)
        if values["schema"] > SCHEMA:
            raise InputError(
                f"A newer Sightline wrote this run (schema {values['schema']}, this one knows {SCHEMA})",
                where=where,
                fix="Upgrade with: pip install --upgrade sightline",
            )
        for name in ("method", "config", "data"):
            if name not in values:
                raise InputError(f"The field {name!r} is missing", where=where)
        return from_plain(cls, values, where=where)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in ("sightline", "torch", "numpy", "numba", "lightning-fabric"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def device_facts(device: str = "cpu") -> dict[str, Any]:
    """Name the hardware that trains or renders; `device` as torch names it."""
    facts: dict[str, Any] = {"type": device.split(":")[0], "processor": processor_name()}
    facts["cores"] = available_cores()
    if facts["type"] == "cuda":
        import torch

        facts["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return facts
