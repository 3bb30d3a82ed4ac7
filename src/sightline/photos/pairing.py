"""Which pairs of photos are compared: all of few, neighbours in time and look-alikes of many."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Matcher = Literal["auto", "exhaustive", "sequential", "retrieval"]
Pairs = list[tuple[int, int]]

ALL_UP_TO = 60
"""photos of which all pairs are compared"""
_NEIGHBOURS = 6
"""that follow a frame of a video, and further ones at powers of two"""
_FARTHEST = 32
_ALIKE = 20
"""look-alikes of a photo"""
_LOOPS = 6
"""look-alikes of a frame, among those that are not near in time"""
_IN_ORDER = 4
"""photos that follow one in the order of their names"""


def choose_matcher(count: int, ordered: bool) -> Matcher:
    """Choose how pairs are found, by the number of photos and whether they follow each other in time."""
    if count <= ALL_UP_TO:
        return "exhaustive"
    return "sequential" if ordered else "retrieval"


def choose_pairs(count: int, matcher: Matcher, alike: Callable[[], np.ndarray]) -> Pairs:
    """Choose pairs (i, j), i < j.

    Args:
        count: number of photos, in their order.
        matcher: `exhaustive`: all; `sequential`: those that follow, and look-alikes from other times, which
            close loops; `retrieval`: look-alikes, and the next few in order.
        alike: gives float (count, count), larger where two photos are more alike; asked if needed.
    """
    if matcher == "exhaustive":
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    likeness = alike()
    if matcher == "sequential":
        steps = [*range(1, _NEIGHBOURS + 1), *_powers()]
        pairs = {(i, i + step) for i in range(count) for step in steps if i + step < count}
        return sorted(pairs | _nearest(likeness, _LOOPS, apart=_NEIGHBOURS))
    pairs = {(i, i + step) for i in range(count) for step in range(1, _IN_ORDER + 1) if i + step < count}
    return sorted(pairs | _nearest(likeness, _ALIKE, apart=0))


def wider_pairs(lost: Sequence[int], count: int, known: Pairs) -> Pairs:
    """Pairs of photos that found no place with all others, as far as they have not been compared."""
    there = set(known)
    pairs = {(min(i, j), max(i, j)) for i in lost for j in range(count) if i != j}
    return sorted(pairs - there)


def _powers() -> list[int]:
    return [step for step in (8, 16, 32) if _NEIGHBOURS < step <= _FARTHEST]


def _nearest(likeness: np.ndarray, most: int, apart: int) -> set[tuple[int, int]]:
    count = len(likeness)
    found = set()
    for i in range(count):
        row = likeness[i].astype(np.float64).copy()
        row[max(0, i - apart) : i + apart + 1] = -np.inf
        for j in np.argsort(-row, kind="stable")[:most].tolist():
            if np.isfinite(row[j]) and row[j] > 0:
                found.add((min(i, j), max(i, j)))
    return found
