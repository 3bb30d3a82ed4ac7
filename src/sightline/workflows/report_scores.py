"""The scores of a report: every evaluation of a run, and several runs in one table."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.evaluation.saved_views import SavedEvaluation
from sightline.media.html import Html, element, join
from sightline.media.tables import Cell, Column, Link, Table, format_cell, to_html
from sightline.workflows.report_facts import RunFacts

SCORES = {
    "psnr": Column("PSNR", 2),
    "ssim": Column("SSIM", 4),
    "lpips": Column("LPIPS", 4),
    "ssim_range2": Column("SSIM, range 2", 4),
}
"""the last one is of single protocols; columns without any value are left out"""
MAIN = ("psnr", "ssim", "lpips")
MOST_ROWS = 1000
"""rows of a table at most; all views are in per_view.csv"""
_FEW_ROWS = 30
"""longer tables are folded"""
_BETTER: dict[str, Callable] = {"psnr": max, "ssim": max, "lpips": min, "ssim_range2": max}


def scores_of(entry: Mapping[str, Any]) -> dict[str, float | None]:
    """The scores of an entry of metrics.json; infinite PSNR is null there, with the reason."""
    found = {name: entry.get(name) for name in SCORES}
    if found["psnr"] is None and (entry.get("identical") or entry.get("identical_views")):
        found["psnr"] = math.inf
    return found


def main_figures(evaluation: SavedEvaluation) -> list[tuple[str, str]]:
    """Heading and text of each score that is known."""
    scores = scores_of(evaluation.metrics)
    units = {"psnr": " dB"}
    return [
        (SCORES[name].name, format_cell(scores[name], SCORES[name].digits) + units.get(name, ""))
        for name in MAIN
        if scores[name] is not None
    ]


def evaluation_section(evaluation: SavedEvaluation, anchors: Mapping[Any, str]) -> Html:
    """Show one evaluation: what was judged and how, scores, baselines, categories, objects, views.

    Args:
        anchors: key of a view → id of its picture on the page.
    """
    metrics = evaluation.metrics
    parts = [
        element("h3", evaluation.name, id=anchor_of(evaluation)),
        facts_list(_facts(evaluation)),
        *_reasons(metrics),
        _summary_table(metrics),
    ]
    if metrics.get("per_object"):
        rows = [
            (entry.get("object"), entry.get("category"), entry.get("views"), *scores_of(entry).values())
            for entry in metrics["per_object"]
        ]
        columns = (Column("object"), Column("category"), Column("views"), *SCORES.values())
        parts.append(_long_table(columns, rows, "objects"))
    parts.append(_view_table(metrics, anchors))
    return join(parts)


def anchor_of(evaluation: SavedEvaluation) -> str:
    """Id of an evaluation's section."""
    return f"evaluation-{_slug(evaluation.name)}"


def facts_list(facts: Mapping[str, Html | str | None]) -> Html:
    """Names and values below each other; those without a value are left out."""
    known = [(name, value) for name, value in facts.items() if value not in (None, "")]
    return element(
        "dl",
        *[join([element("dt", name), element("dd", value)], "") for name, value in known],
        class_="facts",
    )


def table(table: Table, **options: Any) -> Html:
    """A table that scrolls sideways where there is no room."""
    return element("div", Html(to_html(table, **options)), class_="scroll")


def _facts(evaluation: SavedEvaluation) -> dict[str, str | None]:
    metrics = evaluation.metrics
    size = evaluation.size()
    sources = metrics.get("sources")
    seconds = metrics.get("seconds_per_view")
    return {
        "protocol": str(metrics["protocol"]),
        # The name alone: where it lay is of no use to who gets the page.
        "data": evaluation.data_name,
        "split": f"{metrics['split']}, {metrics['views']} views"
        + (f" of {_objects(len(metrics['per_object']))}" if metrics.get("per_object") else ""),
        "picture": None if size is None else f"{size[0]} × {size[1]}",
        "background": metrics.get("background"),
        "sources": None if not isinstance(sources, Mapping) else describe_sources(sources),
        "sampler": metrics.get("sampler"),
        "rendering": None if seconds is None else f"{seconds:.3g} s a view, {_device(metrics)}",
    }


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"


def describe_sources(rule: Mapping[str, Any]) -> str:
    """Say which views showed each object."""
    if rule.get("each"):
        return "every view in turn"
    if rule.get("list"):
        return f"by the list {rule['list']}"
    if rule.get("count"):
        return f"{rule['count']} views, evenly spread"
    if rule.get("split"):
        return f"the views of the split {rule['split']}"
    return f"view {', '.join(map(str, rule.get('views') or ()))}"


