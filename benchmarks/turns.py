"""Measuring a method against a plain implementation by turns: the time of calls, and losses over batches."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sightline.captures import Capture, Collection, open_capture
from sightline.methods.base import Method, Progress

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
class Row:
    """One comparison."""

    name: str
    count: int
    """of what a call does: pictures, rays"""
    plain_way: str
    """of the plain implementation's ways, the fastest"""
    plain_seconds: float
    plain_processor_seconds: float
    plain_gflops: float
    """of all its layers' products, over all of its time"""
    seconds: float
    processor_seconds: float
    difference: float
    """the largest between what the sides give: the loss of the first step, or values of pictures"""

    @staticmethod
    def of(name: str, count: int, timings: Mapping[str, Timing], operations: Mapping[str, int]) -> "Row":
        """Compare the timing `ours` with the fastest of the others, of which each does so many operations."""
        ours = timings["ours"]
        way = min(timings.keys() - {"ours"}, key=lambda way: timings[way].seconds)
        plain = timings[way]
        return Row(
            name,
            count,
            way,
            plain.seconds,
            plain.processor_seconds,
            operations[way] / plain.seconds / 1e9,
            ours.seconds,
            ours.processor_seconds,
            float((plain.result - ours.result).abs().max()),
        )

    @property
    def rates(self) -> dict[str, float]:
        """How many a second, and how many times as fast as the plain one."""
        return {
            "plain_per_second": self.count / self.plain_seconds,
            "per_second": self.count / self.seconds,
            "ratio": self.plain_seconds / self.seconds,
            "processor_ratio": self.plain_processor_seconds / self.processor_seconds,
        }

    def line(self) -> str:
        """For people, below `HEAD`."""
        plain_rate, rate, ratio, processor_ratio = self.rates.values()
        return (
            f"{self.name:48}{self.plain_way:>13}{self.plain_seconds:9.3f}s{self.plain_processor_seconds:9.3f}s"
            f"{self.plain_gflops:9.0f}{plain_rate:9.2f}{self.seconds:9.3f}s{self.processor_seconds:9.3f}s"
            f"{rate:9.2f}{ratio:7.2f}{processor_ratio:7.2f}{self.difference:9.1e}"
        )

    def plain(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), **self.rates}


HEAD = (
    f"{'':48}{'plain way':>13}{'plain':>10}{'(cpu)':>10}{'GFLOP/s':>9}{'per s':>9}{'ours':>10}{'(cpu)':>10}"
    f"{'per s':>9}{'ratio':>7}{'(cpu)':>7}{'apart':>9}"
)


def add_arguments(parser: argparse.ArgumentParser, data: str) -> None:
    """Add what all comparisons can be told; `data` says what --data is for."""
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured")
    parser.add_argument("--curve", type=int, metavar="STEPS", help="compare loss curves instead")
    parser.add_argument("--data", type=Path, help=data)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def print_curve(
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace,
    measure: Callable[[Capture | Collection, int], "Curve"],
) -> bool:
    """Measure and print loss curves where they are asked for; says whether they were.

    Args:
        measure: called with the data and the number of steps.
    """
    if arguments.curve is None:
        return False
    if arguments.data is None or arguments.curve < 1:
        parser.error("--curve needs a number of steps above 0, and something to learn from: --data FOLDER")
    curve = measure(open_capture(arguments.data), arguments.curve)
    print(json.dumps(asdict(curve), indent=2) if arguments.json else "\n".join(curve.lines()))
    return True


def take_step(method: Method, optimiser: torch.optim.Optimizer, batch: Any, progress: Progress) -> Tensor:
    """Take one training step of a method, as its training does; gives the loss."""
    loss = method(batch, progress)["loss"]
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


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


class PlainSide(Protocol):
    """A plain implementation that trains."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """What its steps are taken by."""
        ...


def train_in_turns(
    method: Method,
    data: Capture | Collection,
    plain: PlainSide,
    plain_step: Callable[[Any], float],
    batch: str,
    steps: int,
) -> Curve:
    """Train both sides on the same batches, step by step in turns, with the method's rate.

    Both draw what they draw from PyTorch's generator, which is in the same state before.

    Args:
        plain_step: takes a step on a batch, and gives its loss.
        batch: what a step learns from, for people.

    Raises:
        InputError: the configuration cannot learn from the data.
    """
    batches = method.batches(method.prepare(data), torch.Generator().manual_seed(0))
    optimisation = method.optimisers()[0]
    rate = optimisation.optimiser.param_groups[0]["lr"]
    method.train()
    losses: list[tuple[float, float]] = []
    spent: list[tuple[float, float]] = []
    for number in range(steps):
        progress, chosen = Progress(number, number / steps), next(batches)
        for group in (*plain.optimiser.param_groups, *optimisation.optimiser.param_groups):
            group["lr"] = rate * optimisation.schedule(progress)
        torch.manual_seed(number)
        began = time.perf_counter()
        plain_loss = plain_step(chosen)
        between = time.perf_counter()
        torch.manual_seed(number)
        ours = float(take_step(method, optimisation.optimiser, chosen, progress))
        spent.append((between - began, time.perf_counter() - between))
        losses.append((plain_loss, ours))
    ends = [round(steps * k / min(_PARTS, steps)) for k in range(min(_PARTS, steps) + 1)]
    means = [torch.tensor(losses[first:last]).mean(0).tolist() for first, last in pairwise(ends)]
    plain_means, means = zip(*means, strict=True)
    plain_seconds, seconds = map(statistics.median, zip(*spent, strict=True))
    return Curve(method.name, steps, batch, plain_means, means, plain_seconds, seconds)
