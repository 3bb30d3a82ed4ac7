"""Checkpoints: weights and training state that belong together, whatever moment the machine stops at.

Two files cannot be renamed in one go, so they are committed in three moves: the new weights are written whole
beside the old ones (`weights.next.safetensors`), the training state is replaced, the new weights take their
place. Each file names its step. Whoever opens the folder after a stop between the last two moves finds a
state that is newer than the
weights, and the whole new weights beside them: the last move is then made up for.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.foundation.errors import InputError, RunError
from sightline.foundation.files import atomic_path
from sightline.runs.weights import read_step, write_weights

WEIGHTS = "weights.safetensors"
BEST = "weights.best.safetensors"
STATE = "training_state.pt"
_NEXT = "weights.next.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A copy of everything that a run needs to render and to go on, apart from the training itself."""

    method: str
    step: int
    weights: Mapping[str, Tensor]
    """parameters and buffers, on the CPU, sharing no memory"""
    training: Mapping[str, Any] = field(default_factory=dict)
    """optimisers, random states, progress: tensors, numbers and strings in dictionaries and lists"""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; until it is whole the earlier one stays. RunError where the disk refuses."""
    following = folder / _NEXT
    try:
        write_weights(following, checkpoint.weights, method=checkpoint.method, step=checkpoint.step)
        with atomic_path(folder / STATE) as temporary:
            _save({"step": checkpoint.step, **checkpoint.training}, temporary)
    except BaseException:
        if read_state_step(folder) != checkpoint.step:
            following.unlink(missing_ok=True)
        raise
    try:
        _replace(following, folder / WEIGHTS)
    except RunError:
        # Another process that opened the folder just then has made the last move itself.
        if following.exists() or read_step(folder / WEIGHTS) != checkpoint.step:
            raise


def repair_checkpoint(folder: Path) -> None:
    """Finish a checkpoint that was stopped between replacing the state and the weights."""
    following = folder / _NEXT
    if not following.is_file():
        return
    step = read_step(following)
    if step is not None and step == read_state_step(folder):
        _replace(following, folder / WEIGHTS)


def read_state(folder: Path) -> dict[str, Any] | None:
    """Read the training state to the CPU; None where there is none yet. Nothing in the file is executed.

    Raises:
        InputError: the file is cut short or holds something else than tensors, numbers and strings.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise InputError(
            f"The training state cannot be read ({reason})",
            where=path,
            fix="The run can still be rendered and evaluated; to train, start a new one with --init",
        ) from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise InputError("The file is not a training state", where=path)
    return state


def read_state_step(folder: Path) -> int | None:
    """Give the step that the training state was saved at; None where there is none that can be read."""
    try:
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True, mmap=True)
        return int(state["step"])
    except Exception:
        return None


def _save(value: Any, path: Path) -> None:
    # Through Python's file, a full disk is an OSError that says so; torch's own writer hides the reason.
    with open(path, "wb") as file:
        torch.save(value, file)


def _replace(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        raise RunError(
            f"Cannot replace the file ({error.strerror or error})",
            where=target,
            fix="Close other programs that have it open; the new weights lie whole beside it",
        ) from error
