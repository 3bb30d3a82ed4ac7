"""metrics.jsonl read back: what a training logged, as columns of numbers; damaged lines are passed over."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.runs.run import METRICS

TRAIN, VALIDATION = "train", "val"


@dataclass(frozen=True, eq=False)
class Curve:
    """One value over the training: three columns of the same length, in the order of steps."""

    steps: np.ndarray
    """float64 (n,)"""
    minutes: np.ndarray
    """float64 (n,): training time"""
    values: np.ndarray
    """float64 (n,)"""

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class History:
    """Everything that was logged."""

    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    """kind ("train" or "val") → name → curve"""
    lines: int = 0
    """lines that could be read"""
    damaged: int = 0
    """lines that could not"""
    exists: bool = False
    """whether there is such a file"""

    def curve(self, kind: str, name: str) -> Curve | None:
        """Give a curve; None where it was not logged."""
        return self.curves.get(kind, {}).get(name)


_PLACE = ("kind", "step", "seconds", "fraction")


def read_history(folder: Path) -> History:
    """Read what the run in `folder` logged, as far as it can be read.

    Lines that were cut, are no JSON or have no step count as damaged. Values that are no finite numbers are
    left out.
    """
    path = Path(folder) / METRICS
    if not path.is_file():
        return History()
    rows: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    lines = damaged = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                kind, step, minutes = str(entry["kind"]), float(entry["step"]), float(entry["seconds"]) / 60
            except (ValueError, KeyError, TypeError, RecursionError):
                damaged += 1
                continue
            lines += 1
            for name, value in entry.items():
                if name not in _PLACE and _is_number(value):
                    rows.setdefault(kind, {}).setdefault(name, []).append((step, minutes, float(value)))
    curves = {
        kind: {name: _curve(triples) for name, triples in named.items()} for kind, named in rows.items()
    }
    return History(curves, lines, damaged, True)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _curve(triples: list[tuple[float, float, float]]) -> Curve:
    table = np.asarray(triples, np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return Curve(*table.T)
