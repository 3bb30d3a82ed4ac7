"""What follows from a run's weights and takes a while to find: kept beside them for the next time."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightline.foundation.cache import sha256_of
from sightline.foundation.errors import RunError, warn
from sightline.foundation.files import atomic_path
from sightline.runs.run import Run

if TYPE_CHECKING:
    from sightline.methods.base import Method


def derive(run: Run, method: "Method", *, best: bool = False) -> None:
    """Make ready what a method needs to render besides its weights (`Method.derive`), once for all times.

    It is kept in `NAME.safetensors` of the run folder, which says what it was made of: it is made anew when
    weights, configuration or state have changed, or when it cannot be read. A folder that cannot be written
    costs a warning and the time of the next command.

    Args:
        best: the method has the best weights instead of the latest.
    """
    if method.derived_name is None:
        return
    path = run.path / f"{method.derived_name}{'.best' if best else ''}.safetensors"
    source = _source(run, run.best_weights_path if best else run.weights_path)
    kept = _read(path, source)
    found = method.derive(kept)
    if found is kept:
        return
    try:
        _write(path, found, source)
    except RunError as error:
        warn(f"What was found cannot be kept for the next time. {error}")


def _source(run: Run, weights: Path) -> str:
    """Digest of all that it is made of."""
    settings = json.dumps([run.record.config, run.record.state], sort_keys=True)
    return hashlib.sha256(f"{sha256_of(weights)} {settings}".encode()).hexdigest()


def _read(path: Path, source: str) -> Mapping[str, Tensor]:
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            same = (file.metadata() or {}).get("of") == source
        return load_file(path, device="cpu") if same else {}
    except (SafetensorError, OSError):
        return {}


def _write(path: Path, tensors: Mapping[str, Tensor], source: str) -> None:
    with atomic_path(path) as temporary:
        # safetensors makes files that only their owner can read; runs are shared like other files.
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(dict(tensors), temporary, metadata={"of": source})
        except SafetensorError as error:
            raise OSError(None, str(error)) from error
        temporary.chmod(mode)
