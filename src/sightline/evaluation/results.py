"""What an evaluation found, as `metrics.json` (standard JSON: nothing NaN or infinite) and `per_view.csv`."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.evaluation.protocols import Protocol, Scores
from sightline.foundation.files import write_atomic, write_json

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


@dataclass(frozen=True)
class SubjectResult:
    """The scores of the views of one scene or object."""

    name: str | None
    category: str | None
    views: list[ViewResult]


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation: what `metrics.json` says, and the folder of its files."""

    metrics: dict[str, Any]
    folder: Path | None


def summarise(
    subjects: Sequence[SubjectResult], protocol: Protocol, lpips_reason: str | None
) -> dict[str, Any]:
    """Put together the scores of `metrics.json`: means, reasons for what is null, views, objects, categories.

    An infinite PSNR is null, with the reason, the number of `identical_views` and the mean over the others.
    """
    by_subject = [protocol.average([view.scores for view in subject.views]) for subject in subjects]
    views = [view for subject in subjects for view in subject.views]
    reasons = {"lpips": lpips_reason} if lpips_reason else {}
    found = _explained(protocol.average(by_subject), [view.scores for view in views], reasons)
    found["views"] = len(views)
    found["per_view"] = [_view_entry(subject, view) for subject in subjects for view in subject.views]
    if any(subject.name is not None for subject in subjects):
        found["per_object"] = [
            {"object": s.name, "category": s.category, "views": len(s.views), **_finite(scores)}
            for s, scores in zip(subjects, by_subject, strict=True)
        ]
        found["per_category"] = _categories(subjects, by_subject, protocol)
    found["baselines"] = _baselines(subjects, protocol)
    return found


def per_view_csv(subjects: Sequence[SubjectResult], protocol: Protocol) -> str:
    """Write a row per view; infinite PSNR is `inf`, what is not defined is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["object", "index", "name", *protocol.metrics, "seconds"])
    for subject in subjects:
        for view in subject.views:
            values = ["" if view.scores[m] is None else view.scores[m] for m in protocol.metrics]
            writer.writerow([subject.name or "", view.index, view.name, *values, round(view.seconds, 4)])
    return buffer.getvalue()


def write_results(folder: Path, metrics: dict[str, Any], table: str) -> None:
    """Write `per_view.csv`, then `metrics.json`, whose presence says that the evaluation is whole."""
    write_atomic(folder / "per_view.csv", table.encode("utf-8"))
    write_json(folder / "metrics.json", metrics)


def _explained(means: Scores, views: Sequence[Scores], reasons: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metric, mean in means.items():
        values = [scores[metric] for scores in views]
        infinite = sum(value == math.inf for value in values)
        found[metric] = _finite({metric: mean})[metric]
        if metric in reasons:
            found[f"{metric}_reason"] = reasons[metric]
        elif infinite:
            found["identical_views"] = infinite
            rest = [value for value in values if value is not None and math.isfinite(value)]
            found[f"{metric}_reason"] = (
                f"infinite: {infinite} of {len(values)} predictions are identical to the truth"
            )
            found[f"{metric}_of_other_views"] = math.fsum(rest) / len(rest) if rest else None
        elif None in values:
            found[f"{metric}_reason"] = f"not defined for {values.count(None)} of {len(values)} views"
    return found


def _view_entry(subject: SubjectResult, view: ViewResult) -> dict[str, Any]:
    entry: dict[str, Any] = {} if subject.name is None else {"object": subject.name}
    entry |= {
        "index": view.index,
        "name": view.name,
        **_finite(view.scores),
        "seconds": round(view.seconds, 4),
    }
    if math.inf in view.scores.values():
        entry["identical"] = True
    if view.broken_pixels:
        entry["broken_pixels"] = view.broken_pixels
    return entry


def _categories(
    subjects: Sequence[SubjectResult], by_subject: Sequence[Scores], protocol: Protocol
) -> list[dict[str, Any]]:
    groups: dict[str, list[Scores]] = {}
    for subject, scores in zip(subjects, by_subject, strict=True):
        if subject.category is not None:
            groups.setdefault(subject.category, []).append(scores)
    return [
        {"category": category, "objects": len(scores), **_finite(protocol.average(scores))}
        for category, scores in sorted(groups.items())
    ]


def _baselines(subjects: Sequence[SubjectResult], protocol: Protocol) -> dict[str, Any]:
    names = dict.fromkeys(name for s in subjects for view in s.views for name in view.baselines)
    found = {}
    for name in names:
        groups = ([v.baselines[name] for v in s.views if name in v.baselines] for s in subjects)
        found[name] = _finite(protocol.average([protocol.average(group) for group in groups if group]))
    return found


def _finite(scores: Scores) -> Scores:
    return {
        key: None if value is None or not math.isfinite(value) else value for key, value in scores.items()
    }
