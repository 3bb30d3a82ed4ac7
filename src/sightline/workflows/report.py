"""`sightline report`: one page of HTML about a run, or about several side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.foundation.errors import InputError, inform
from sightline.foundation.files import write_atomic
from sightline.media.html import Html, element, join, page
from sightline.runs.run import Run
from sightline.workflows.report_comparison import comparison_page, title_of
from sightline.workflows.report_facts import RunFacts, labels_of
from sightline.workflows.report_page import run_page
from sightline.workflows.report_scores import MAIN, scores_of
from sightline.workflows.report_views import ReportViews, ViewChoice, choose_common, collect_views
from sightline.workflows.scenes import Device

PAGE, PAGE_OF_SEVERAL = "report.html", "runs-report.html"
VIEWS = 6
MOST_BYTES = 9_500_000
"""of a page, where smaller pictures can keep it so"""
_WIDTHS = (640, 480, 360, 256, 160)
"""pixels across of pictures, tried one after the other until the page is small enough"""


@dataclass(frozen=True)
class Report:
    """A page that was written."""

    path: Path
    size: int
    """bytes"""
    runs: tuple[RunFacts, ...]
    views: tuple[ReportViews, ...]

    def to_json(self) -> dict[str, Any]:
        """What `sightline report --json` prints."""
        return {
            "page": self.path.as_posix(),
            "bytes": self.size,
            "runs": [
                {
                    "run": facts.run.path.as_posix(),
                    "name": facts.label,
                    "method": facts.run.method_name,
                    "status": facts.status.text,
                    "damaged_lines": facts.history.damaged,
                    "views": [view.title for view in found.views],
                    "notes": list(found.notes),
                    "evaluations": [
                        {
                            "name": evaluation.name,
                            "protocol": evaluation.metrics["protocol"],
                            "split": evaluation.metrics["split"],
                            "views": evaluation.metrics["views"],
                            **_finite(scores_of(evaluation.metrics)),
                        }
                        for evaluation in facts.evaluations
                    ],
                }
                for facts, found in zip(self.runs, self.views, strict=True)
            ],
        }


def report_runs(
    runs: Sequence[Run | Path | str],
    *,
    out: Path | str | None = None,
    views: int = VIEWS,
    pictures: bool = True,
    render: bool = True,
    data: Path | str | None = None,
    device: Device = "auto",
) -> Report:
    """Write a page about a run, or about several side by side.

    Args:
        runs: run folders.
        out: the file; report.html in the folder of the run where not given, and runs-report.html in the
            working directory for several.
        views: held-out views to show at most.
        pictures: whether there are pictures at all.
        render: whether what no evaluation has saved, and depth, is rendered now.
        data: where the data is, if not at its recorded place.
        device: where to render.

    Raises:
        InputError: a folder is no run, or is given twice.
        RunError: the page cannot be written.
    """
    if views < 0:
        raise InputError("There cannot be fewer than no views", where="--views", fix="Give 0 or more")
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    _check_different(opened)
    target = _place(opened, out)
    labels = labels_of([run.path for run in opened])
    facts = [RunFacts.read(run, label) for run, label in zip(opened, labels, strict=True)]
    place = None if data is None else str(data)
    choice = ViewChoice(views if pictures else 0, render=render, data=place, device=device)
    if len(facts) == 1:
        found = [collect_views(facts[0], choice)]
        title = f"{facts[0].label}: {facts[0].run.method_name}"

        def body(width: int) -> Html:
            return run_page(facts[0], found[0], width=width, pictures=pictures)

    else:
        found = _same_views(facts, replace(choice, depth=False))
        title = title_of(facts)

        def body(width: int) -> Html:
            return comparison_page(facts, found, width=width)

    text = _fitting(lambda width: page(title, join([body(width), _footer()])))
    write_atomic(target, text.encode("utf-8"))
    inform(f"Wrote a page of {len(text) / 1e6:.1f} MB")
    return Report(target, len(text.encode("utf-8")), tuple(facts), tuple(found))


def _same_views(facts: Sequence[RunFacts], choice: ViewChoice) -> list[ReportViews]:
    """Collect the same views of all runs, as far as they have them."""
    choice = choose_common(facts, choice)
    if choice.keys is not None:
        return [collect_views(run, choice) for run in facts]
    # Nothing is saved: what the first run renders, the others render too.
    first = collect_views(facts[0], choice)
    if first.views:
        keys = tuple(view.key for view in first.views)
        choice = replace(choice, keys=keys, data_name=facts[0].data_folder)
    return [first, *(collect_views(run, choice) for run in facts[1:])]


def _check_different(runs: Sequence[Run]) -> None:
    if not runs:
        raise InputError("No run is given", fix="Give one run folder or several")
    seen: set[Path] = set()
    for run in runs:
        path = run.path.resolve()
        if path in seen:
            raise InputError("The run is given twice", where=run.path, fix="Give each run once")
        seen.add(path)


def _place(runs: Sequence[Run], out: Path | str | None) -> Path:
    if out is None:
        return runs[0].path / PAGE if len(runs) == 1 else Path(PAGE_OF_SEVERAL)
    path = Path(out).expanduser()
    if path.is_dir():
        raise InputError("The page is a file, but this is a folder", where=path, fix="Give a file to --out")
    return path


def _fitting(make: Callable[[int], str]) -> str:
    """Make the page with the largest pictures that keep it small enough."""
    text = ""
    for width in _WIDTHS:
        text = make(width)
        if len(text) <= MOST_BYTES:
            break
    return text


def _footer() -> Html:
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return element("footer", f"Made by Sightline {__version__} on {now}.")


def _finite(scores: dict[str, float | None]) -> dict[str, float | str | None]:
    return {name: "inf" if scores[name] == float("inf") else scores[name] for name in MAIN}
