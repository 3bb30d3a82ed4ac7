"""Weights on disk: a safetensors file that says its method and step, and is checked when it is read."""

import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import atomic_path

_LISTED = 8


def write_weights(path: Path, tensors: Mapping[str, Tensor], *, method: str, step: int) -> None:
    """Write tensors (on the CPU, sharing no memory) atomically; RunError where the disk refuses.

    Args:
        method: registry name of the method that the weights are of.
        step: training steps that made them.
    """
    with atomic_path(path) as temporary:
        # safetensors makes files that only their owner can read; runs are shared like other files.
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(dict(tensors), temporary, metadata={"method": method, "step": str(step)})
        except SafetensorError as error:
            # safetensors wraps what the operating system says; atomic_path turns OSError into a clear
            # RunError.
            raise OSError(None, str(error)) from error
        temporary.chmod(mode)


def read_step(path: Path) -> int | None:
    """Read from the file's header after how many steps it was written; None where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            step = (file.metadata() or {}).get("step", "")
    except (SafetensorError, OSError):
        return None
    return int(step) if step.isdigit() else None


def read_weights(path: Path, *, method: str | None = None) -> dict[str, Tensor]:
    """Read a weights file to the CPU.

    Raises:
        InputError: no file, cut short or not safetensors, or of another method than `method`.
    """
    if not path.is_file():
        raise InputError(
            "There are no weights here",
            where=path,
            fix="Train the run first; if the file was lost, put it back or take the best weights with --best",
        )
    try:
        with safe_open(path, framework="pt") as file:
            owner = (file.metadata() or {}).get("method")
        if method is not None and owner is not None and owner != method:
            raise InputError(
                f"The weights are of the method {owner!r}, but the run is of {method!r}",
                where=path,
                fix="Put back the file that belongs to this run",
            )
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, struct.error) as error:
        raise InputError(
            f"The weights cannot be read ({error})",
            where=path,
            fix="It is cut short or damaged: copy it again. Where weights.best.safetensors is whole, --best "
            "takes that, and --init with it begins a new training",
        ) from error


def apply_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, where: object) -> None:
    """Put tensors into a module; InputError lists every tensor that is missing, extra or of another shape."""
    wanted = module.state_dict()
    problems = [
        _listing("missing", [name for name in wanted if name not in tensors]),
        _listing("not known", [name for name in tensors if name not in wanted]),
        _listing(
            "of another shape",
            [
                f"{name} {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
                for name, value in wanted.items()
                if name in tensors and tensors[name].shape != value.shape
            ],
        ),
    ]
    found = "; ".join(problem for problem in problems if problem)
    if found:
        raise InputError(
            f"The weights do not fit this method and configuration: {found}",
            where=where,
            fix="Use the weights of this run, or the configuration that they were trained with",
        )
    with torch.no_grad():
        module.load_state_dict(dict(tensors))


def apply_matching(module: nn.Module, tensors: Mapping[str, Tensor], *, where: object) -> None:
    """Put those tensors into a module that it has with the same name and shape; warns of all others.

    Raises:
        InputError: none of them matches.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in tensors]
    unknown = [name for name in tensors if name not in own]
    reshaped = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    matching = {
        name: value for name, value in tensors.items() if name in own and value.shape == own[name].shape
    }
    listings = (
        _listing("missing", missing),
        _listing("not known", unknown),
        _listing("of another shape", reshaped),
    )
    found = "; ".join(listing for listing in listings if listing)
    if not matching:
        raise InputError(
            f"None of the weights to start from fits this method and configuration: {found}",
            where=where,
            fix="Start from a run with the same networks, or leave --init away",
        )
    with torch.no_grad():
        module.load_state_dict(matching, strict=False)
    if found:
        warn(
            f"{len(matching)} of {len(own)} tensors are taken from the weights to start from; the others "
            f"begin as new ones ({found}). Where: {where}."
        )


def _listing(label: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{label}: {', '.join(names[:_LISTED])}{more}"
