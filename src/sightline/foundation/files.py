"""Reading and writing files so that a crash, a full disk or a typing error loses nothing."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, RunError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; flush and rename it when the block ends well.

    The earlier file survives whatever goes wrong inside the block. Raises RunError with the reason where the
    folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise RunError(
            f"Cannot write the file ({error.strerror or error})",
            where=path,
            fix="Free some space or choose a folder that can be written; what was saved before is unchanged",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write bytes so that a reader sees either the earlier or the whole new file."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path | str, value: Any, indent: int | None = 1) -> None:
    """Write JSON atomically; NaN is refused, since other programs cannot read it."""
    write_atomic(path, (json.dumps(value, indent=indent, allow_nan=False) + "\n").encode("utf-8"))


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a syntax error is reported with its line and column."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError("The file does not exist", where=path) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"Not valid JSON: {error.msg}",
            where=f"{path}, line {error.lineno}, column {error.colno}",
            fix="Correct the file or export it again",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the file ({error})", where=path) from error
