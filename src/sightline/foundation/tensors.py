"""Reading files of tensors without executing anything that is in them (torch loads on first call)."""

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.foundation.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error),
    *(zipfile.BadZipFile, RuntimeError, MemoryError, NotImplementedError),
)
"""what reading damaged files raises; recursion that is too deep is a RuntimeError"""
_POINTER = b"version https://git-lfs"


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


def read_foreign(path: Path | str) -> Any:
    """Read a file of arrays that another program wrote, whatever its form; nothing in it is executed.

    Forms, told by the first bytes: torch's zip files and those from before them, NumPy's arrays and archives
    (arrays of objects too), pickles, flax's msgpack, safetensors.

    Returns:
        Dictionaries, lists, numbers, texts, NumPy arrays and tensors (on the CPU, perhaps sharing memory).
        Objects of classes that are not read are `unpickling.Foreign`.

    Raises:
        InputError: the file is missing, of another form, cut short or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("The file does not exist", where=path)
    from msgpack import UnpackException
    from safetensors import SafetensorError

    try:
        return _reader_of(path)(path)
    except InputError:
        raise
    except (SafetensorError, UnpackException, pickle.UnpicklingError, *_DAMAGE) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(
            f"The file cannot be read ({type(error).__name__}: {first_line})",
            where=path,
            fix="It may be cut short or damaged: copy or download it again",
        ) from error


def _reader_of(path: Path) -> Callable[[Path], Any]:
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(_POINTER):
        raise InputError(
            "This stands for a large file that was not fetched", where=path, fix="Fetch it with: git lfs pull"
        )
    if start.startswith(b"PK\x03\x04"):
        return _read_zip
    if start.startswith(b"\x93NUMPY"):
        return _read_npy
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _read_pickle
    if start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < path.stat().st_size:
        return _read_safetensors
    if start and (0x80 <= start[0] <= 0x8F or start[0] in (0xDE, 0xDF)):
        return _read_msgpack
    raise InputError(
        "The file is of no form that holds arrays",
        where=path,
        fix="Looked for what torch, NumPy, pickle, flax (msgpack) and safetensors write",
    )


def _read_zip(path: Path) -> Any:
    import numpy as np

    from sightline.foundation.torch_files import content_name, read_zip

    with zipfile.ZipFile(path) as archive:
        content = content_name(archive)
        if content is not None:
            return read_zip(archive, content)
        if not all(name.endswith(".npy") for name in archive.namelist()):
            raise zipfile.BadZipFile("neither torch nor NumPy wrote it")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_npy(path: Path) -> Any:
    """Read an array; one of objects is a pickle behind NumPy's header."""
    import numpy as np

    from sightline.foundation.unpickling import RestrictedUnpickler

    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is not None and read_header(file)[2].hasobject:
            return RestrictedUnpickler(file).load_plain()
    return np.load(path, allow_pickle=False)


def _read_pickle(path: Path) -> Any:
    from sightline.foundation.torch_files import is_legacy, read_legacy
    from sightline.foundation.unpickling import RestrictedUnpickler

    if is_legacy(path):
        return read_legacy(path)
    with open(path, "rb") as file:
        return RestrictedUnpickler(file).load_plain()


def _read_msgpack(path: Path) -> Any:
    from sightline.foundation.msgpack_trees import read_msgpack

    return read_msgpack(path.read_bytes())


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path, device="cpu")
