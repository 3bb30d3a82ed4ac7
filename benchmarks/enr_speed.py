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
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from benchmarks.enr_curve import measure_curve
from benchmarks.layer_work import LayerWork
from benchmarks.plain_enr import Plain
from benchmarks.turns import HEAD, Row, add_arguments, print_curve, take_step, time_in_turns
from torch import Tensor

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


def compare_steps(name: str, config: EnrConfig, rounds: int) -> Row:
    """Training steps of the same weights and batch."""
    torch.manual_seed(0)
    method = Enr(config)
    method.warm_up()
    state = method.network.state_dict()
    plain = {name: Plain(config, state, channels_last=last) for name, last in _LAYOUTS.items()}
    batch = make_batch(config, config.batch_size)
    any_plain = plain["planes"]
    done = LayerWork(
        any_plain.network, lambda: any_plain.loss(batch.pictures, batch.motions), backward=True
    ).operations
    adam = method.optimisers()[0].optimiser

    def plain_step(side: Plain) -> Tensor:
        return torch.tensor(side.step(batch.pictures, batch.motions))

    calls = {name: lambda side=side: plain_step(side) for name, side in plain.items()}
    timings = time_in_turns(
        {**calls, "ours": lambda: take_step(method, adam, batch, Progress(0, 0.0))}, rounds
    )
    return Row.of(
        f"step of {name}, {config.batch_size} pictures",
        config.batch_size,
        timings,
        dict.fromkeys(plain, done),
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
    timings = time_in_turns({**calls, "ours": lambda: scene.pictures(motions).permute(0, 3, 1, 2)}, rounds)
    done = {
        way: LayerWork(plain["planes"].network, lambda call=call: call("planes")).operations
        for way, call in ways.items()
    }
    return [
        Row.of(
            f"{name}, {at_once} view{'s' * (at_once > 1)}{way}",
            at_once,
            {"ours": timings["ours"], **{layout: timings[layout + way] for layout in plain}},
            dict.fromkeys(plain, done[way]),
        )
        for way in ways
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Print the comparisons, or the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--preset", default="repro64-rotation", help="of the training step")
    parser.add_argument("--batch", type=int, default=8, help="pictures of a step")
    parser.add_argument("--views", default="apple128", help="preset of the rendered views")
    add_arguments(parser, "set of objects that --curve learns from")
    arguments = parser.parse_args(words)
    keep_freed_memory()
    try:
        config = INFO.build_config(arguments.preset, batch_size=arguments.batch)
        if print_curve(parser, arguments, partial(measure_curve, config)):
            return
        views = INFO.build_config(arguments.views)
    except InputError as error:
        parser.error(str(error))
    machine = convolution_gflops()
    rows = [compare_steps(arguments.preset, config, arguments.rounds)]
    for at_once in (1, BATCH):
        rows += compare_views(arguments.views, views, at_once, arguments.rounds)
    if arguments.json:
        print(json.dumps({"machine_gflops": machine, "rows": [row.plain() for row in rows]}, indent=2))
        return
    print(f"float32 convolutions of this machine: {machine:.0f} GFLOP/s, {torch.get_num_threads()} threads")
    print("\n".join([HEAD, *(row.line() for row in rows)]))


if __name__ == "__main__":
    main()