def _device(metrics: Mapping[str, Any]) -> str:
    device = metrics.get("device") or {}
    return str(device.get("gpu") or device.get("processor") or device.get("type") or "unknown device")


def _reasons(metrics: Mapping[str, Any]) -> list[Html]:
    return [
        element(
            "p", f"{column.name}: {str(metrics[f'{name}_reason']).partition(' Where: ')[0]}", class_="quiet"
        )
        for name, column in SCORES.items()
        if metrics.get(f"{name}_reason")
    ]


def _summary_table(metrics: Mapping[str, Any]) -> Html | None:
    """Mean, categories and baselines, where there is more than the mean."""
    baselines = metrics.get("baselines") or {}
    groups = metrics.get("per_category") or []
    rows: list[tuple[Cell, ...]] = [(str(metrics.get("method", "run")), *scores_of(metrics).values())]
    if len(groups) > 1:
        rows += [(f"only {entry.get('category')}", *scores_of(entry).values()) for entry in groups]
    rows += [(f"baseline {name}", *scores_of(found).values()) for name, found in baselines.items()]
    if len(rows) == 1:
        return None
    columns = (Column("mean"), *SCORES.values())
    reasons = [
        element("p", f"baseline {name}: {found['reason']}", class_="quiet")
        for name, found in baselines.items()
        if found.get("reason")
    ]
    return join([table(_without_empty(Table(columns, tuple(rows)))), *reasons])


def _view_table(metrics: Mapping[str, Any], anchors: Mapping[Any, str]) -> Html:
    entries = metrics["per_view"]
    if entries is None:
        return element(
            "p", metrics.get("per_view_reason", "Views are listed in per_view.csv"), class_="quiet"
        )
    many = any("object" in entry for entry in entries)
    rows = []
    for entry in entries:
        name, object = str(entry.get("name")), entry.get("object")
        anchor = anchors.get((object, name), anchors.get((None, name)))
        shown = name if anchor is None else Link(name, anchor)
        rows.append((*([object] if many else []), shown, *scores_of(entry).values(), entry.get("seconds")))
    columns = (*([Column("object")] if many else []), Column("view"), *SCORES.values(), Column("seconds", 3))
    seconds = metrics.get("seconds_per_view")
    mean = (*(["mean", ""] if many else ["mean"]), *scores_of(metrics).values(), seconds)
    return _long_table(columns, rows, "views", mean)


def _long_table(
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    name: str,
    mean: tuple[Cell, ...] | None = None,
) -> Html:
    """A table that can be sorted; folded where it is long."""
    kept = list(rows[:MOST_ROWS])
    whole = Table(tuple(columns), tuple([*kept, mean] if mean else kept))
    shown = table(_without_empty(whole), sortable=True, footer=1 if mean else 0)
    if len(rows) > MOST_ROWS:
        more = element("p", f"The first {MOST_ROWS} of {len(rows)}; all are in the folder of the evaluation.")
        shown = join([more, shown])
    counted = f"1 {name.removesuffix('s')}" if len(rows) == 1 else f"{len(rows)} {name}"
    summary = element("summary", f"{counted}: click a heading to sort")
    return element("details", summary, shown, open=len(rows) <= _FEW_ROWS)


def _without_empty(table: Table) -> Table:
    """Leave out columns of numbers without any value."""
    kept = [
        index
        for index, column in enumerate(table.columns)
        if column.name not in {c.name for c in SCORES.values()} | {"category"}
        or any(row[index] is not None for row in table.rows)
    ]
    rows = tuple(tuple(row[index] for index in kept) for row in table.rows)
    return Table(tuple(table.columns[index] for index in kept), rows, table.title)


@dataclass(frozen=True)
class Judged:
    """What an evaluation judged: scores of evaluations that differ in it cannot be compared."""

    data: str
    split: str
    protocol: str
    picture: str
    background: str
    views: str
    sources: str

    @classmethod
    def of(cls, facts: RunFacts, evaluation: SavedEvaluation) -> "Judged":
        """Read it from what was saved."""
        metrics, size = evaluation.metrics, evaluation.size()
        sources = metrics.get("sources")
        return cls(
            data=evaluation.data_name,
            split=str(metrics["split"]),
            protocol=str(metrics["protocol"]),
            picture=f"÷ {facts.run.record.data.downscale:g}" if size is None else f"{size[0]} × {size[1]}",
            background=str(metrics.get("background")),
            views=str(metrics["views"]),
            sources=describe_sources(sources) if isinstance(sources, Mapping) else "",
        )


