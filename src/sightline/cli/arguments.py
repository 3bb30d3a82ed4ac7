"""Parsing arguments into dataclasses, in the same way for every command."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

Parsed = TypeVar("Parsed")

Flat = tyro.conf.OmitArgPrefixes
OneWay = tyro.conf.FlagCreatePairsOff
"""of switches that can only be changed from what they usually are"""
JsonFlag = OneWay[Annotated[bool, tyro.conf.arg(help="print the result as JSON on stdout")]]
Data = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA", help="folder or file of the data")]
RunFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN", help="run folder")]

Files = Annotated[tuple[tuple[Path, ...], ...], tyro.conf.UseAppendAction]
Texts = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction]
"""values after a flag that may be given again: --photo a.jpg b.jpg --photo c.jpg"""

_STYLE = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.HelptextFromCommentsOff)


def parse(
    kind: type[Parsed], arguments: Sequence[str], *, program: str, description: str, both_ways: bool = False
) -> Parsed:
    """Parse arguments into the dataclass `kind`, whose field docstrings are the help; errors exit with 2.

    Args:
        both_ways: switches have two flags, --x and --no-x, where they are not `OneWay`.
    """
    return tyro.cli(
        kind,
        prog=f"sightline {program}",
        description=description,
        args=list(arguments),
        config=_STYLE if both_ways else (OneWay, *_STYLE),
    )


def peek(arguments: Sequence[str], *names: str) -> dict[str, str | None]:
    """Read a few flags before the rest can be parsed; the value of one that is absent is None."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in names:
        parser.add_argument(f"--{name}", dest=name, nargs="?", const="")
    try:
        found, _ = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError:
        return dict.fromkeys(names)
    return vars(found)


def peek_path(values: dict[str, Any], name: str) -> Path | None:
    """Give a peeked value as a path."""
    return Path(values[name]) if values.get(name) else None
