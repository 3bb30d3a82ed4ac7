"""`sightline export RUN mesh|points|volume|weights|web`: files for other programs, made of a run."""

import sys
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sightline.cli.arguments import Flat, JsonFlag, RunFolder, parse
from sightline.cli.console import print_json
from sightline.exports.registry import ExportInfo, get_export_info, list_exports

_OUT = Annotated[
    Path | None, tyro.conf.arg(help="file to write; in the run folder's exports/ where not given")
]
_DATA = Annotated[Path | None, tyro.conf.arg(help="where the photos are, if not at their recorded place")]
_OBJECT = Annotated[
    str | None,
    tyro.conf.arg(
        help="of methods that generalise: id of the object; the first of the split where not given"
    ),
]
_SPLIT = Annotated[str, tyro.conf.arg(help="of methods that generalise: whose first object is taken")]
_SOURCES = Annotated[
    str | None,
    tyro.conf.arg(help="of methods that generalise: views that show it, by number or name (64,104)"),
]
_DEVICE = Annotated[Literal["auto", "cpu", "cuda"], tyro.conf.arg(help="where to compute")]
_BEST = Annotated[bool, tyro.conf.arg(help="use the weights with the highest validation PSNR")]


def main(arguments: list[str]) -> int:
    """Export; prints the main file."""
    names = [info.name for info in list_exports()]
    # The name stands behind the run; before it, where help is asked for without a run.
    position = next((k for k in (1, 0) if k < len(arguments) and arguments[k] in names), None)
    if position is None:
        asked = not arguments or arguments[0] in ("-h", "--help")
        if not asked and len(arguments) > 1 and not arguments[1].startswith("-"):
            get_export_info(arguments[1])
        print(_exports(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    info = get_export_info(arguments[position])
    parsed: Any = parse(
        _kind(info),
        arguments[:position] + arguments[position + 1 :],
        program=f"export RUN {info.name}",
        description=f"Exports {info.summary}.",
    )
    from sightline.workflows.export import export_run

    result = export_run(
        parsed.run,
        info.name,
        parsed.options,
        out=parsed.out,
        data=parsed.data,
        device=parsed.device,
        best=parsed.best,
        object=parsed.object,
        split=parsed.split,
        sources=parsed.sources,
    )
    if parsed.json:
        print_json(result.to_json())
    else:
        print(result.path)
    return 0


def _kind(info: ExportInfo) -> type:
    """Make the dataclass of one export's command: the run, its own settings, what all have."""
    options = info.options_class()
    return make_dataclass(
        "Arguments",
        [
            ("run", RunFolder),
            ("options", Flat[options], field(default_factory=options)),  # type: ignore[valid-type]
            ("out", _OUT, field(default=None)),
            ("data", _DATA, field(default=None)),
            ("object", _OBJECT, field(default=None)),
            ("split", _SPLIT, field(default="test")),
            ("sources", _SOURCES, field(default=None)),
            ("device", _DEVICE, field(default="auto")),
            ("best", _BEST, field(default=False)),
            ("json", JsonFlag, field(default=False)),
        ],
        frozen=True,
    )


def _exports() -> str:
    exports = list_exports()
    width = max(len(info.name) for info in exports)
    lines = ["usage: sightline export RUN EXPORT [flags]", ""]
    lines += [f"  {info.name:<{width}}  {info.summary}" for info in exports]
    lines += ["", "`sightline export RUN EXPORT --help` lists the flags."]
    return "\n".join(lines)