@dataclass(frozen=True)
class _Row:
    facts: RunFacts
    evaluation: SavedEvaluation
    judged: Judged
    keys: frozenset


def comparison(runs: Sequence[RunFacts]) -> Html:
    """One table of the evaluations of several runs, which says what cannot be compared."""
    rows = [
        _Row(facts, evaluation, Judged.of(facts, evaluation), _keys(evaluation))
        for facts in runs
        for evaluation in facts.evaluations
    ]
    silent = [facts.label for facts in runs if not facts.evaluations]
    missing = element("p", f"Not evaluated: {', '.join(silent)}.", class_="quiet") if silent else None
    if not rows:
        return join([missing])
    # Evaluations of the same views by the same rules stand together; the largest group comes first.
    groups: list[list[_Row]] = []
    for row in rows:
        group = next((g for g in groups if not _differences(g[0], row)), None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    groups.sort(key=lambda group: -len({row.facts.label for row in group}))
    return join([*_warnings(groups), _comparison_table(groups), missing])


def _comparison_table(groups: Sequence[Sequence[_Row]]) -> Html:
    names = {"data": "data", "split": "split", "protocol": "protocol", "picture": "picture"}
    names |= {"background": "background", "views": "views", "sources": "sources"}
    if not any(row.judged.sources for group in groups for row in group):
        del names["sources"]
    columns = (
        Column("run"),
        Column("method"),
        *SCORES.values(),
        Column("s/view", 3),
        *map(Column, names.values()),
    )
    rows, classes = [], []
    for group in groups:
        scores = [scores_of(row.evaluation.metrics) for row in group]
        for row, found in zip(group, scores, strict=True):
            differing = set(_differences(groups[0][0], row))
            rows.append(
                (
                    row.facts.label,
                    row.facts.run.method_name,
                    *found.values(),
                    row.evaluation.metrics.get("seconds_per_view"),
                    *(getattr(row.judged, name) for name in names),
                )
            )
            best = ["best" if _is_best(name, found[name], scores) else "" for name in SCORES]
            marks = ["differs" if name in differing else "" for name in names]
            classes.append(["", "", *best, "", *marks])
    whole = Table(columns, tuple(rows))
    kept = [
        index
        for index, column in enumerate(columns)
        if column not in SCORES.values() or any(row[index] is not None for row in rows)
    ]
    narrow = Table(tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in whole.rows))
    return table(narrow, sortable=True, classes=[[line[i] for i in kept] for line in classes])


def _warnings(groups: Sequence[Sequence[_Row]]) -> list[Html]:
    first = groups[0][0]
    lines = []
    for group in groups[1:]:
        told = ", ".join(
            _difference(name, first.judged, group[0].judged) for name in _differences(first, group[0])
        )
        for row in group:
            lines.append(element("li", f"{row.facts.label}, {row.evaluation.name} ({told})"))
    if not lines:
        return []
    heading = f"Not comparable with {first.facts.label}, {first.evaluation.name}:"
    return [element("div", heading, element("ul", *lines), class_="note")]


def _difference(name: str, first: Judged, other: Judged) -> str:
    """Say in what two evaluations differ; views may be as many and others nevertheless."""
    wanted, found = getattr(first, name), getattr(other, name)
    return "other views" if wanted == found else f"{name}: {found or 'none'}, not {wanted or 'none'}"


def _differences(first: _Row, other: _Row) -> list[str]:
    names = [name for name in Judged.__dataclass_fields__ if name != "sources" or first.keys != other.keys]
    found = [name for name in names if getattr(first.judged, name) != getattr(other.judged, name)]
    if "views" not in found and first.keys != other.keys:
        found.append("views")
    return found


def _keys(evaluation: SavedEvaluation) -> frozenset:
    # A scene is the only object of its set where a method that generalises was asked.
    entries = evaluation.metrics["per_view"] or []
    objects = {entry.get("object") for entry in entries}
    alone = len(objects) <= 1
    return frozenset((None if alone else entry.get("object"), str(entry.get("name"))) for entry in entries)


def _is_best(name: str, value: float | None, scores: Sequence[Mapping[str, float | None]]) -> bool:
    known = [found[name] for found in scores if found[name] is not None]
    return len(known) > 1 and value is not None and value == _BETTER[name](known)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
