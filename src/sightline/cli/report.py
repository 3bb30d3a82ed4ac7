"""`sightline report RUN…`: one page of HTML about a run, or about several side by side."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sightline.cli.arguments import JsonFlag, parse
from sightline.cli.console import print_json


@dataclass(frozen=True)
class Arguments:
    """Which runs, and what to show of them."""

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN …]")]
    """run folders"""
    out: Path | None = None
    """file to write; report.html in the run folder where not given, runs-report.html here for several runs"""
    views: int = 6
    """held-out views to show at most"""
    pictures: bool = True
    """leave out all pictures: figures, tables and curves only"""
    render: bool = True
    """render nothing: show only pictures that evaluations have saved, without depth"""
    data: Path | None = None
    """where the data is, if not at its recorded place"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to render"""
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Write the page; prints its path, or JSON."""
    parsed = parse(
        Arguments,
        arguments,
        program="report",
        description="Writes one page of HTML about a run, or about several side by side.",
    )
    from sightline.workflows.report import report_runs

    options = asdict(parsed)
    runs, as_json = options.pop("runs"), options.pop("json")
    report = report_runs(runs, **options)
    if as_json:
        print_json(report.to_json())
    else:
        print(report.path)
    return 0
