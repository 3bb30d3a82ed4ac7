"""Loss curves of `enr` and of a plain float32 implementation over the same batches of a set of objects."""

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise

import torch
from benchmarks.plain_enr import Plain

from sightline.captures import Capture, Collection
from sightline.methods.base import Progress
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.method import Enr

_PARTS = 10


@dataclass(frozen=True)
class Curve:
    """Losses of both sides; means of each tenth of the steps."""

    steps: int
    pictures: int
    """of a step"""
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
            f"mean loss of each tenth of {self.steps} steps of {self.pictures} pictures",
            f"{'to step':>8}{'plain':>10}{'enr':>10}{'apart':>9}",
            *(f"{end:8}{plain:10.5f}{ours:10.5f}{ours / plain - 1:+9.2%}" for end, plain, ours in rows),
            f"median step {self.plain_seconds:.3f} s and {self.seconds:.3f} s:"
            f" {self.plain_seconds / self.seconds:.2f} times as fast",
        ]


def measure_curve(config: EnrConfig, data: Capture | Collection, steps: int) -> Curve:
    """Train both sides from the same weights on the same batches, step by step in turns.

    The plain one has channels in planes, where PyTorch's normalisation in float32 is exact.

    Raises:
        InputError: the configuration cannot learn from the data.
    """
    torch.manual_seed(0)
    method = Enr(config)
    batches = method.batches(method.prepare(data), torch.Generator().manual_seed(0))
    plain = Plain(config, method.network.state_dict())
    optimisation = method.optimisers()[0]
    ours = optimisation.optimiser
    losses: list[tuple[float, float]] = []
    spent: list[tuple[float, float]] = []
    for step in range(steps):
        progress, batch = Progress(step, step / steps), next(batches)
        for group in (*plain.optimiser.param_groups, *ours.param_groups):
            group["lr"] = config.learning_rate * optimisation.schedule(progress)
        began = time.perf_counter()
        plain_loss = plain.step(batch.pictures, batch.motions)
        between = time.perf_counter()
        loss = method(batch, progress)["loss"]
        ours.zero_grad()
        loss.backward()
        ours.step()
        losses.append((plain_loss, loss.item()))
        spent.append((between - began, time.perf_counter() - between))
    ends = [round(steps * k / min(_PARTS, steps)) for k in range(min(_PARTS, steps) + 1)]
    means = [torch.tensor(losses[first:last]).mean(0).tolist() for first, last in pairwise(ends)]
    plain_means, means = zip(*means, strict=True)
    plain_seconds, seconds = map(statistics.median, zip(*spent, strict=True))
    return Curve(steps, config.batch_size, plain_means, means, plain_seconds, seconds)
