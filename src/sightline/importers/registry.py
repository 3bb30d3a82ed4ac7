"""Which programs' checkpoints are read, and telling whose a file is (no torch until a file is read).

A source is one file here and one line in `_SOURCES`.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, inform
from sightline.importers.contract import Source, SourceFile

AUTO = "auto"
# Name on the command line → the module that holds its `SOURCE`.
_SOURCES = {
    "nerf_pl": "sightline.importers.nerf_pl",
    "nerf-pytorch": "sightline.importers.nerf_pytorch",
    "bmild": "sightline.importers.bmild",
    "flax_nerf": "sightline.importers.flax_nerf",
    "krrish94": "sightline.importers.krrish94",
    "enr": "sightline.importers.enr",
    "pixelnerf": "sightline.importers.pixelnerf",
    "gpnr": "sightline.importers.gpnr",
}
SOURCE_NAMES = tuple(_SOURCES)
_SHOWN_KEYS = 6


def get_source(name: str) -> Source:
    """Find a source by its name; InputError lists the names there are."""
    if name not in _SOURCES:
        raise InputError(
            f"Checkpoints of {name!r} are not read",
            where="--from",
            fix=f"Choose one of: {', '.join((AUTO, *SOURCE_NAMES))}",
        )
    return import_module(_SOURCES[name]).SOURCE


def read_files(paths: Sequence[Path], source: str = AUTO) -> tuple[Source, list[SourceFile]]:
    """Read files, those beside them that belong to them too, and tell whose they are.

    Args:
        paths: files of one checkpoint.
        source: name of the program, or "auto".

    Raises:
        InputError: a file cannot be read, is of another program, or of none that is known.
    """
    if not paths:
        raise InputError("There is no file to import")
    wanted = None if source == AUTO else get_source(source)
    files = [SourceFile.read(path) for path in paths]
    found = {file.path: wanted or _recognise(file) for file in files}
    chosen = found[files[0].path]
    for file in files:
        if found[file.path] is not chosen or not chosen.recognise(file.content):
            raise _not_of(chosen, file)
    if len(paths) == 1:
        belonging = chosen.companions(paths[0])
        for path in belonging:
            if path != paths[0]:
                inform(f"Reading {path.name} beside it too")
        own = files[0]
        files = [own if path == paths[0] else SourceFile.read(path) for path in belonging] or files
    for file in files:
        if not chosen.recognise(file.content):
            raise _not_of(chosen, file)
    return chosen, files


def _recognise(file: SourceFile) -> Source:
    sources = [get_source(name) for name in SOURCE_NAMES]
    for source in sources:
        if source.recognise(file.content):
            return source
    looked_for = "; ".join(f"{source.name}: {source.looked_for}" for source in sources)
    raise InputError(
        f"The file is no checkpoint that is known: it holds {describe_content(file.content)}",
        where=file.path,
        fix=f"Looked for: {looked_for}",
    )


def _not_of(source: Source, file: SourceFile) -> InputError:
    others = [
        name for name in SOURCE_NAMES if name != source.name and get_source(name).recognise(file.content)
    ]
    hint = f"; it looks like one of {others[0]}" if others else ""
    return InputError(
        f"This is no checkpoint of {source.name}{hint}. It holds {describe_content(file.content)}",
        where=file.path,
        fix=f"{source.name} is known by {source.looked_for}. Give the right --from, or leave it away",
    )


def describe_content(content: Any) -> str:
    """Say in a few words what a file holds."""
    if isinstance(content, dict):
        names = [str(name) for name in content][:_SHOWN_KEYS]
        more = f" and {len(content) - len(names)} more" if len(content) > len(names) else ""
        return f"a dictionary of {', '.join(names)}{more}" if names else "an empty dictionary"
    if hasattr(content, "shape"):
        return f"an array of shape {tuple(content.shape)} and type {content.dtype}"
    if isinstance(content, (list, tuple)):
        return f"a list of {len(content)}"
    return f"a {type(content).__name__}"
