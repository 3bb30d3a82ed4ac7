"""What an evaluation found, as `metrics.json` (standard JSON: nothing NaN or infinite) and `per_view.csv`."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from sightline.evaluation.protocols import Protocol, Scores
from sightline.foundation.files import atomic_path, write_json

SCHEMA = 1


@dataclass(frozen=True)
class ViewResult:
    """The scores of one view."""

    index: int
    """in the capture"""
    name: str
    scores: Scores
    seconds: float
    """rendering time"""
    baselines: dict[str, Scores] = field(default_factory=dict)
    broken_pixels: int = 0
    """pixels of the prediction that were not finite"""
    sources: tuple[int, ...] | None = None
    """views that the object was shown by; None where the scene itself was learnt"""
    fitted: Scores | None = None
    """with what was fitted to this view; None where nothing is"""


@dataclass(frozen=True)
class SubjectResult:
    """The scores of the views of one scene or object."""

    name: str | None
    category: str | None
    views: list[ViewResult]
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    """means of baselines whose views are not listed"""


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation: what `metrics.json` says, and the folder of its files."""

    metrics: dict[str, Any]
    folder: Path | None


def write_results(
    folder: Path, metrics: dict[str, Any], subjects: Iterable[SubjectResult], protocol: Protocol
) -> None:
    """Write `per_view.csv`, then `metrics.json`, whose presence says that the evaluation is whole.

    The table has a row per view; infinite PSNR is `inf`, what is not defined is empty. `sources` is there
    for methods that see an object from some of its views, `psnr_fitted` and so on where something is fitted.
    """
    with atomic_path(folder / "per_view.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        _write_table(file, subjects, protocol)
    write_json(folder / "metrics.json", metrics)


def _write_table(stream: TextIO, subjects: Iterable[SubjectResult], protocol: Protocol) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    headed = False
    for subject in subjects:
        for view in subject.views:
            with_sources = view.sources is not None
            if not headed:
                columns = ["object", *(["sources"] if with_sources else []), "index", "name"]
                more = [] if view.fitted is None else [f"{metric}_fitted" for metric in protocol.metrics]
                writer.writerow([*columns, *protocol.metrics, *more, "seconds"])
                headed = True
            shown = [" ".join(map(str, view.sources))] if view.sources is not None else []
            values = [
                "" if scores[metric] is None else scores[metric]
                for scores in (view.scores, view.fitted)
                if scores is not None
                for metric in protocol.metrics
            ]
            row = [subject.name or "", *shown, view.index, view.name, *values, round(view.seconds, 4)]
            writer.writerow(row)
