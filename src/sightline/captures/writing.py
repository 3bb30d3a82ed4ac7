"""Writing a capture in another format."""

import os
import shutil
from pathlib import Path

from sightline.captures.capture import Capture
from sightline.captures.formats import get_format, list_formats
from sightline.foundation.errors import InputError, RunError


def writable_formats() -> tuple[str, ...]:
    """Name the formats that can be written."""
    return tuple(format.name for format in list_formats() if format.write is not None)


def write_capture(capture: Capture, out: Path | str, format: str) -> None:
    """Write a capture into a new or empty folder: its cameras and its images.

    Image files are copied where they have the capture's size, and written as PNG elsewhere.

    Opening the folder again gives equal cameras. What a format has no place for is named in a warning;
    cameras that it cannot hold are an InputError before anything is written.

    Args:
        capture: what to write, at the size at which it was opened.
        out: the folder; InputError where it holds anything.
        format: one of `writable_formats()`.
    """
    out = Path(out).expanduser().absolute()
    chosen = get_format(format)
    if chosen.write is None:
        raise InputError(
            f"The format {format!r} can be read, not written",
            where="--to",
            fix=f"Choose one of: {', '.join(writable_formats())}",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("The output folder is not empty", where=out, fix="Give a new folder")
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        partial.mkdir(parents=True)
        chosen.write(capture, partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise RunError(
            f"Cannot write the capture ({error.strerror or error})",
            where=out,
            fix="Free some space or choose a folder that can be written",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
