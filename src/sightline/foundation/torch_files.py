"""Files that torch wrote, in zip form and in the one before it; nothing in them is executed."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

from sightline.foundation.unpickling import RestrictedUnpickler, Storage, settle, storage_kind

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_CONTENT = "data.pkl"


def content_name(archive: zipfile.ZipFile) -> str | None:
    """Find the pickle in a zip file that torch wrote; None where it is another zip file."""
    return next((name for name in archive.namelist() if name.split("/")[1:] == [_CONTENT]), None)


def read_zip(archive: zipfile.ZipFile, content: str) -> Any:
    """Read the object in a zip file that torch wrote.

    Raises:
        pickle.UnpicklingError, zipfile.BadZipFile, KeyError, EOFError: it is damaged.
    """
    folder = content.removesuffix(_CONTENT)
    order = f"{folder}byteorder"
    big_endian = order in archive.namelist() and _read_entry(archive, order, 16) == b"big"
    storages: dict[str, Storage] = {}

    def find(identifier: tuple[Any, ...]) -> Storage:
        kind, key, count = _parts(identifier)
        if key not in storages:
            storage = Storage(kind, count)
            entry = f"{folder}data/{key}"
            storage.fill(_read_entry(archive, entry, storage.size), big_endian=big_endian)
            storages[key] = storage
        return storages[key]

    with archive.open(content) as file:
        return RestrictedUnpickler(file, find).load_plain()


def _read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > max(limit, 0):
        raise pickle.UnpicklingError(f"its part {name!r} is not as torch writes it")
    return archive.read(entry)


def is_legacy(path: Path) -> bool:
    """Whether a file that begins as a pickle is torch's form from before zip files."""
    try:
        with open(path, "rb") as file:
            return RestrictedUnpickler(file).load() == _MAGIC
    except Exception:
        return False


def read_legacy(path: Path) -> Any:
    """Read the object in a file of torch's form from before zip files (torch up to 1.5).

    Raises:
        pickle.UnpicklingError, EOFError, struct.error: it is damaged.
    """
    storages: dict[str, Storage] = {}
    limit = path.stat().st_size

    def find(identifier: tuple[Any, ...]) -> Storage:
        kind, key, count = _parts(identifier)
        if len(identifier) > 5 and identifier[5] is not None:
            raise pickle.UnpicklingError("it holds views of storages, which only torch 0.3 and before wrote")
        if key not in storages:
            storages[key] = Storage(kind, count)
            if storages[key].size > limit:
                raise EOFError("a storage is larger than the file")
        return storages[key]

    with open(path, "rb") as file:
        if RestrictedUnpickler(file).load() != _MAGIC or RestrictedUnpickler(file).load() != _PROTOCOL:
            raise pickle.UnpicklingError("it is not of torch's form")
        system = RestrictedUnpickler(file).load_plain()
        found = RestrictedUnpickler(file, find).load()
        keys = RestrictedUnpickler(file).load_plain()
        big_endian = isinstance(system, dict) and system.get("little_endian") is False
        for key in keys:
            _fill(storages[key], file, big_endian)
        return settle(found)


def _fill(storage: Storage, file: IO[bytes], big_endian: bool) -> None:
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.count:
        raise pickle.UnpicklingError(f"a storage has {count} elements instead of {storage.count}")
    raw = file.read(storage.size)
    if len(raw) != storage.size:
        raise EOFError("it is cut short")
    storage.fill(raw, big_endian=big_endian)


def _parts(identifier: tuple[Any, ...]) -> tuple[str, str, int]:
    """The type, key and number of elements of a storage, from torch's persistent identifier."""
    if len(identifier) < 5 or identifier[0] != "storage":
        raise pickle.UnpicklingError("it refers to something outside itself")
    kind = storage_kind(identifier[1])
    return kind, str(identifier[2]), identifier[4]
