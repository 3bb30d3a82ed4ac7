"""A training step of `nerf` against the same step in plain float32 PyTorch.

    python -m benchmarks.nerf_step [--rays 1024] [--rounds 5] [--json]

Preset nerf_pl: 64 coarse and 64 more fine samples, networks of 8 layers of 256. The sides take turns; medians
are printed. The plain step (`benchmarks/plain_nerf.py`) is checked against published numbers by the tests;
beside its time stands the rate of its matrix products alone, as a part of what the machine reaches.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

if __package__:
    from benchmarks.machine import Machine, measure_machine
    from benchmarks.plain_nerf import PlainNetwork, PlainStep
else:  # run as a file: its own folder is on the path
    from machine import Machine, measure_machine  # pyright: ignore[reportMissingImports]
    from plain_nerf import PlainNetwork, PlainStep  # pyright: ignore[reportMissingImports]

from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Similarity
from sightline.methods.base import Progress
from sightline.methods.nerf.batches import NerfBatch
from sightline.methods.nerf.config import INFO
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.tracing import NerfRays


@dataclass(frozen=True)
class Result:
    """What was measured."""

    rays: int
    points: int
    """at which networks are asked in a step"""
    plain_seconds: float
    auto_seconds: float
    """with `--layer-precision auto`"""
    float32_seconds: float
    """with `--layer-precision float32`"""
    plain_matrix_gflops: float
    """of the plain step's matrix products alone"""

    def lines(self, machine: Machine) -> list[str]:
        """For people."""
        part = self.plain_matrix_gflops / machine.fp32_gflops
        ours = {"auto": self.auto_seconds, "float32": self.float32_seconds}
        return [
            *machine.lines(),
            f"plain float32 step, {self.rays} rays, {self.points} points: {self.plain_seconds:.2f} s;"
            f" its products alone: {self.plain_matrix_gflops:.0f} GFLOP/s, {part:.0%} of the machine's",
            *(
                f"nerf, layers in {name}: {seconds:.2f} s, {self.plain_seconds / seconds:.2f} times faster"
                for name, seconds in ours.items()
            ),
        ]


class OurStep:
    """The same step by the package."""

    def __init__(self, precision: str):
        self.method = Nerf(INFO.build_config("nerf_pl", background="white", layer_precision=precision))
        box = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
        self.method._frame = Frame("bounded", Similarity.identity(), 2.0, 6.0, None, box)
        self.optimiser = self.method.optimisers()[0].optimiser

    def __call__(self, rays: Tensor, truth: Tensor) -> Tensor:
        """Learn from rays (n, 8) that shall see truth (n, 3)."""
        made = NerfRays(rays[:, :3], rays[:, 3:6], rays[:, 3:6], rays[:, 6], rays[:, 7])
        self.optimiser.zero_grad()
        loss = self.method(NerfBatch(made, truth, None), Progress(0, 0.0))["loss"]
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def matrix_seconds(points: int) -> tuple[float, float]:
    """Seconds and operations of a network's matrix products alone, forward and backward, for some points."""
    total, operations = 0.0, 0.0
    part = 1 << 14
    for layer in PlainNetwork().modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        rows, columns = layer.weight.shape
        weight = layer.weight.detach()
        x, flow = torch.randn(part, columns), torch.randn(part, rows)
        for _ in range(max(1, points // part)):
            started = time.perf_counter()
            torch.mm(x, weight.t())
            torch.mm(flow.t(), x)
            # Nothing needs the gradient of the encoding.
            if columns != 63:
                torch.mm(flow, weight)
            total += time.perf_counter() - started
            operations += (2 + (columns != 63)) * 2.0 * part * rows * columns
    return total, operations


def measure(rays: int, rounds: int) -> Result:
    """Time all sides in turns."""
    torch.manual_seed(0)
    keep_freed_memory()
    sides = {"plain": PlainStep(), "auto": OurStep("auto"), "float32": OurStep("float32")}
    directions = torch.nn.functional.normalize(
        torch.randn(rays, 3) * 0.2 + torch.tensor([0.0, 0.0, -1.0]), dim=-1
    )
    ends = torch.tensor([2.0, 6.0]).expand(rays, 2)
    batch = torch.cat([torch.tensor([0.0, 0.0, 4.0]).expand(rays, 3), directions, ends], -1)
    truth = torch.rand(rays, 3)
    times: dict[str, list[float]] = {name: [] for name in sides}
    products = []
    for k in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side(batch, truth)
            if k:  # the first one finds memory
                times[name].append(time.perf_counter() - started)
        seconds, operations = matrix_seconds(rays * 192)
        if k:
            products.append(operations / seconds / 1e9)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Result(
        rays, rays * 192, medians["plain"], medians["auto"], medians["float32"], statistics.median(products)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rays", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    machine = measure_machine()
    result = measure(options.rays, options.rounds)
    if options.json:
        print(json.dumps({**asdict(result), "machine": asdict(machine)}, indent=2))
    else:
        print("\n".join(result.lines(machine)))


if __name__ == "__main__":
    main()
