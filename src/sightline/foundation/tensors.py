"""Reading files of tensors without executing anything that is in them (torch loads on first call)."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.foundation.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def read_tensors(path: Path | str) -> "dict[str, Tensor]":
    """Read a flat dictionary of tensors to the CPU: safetensors by file name, else
    `torch.load(weights_only=True)`.

    Raises:
        InputError: the file is missing, cut short, not made of tensors alone, or not a flat dictionary.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise InputError("The file does not exist", where=path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path, device="cpu")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
    ) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(
            f"Cannot read tensors from the file ({type(error).__name__}: {first_line})",
            where=path,
            fix="It may be cut short or of another kind: copy or download it again",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise InputError("The file does not hold a flat dictionary of tensors", where=path)
    return dict(found)
