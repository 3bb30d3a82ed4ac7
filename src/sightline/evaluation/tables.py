"""Tables of evaluations, from what `metrics.json` says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.media.tables import Cell, Column, Table

_SCORES = {"psnr": Column("PSNR", 2), "ssim": Column("SSIM", 4), "lpips": Column("LPIPS", 4)}


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
    rows = [(view["name"], *_scores(view), view["seconds"]) for view in metrics["per_view"]]
    mean = ("mean", *_scores(metrics), metrics["seconds_per_view"])
    return Table((Column("view"), *_SCORES.values(), Column("s", 3)), (*rows, mean), title)


def _scores(entry: Mapping[str, Any]) -> tuple[float | None, ...]:
    infinite = entry.get("identical") or entry.get("identical_views")
    psnr = math.inf if entry["psnr"] is None and infinite else entry["psnr"]
    return psnr, entry.get("ssim"), entry.get("lpips")
