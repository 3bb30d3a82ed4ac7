"""Training steps and rendered views of `enr` against a plain float32 implementation.

    python -m benchmarks.enr_speed [--preset repro64-rotation] [--batch 8] [--json]
    python -m benchmarks.enr_speed --preset small --batch 8 --curve 200 --data FOLDER

The plain one (`benchmarks/plain_enr.py`) is the published program's way: every view through the whole
network, nothing kept between views; beside it stands how fast it would be with the volume kept. It is held
against published numbers by the tests. Its convolutions' rate stands beside what the machine reaches in
float32 on the same shapes: a slow yardstick would make everything fast. It is measured with channels in
planes and side by side, and the faster counts. All sides take turns, medians are given, and beside the
seconds those of the processor, which other programs on the machine change less.

With `--curve` both sides train from the same weights on the same batches of a set of objects, and the mean
loss of each tenth is printed. `sightline data make objects` makes such sets.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmarks.enr_curve import measure_curve
from benchmarks.plain_enr import Plain
from benchmarks.turns import Timing, time_in_turns
from torch import Tensor, nn

from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry.turning_volume import camera_turn, relative_motion
from sightline.methods.base import Progress
from sightline.methods.enr.config import INFO, EnrConfig
from sightline.methods.enr.method import Enr
from sightline.methods.enr.pairs import PairBatch
from sightline.methods.enr.scene import BATCH

# Channels and side of the 3x3x3 convolutions that take most of the time at 128 pixels.
_SHAPES = ((64, 32), (128, 16), (32, 32))
_LAYOUTS = {"planes": False, "side by side": True}


@dataclass(frozen=True)
class Row:
    """One comparison."""

    name: str
    pictures: int
    """of a call"""
    plain_layout: str
    """of its channels: the faster"""
    plain_seconds: float
    plain_processor_seconds: float
    plain_gflops: float
    """of all its convolutions, over all of its time"""
    seconds: float
    processor_seconds: float
    difference: float
    """the largest between what the sides give: the loss of the first step, or values of pictures"""

    @property
    def rates(self) -> dict[str, float]:
        """Pictures in a second, and how many times as fast as the plain one."""
        return {
            "plain_pictures_per_second": self.pictures / self.plain_seconds,
            "pictures_per_second": self.pictures / self.seconds,
            "ratio": self.plain_seconds / self.seconds,
            "processor_ratio": self.plain_processor_seconds / self.processor_seconds,
        }

    def line(self) -> str:
        """For people."""
        plain_rate, rate, ratio, processor_ratio = self.rates.values()
        return (
            f"{self.name:44}{self.plain_layout:>13}{self.plain_seconds:8.3f}s{self.plain_processor_seconds:8.3f}s"
            f"{self.plain_gflops:9.0f}{plain_rate:8.2f}{self.seconds:8.3f}s{self.processor_seconds:8.3f}s"
            f"{rate:8.2f}{ratio:7.2f}{processor_ratio:7.2f}{self.difference:9.1e}"
        )


_HEAD = (
    f"{'':44}{'plain layout':>13}{'plain':>9}{'(cpu)':>9}{'GFLOP/s':>9}{'pic/s':>8}{'enr':>9}{'(cpu)':>9}"
    f"{'pic/s':>8}{'ratio':>7}{'(cpu)':>7}{'apart':>9}"
)


def count_operations(network: nn.Module, call: Callable[[], object]) -> int:
    """Count the operations of the convolutions in a forward pass: two for each multiplication."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        transposed = isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d)
        # Each output (of transposed ones: each input) meets the weights of its window.
        places = inputs[0] if transposed else output
        total += 2 * places.shape[0] * places[0, 0].numel() * weight.numel()

    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        call()
    for hook in hooks:
        hook.remove()
    return total


def convolution_gflops(seconds: float = 0.3) -> float:
    """Best float32 rate of the machine over the shapes and layouts that matter, GFLOP/s."""
    best = 0.0
    for channels, side in _SHAPES:
        for layout in (torch.contiguous_format, torch.channels_last_3d):
            x = torch.randn(1, channels, side, side, side).contiguous(memory_format=layout)
            weight = torch.randn(channels, channels, 3, 3, 3).contiguous(memory_format=layout)
            with torch.no_grad():
                taken = _median(lambda x=x, w=weight: F.conv3d(x, w, padding=1), seconds)
            best = max(best, 2 * 27 * channels**2 * side**3 / taken)
    return best / 1e9


