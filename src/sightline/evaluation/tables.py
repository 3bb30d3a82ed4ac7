"""Tables of evaluations, from what `metrics.json` says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.media.tables import Cell, Column, Table

MOST_OBJECTS = 100
"""below so many, objects are listed one by one"""
_SCORES = {"psnr": Column("PSNR", 2), "ssim": Column("SSIM", 4), "lpips": Column("LPIPS", 4)}
_MORE = {"ssim_range2": Column("SSIM, range 2", 4)}
"""of single protocols"""


def comparison_table(evaluations: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Put several evaluations side by side: a row for each, and one for each of its baselines."""
    columns = (Column("method"), Column("data"), Column("split"), Column("protocol"), Column("views"))
    rows: list[tuple[Cell, ...]] = []
    for metrics in evaluations:
        facts = tuple(metrics[key] for key in ("data", "split", "protocol", "views"))
        rows.append((metrics["method"], *facts, *_scores(metrics), metrics["seconds_per_view"]))
        rows += [(f"({name})", *facts, *_scores(found), None) for name, found in metrics["baselines"].items()]
    return Table((*columns, *_SCORES.values(), Column("s/view", 3)), tuple(rows), title)


def view_table(metrics: Mapping[str, Any], title: str = "") -> Table:
    """List the views of one evaluation, and their mean as `metrics.json` has it."""
    more = _more(metrics) | _of_fitted(metrics)
    rows = [(view["name"], *_scores(view, more), view["seconds"]) for view in metrics["per_view"]]
    mean = ("mean", *_scores(metrics, more), metrics["seconds_per_view"])
    columns = (Column("view"), *_SCORES.values(), *more.values(), Column("s", 3))
    return Table(columns, (*rows, mean), title)


def result_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """Show one evaluation: its views, or its objects and categories with the baselines below."""
    title = f"{metrics['method']}, {metrics['split']}, protocol {metrics['protocol']}"
    if "per_object" not in metrics:
        return [view_table(metrics, title)]
    more = _more(metrics)
    columns = (Column("views"), *_SCORES.values(), *more.values())
    mean = ("mean", metrics["views"], *_scores(metrics, more))
    baselines = [(f"({name})", None, *_scores(found, more)) for name, found in metrics["baselines"].items()]
    tables = []
    if len(metrics["per_object"]) < MOST_OBJECTS:
        rows = [(e["object"], e["views"], *_scores(e, more)) for e in metrics["per_object"]]
        tables.append(Table((Column("object"), *columns), tuple(rows), title))
    groups = [(e["category"], None, *_scores(e, more)) for e in metrics["per_category"]]
    rows = [*(groups if len(groups) > 1 else []), mean, *baselines]
    heading = f"{len(metrics['per_object'])} objects" if tables else title
    return [*tables, Table((Column("mean over objects"), *columns), tuple(rows), heading)]


def _more(metrics: Mapping[str, Any]) -> dict[str, Column]:
    return {name: column for name, column in _MORE.items() if name in metrics}


def _of_fitted(metrics: Mapping[str, Any]) -> dict[str, Column]:
    """Columns of the scores with something fitted to the photos, named in their headings."""
    what = ", ".join(metrics.get("fitted", ()))
    columns = {f"{name}_fitted": column for name, column in _SCORES.items()}
    return {
        name: Column(f"{column.name}, {what} fitted", column.digits)
        for name, column in columns.items()
        if metrics.get(name) is not None
    }


def _scores(entry: Mapping[str, Any], more: Mapping[str, Column] | None = None) -> tuple[float | None, ...]:
    infinite = entry.get("identical") or entry.get("identical_views")
    psnr = math.inf if entry["psnr"] is None and infinite else entry["psnr"]
    return psnr, entry.get("ssim"), entry.get("lpips"), *(entry.get(name) for name in more or ())
