"""Measuring sides that do the same by turns: the time of calls, and losses over the same batches."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

_PARTS = 10


@dataclass(frozen=True)
class Timing:
    """Medians of one side, and what its first call gave."""

    seconds: float
    processor_seconds: float
    result: Tensor


def time_in_turns(calls: Mapping[str, Callable[[], Tensor]], rounds: int) -> dict[str, Timing]:
    """Measure all sides in turns, after a first call of each."""
    results = {name: call() for name, call in calls.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began, processor = time.perf_counter(), time.process_time()
            call()
            taken[name].append((time.perf_counter() - began, time.process_time() - processor))
    found = {}
    for name, rows in taken.items():
        seconds, processor = (statistics.median(column) for column in zip(*rows, strict=True))
        found[name] = Timing(seconds, processor, results[name])
    return found


@dataclass(frozen=True)
class Curve:
    """Losses of the plain implementation and of a method; means of each tenth of the steps."""

    method: str
    steps: int
    batch: str
    """what a step learns from"""
    plain: tuple[float, ...]
    ours: tuple[float, ...]
    plain_seconds: float
    """median of a step"""
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        ends = [round(self.steps * (k + 1) / len(self.ours)) for k in range(len(self.ours))]
        rows = zip(ends, self.plain, self.ours, strict=True)
        return [
            f"mean loss of each tenth of {self.steps} steps of {self.batch}",
            f"{'to step':>8}{'plain':>10}{self.method:>10}{'apart':>9}",
            *(f"{end:8}{plain:10.5f}{ours:10.5f}{ours / plain - 1:+9.2%}" for end, plain, ours in rows),
            f"median step {self.plain_seconds:.3f} s and {self.seconds:.3f} s:"
            f" {self.plain_seconds / self.seconds:.2f} times as fast",
        ]


def train_in_turns(
    method: str,
    batch: str,
    steps: int,
    step: Callable[[int], tuple[Callable[[], float], Callable[[], float]]],
) -> Curve:
    """Take steps of the plain implementation and of a method in turns.

    Args:
        step: prepares a step by its number; gives a call of each that takes it and gives its loss.
    """
    losses: list[tuple[float, float]] = []
    spent: list[tuple[float, float]] = []
    for number in range(steps):
        plain, ours = step(number)
        began = time.perf_counter()
        plain_loss = plain()
        between = time.perf_counter()
        losses.append((plain_loss, ours()))
        spent.append((between - began, time.perf_counter() - between))
    ends = [round(steps * k / min(_PARTS, steps)) for k in range(min(_PARTS, steps) + 1)]
    means = [torch.tensor(losses[first:last]).mean(0).tolist() for first, last in pairwise(ends)]
    plain_means, means = zip(*means, strict=True)
    plain_seconds, seconds = map(statistics.median, zip(*spent, strict=True))
    return Curve(method, steps, batch, plain_means, means, plain_seconds, seconds)