def _median(call: Callable[[], object], seconds: float) -> float:
    call()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def make_batch(config: EnrConfig, size: int) -> PairBatch:
    """Random pictures with random motions between the two of each pair."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(size, 3, config.image_size, config.image_size, generator=generator)
    turns = camera_turn(*torch.rand(2, size, generator=generator).double())
    still = torch.zeros(size, 3).double()
    partners = torch.arange(size) ^ 1
    return PairBatch(pictures, relative_motion(turns[partners], still, turns, still).float())


def make_row(name: str, pictures: int, plain: Mapping[str, Timing], ours: Timing, operations: int) -> Row:
    """Compare with the faster layout of the plain one."""
    layout = min(plain, key=lambda layout: plain[layout].seconds)
    found = plain[layout]
    return Row(
        name,
        pictures,
        layout,
        found.seconds,
        found.processor_seconds,
        operations / found.seconds / 1e9,
        ours.seconds,
        ours.processor_seconds,
        float((found.result - ours.result).abs().max()),
    )


def compare_steps(name: str, config: EnrConfig, rounds: int) -> Row:
    """Training steps of the same weights and batch."""
    torch.manual_seed(0)
    method = Enr(config)
    method.warm_up()
    state = method.network.state_dict()
    plain = {name: Plain(config, state, channels_last=last) for name, last in _LAYOUTS.items()}
    batch = make_batch(config, config.batch_size)
    any_plain = plain["planes"]
    operations = count_operations(any_plain.network, lambda: any_plain.loss(batch.pictures, batch.motions))
    adam = method.optimisers()[0].optimiser

    def step() -> Tensor:
        loss = method(batch, Progress(0, 0.0))["loss"]
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()

    def plain_step(side: Plain) -> Tensor:
        return torch.tensor(side.step(batch.pictures, batch.motions))

    calls = {name: lambda side=side: plain_step(side) for name, side in plain.items()}
    timings = time_in_turns({**calls, "enr": step}, rounds)
    ours = timings.pop("enr")
    # A backward pass has two products for each of the forward pass.
    return make_row(
        f"step of {name}, {config.batch_size} pictures", config.batch_size, timings, ours, 3 * operations
    )


@torch.no_grad()
def compare_views(name: str, config: EnrConfig, at_once: int, rounds: int) -> list[Row]:
    """Further views of an object that was seen already, some at a time.

    Two rows: the plain one as published, and with the volume kept as `enr` keeps it.
    """
    torch.manual_seed(0)
    method = Enr(config).eval()
    generator = torch.Generator().manual_seed(1)
    side = config.image_size
    photo = torch.randint(0, 256, (side, side, 3), dtype=torch.uint8, generator=generator)
    scene = method.encode(method.views_of_photos([photo.numpy()]))
    picture = photo.permute(2, 0, 1)[None].float() / 255
    motions = make_batch(config, 2 * at_once).motions[::2]
    state = method.network.state_dict()
    plain = {name: Plain(config, state, channels_last=last) for name, last in _LAYOUTS.items()}
    kept = {name: side.infer(picture) for name, side in plain.items()}

    def published(side: Plain) -> Tensor:
        return side.show(side.infer(picture.expand(at_once, -1, -1, -1)), motions)

    def keeping(name: str) -> Tensor:
        return plain[name].show(kept[name].expand(at_once, -1, -1, -1, -1), motions)

    ways: dict[str, Callable[[str], Tensor]] = {
        "": lambda name: published(plain[name]),
        ", plain keeps the volume": keeping,
    }
    calls = {
        name + way: lambda name=name, call=call: call(name) for way, call in ways.items() for name in plain
    }
    timings = time_in_turns({**calls, "enr": lambda: scene.pictures(motions).permute(0, 3, 1, 2)}, rounds)
    return [
        make_row(
            f"{name}, {at_once} view{'s' * (at_once > 1)}{way}",
            at_once,
            {name: timings[name + way] for name in plain},
            timings["enr"],
            count_operations(plain["planes"].network, lambda call=call: call("planes")),
        )
        for way, call in ways.items()
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Print the comparisons, or the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--preset", default="repro64-rotation", help="of the training step")
    parser.add_argument("--batch", type=int, default=8, help="pictures of a step")
    parser.add_argument("--views", default="apple128", help="preset of the rendered views")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured")
    parser.add_argument("--curve", type=int, metavar="STEPS", help="compare loss curves instead")
    parser.add_argument("--data", type=Path, help="set of objects that --curve learns from")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args(words)
    keep_freed_memory()
    try:
        config = INFO.build_config(arguments.preset, batch_size=arguments.batch)
        if arguments.curve is not None:
            if arguments.data is None or arguments.curve < 1:
                parser.error("--curve needs a number of steps above 0, and a set of objects: --data FOLDER")
            curve = measure_curve(config, open_capture(arguments.data), arguments.curve)
            print(json.dumps(asdict(curve), indent=2) if arguments.json else "\n".join(curve.lines()))
            return
        views = INFO.build_config(arguments.views)
    except InputError as error:
        parser.error(str(error))
    machine = convolution_gflops()
    rows = [compare_steps(arguments.preset, config, arguments.rounds)]
    for at_once in (1, BATCH):
        rows += compare_views(arguments.views, views, at_once, arguments.rounds)
    if arguments.json:
        plain_rows = [{**asdict(row), **row.rates} for row in rows]
        print(json.dumps({"machine_gflops": machine, "rows": plain_rows}, indent=2))
        return
    print(f"float32 convolutions of this machine: {machine:.0f} GFLOP/s, {torch.get_num_threads()} threads")
    print("\n".join([_HEAD, *(row.line() for row in rows)]))


if __name__ == "__main__":
    main()
