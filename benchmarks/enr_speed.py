"""Training steps and rendered views of `enr` against a plain float32 implementation.

    python -m benchmarks.enr_speed [--preset repro64-rotation] [--batch 8] [--json]

The plain one is the published program's way: float32, every picture through the whole network, nothing kept
between views. Its convolutions' rate stands beside what the machine reaches in float32 on the same shapes: a
slow yardstick would make everything fast. Sides are measured in turns, medians are given, and beside the
seconds those of the processor, which other programs on the machine change less.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry.turning_volume import camera_turn, relative_motion
from sightline.methods.base import Progress
from sightline.methods.enr.config import INFO, EnrConfig
from sightline.methods.enr.losses import picture_loss
from sightline.methods.enr.method import Enr
from sightline.methods.enr.motion import move
from sightline.methods.enr.pairs import PairBatch
from sightline.methods.enr.scene import EnrScene
from sightline.networks.residual_blocks import channels_last

_ROUNDS = 5
# Channels and side of the 3x3x3 convolutions that take most of the time at 128 pixels.
_SHAPES = ((64, 32), (128, 16), (32, 32))


@dataclass(frozen=True)
class Sides:
    """One comparison, medians over rounds."""

    name: str
    plain_seconds: float
    plain_processor_seconds: float
    plain_gflops: float
    """of all its convolutions, over all of its time"""
    seconds: float
    processor_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the plain one."""
        return self.plain_seconds / self.seconds

    @property
    def processor_ratio(self) -> float:
        """The same in seconds of the processor."""
        return self.plain_processor_seconds / self.processor_seconds


class Plain:
    """The published way in float32, with the weights of a method.

    Args:
        side_by_side: lay channels out side by side, which is faster on some processors.
    """

    def __init__(self, method: Enr, side_by_side: bool):
        self.method = method
        self.lay_out: Callable[[Tensor], Tensor] = channels_last if side_by_side else (lambda x: x)

    def infer(self, pictures: Tensor) -> Tensor:
        """From pictures to volumes."""
        network = self.method.network
        flat = network.inv_projection(network.inv_transform_2d(self.lay_out(pictures)))
        return network.inv_transform_3d(self.lay_out(flat.unflatten(1, (-1, network.depth)))) * network.ball

    def show(self, volumes: Tensor, motions: Tensor) -> Tensor:
        """From moved volumes to pictures."""
        network = self.method.network
        moved = self.lay_out(move(volumes, motions, self.method.config.interpolation))
        flat = self.lay_out(network.transform_3d(moved).flatten(1, 2))
        return torch.sigmoid(network.transform_2d(network.projection(flat)))

    def step(self, batch: PairBatch, optimiser: torch.optim.Optimizer) -> float:
        """One training step; gives its loss."""
        volumes = self.infer(batch.pictures)
        partners = volumes.view(-1, 2, *volumes.shape[1:]).flip(1).flatten(0, 1)
        config = self.method.config
        found = picture_loss(
            self.show(partners, batch.motions), batch.pictures, config.loss, config.ssim_weight
        )
        optimiser.zero_grad()
        found[0].backward()
        optimiser.step()
        return found[0].item()


def count_operations(method: Enr, call: Callable[[], object]) -> int:
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
    layers = [module for module in method.network.modules() if isinstance(module, kinds)]
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
        for lay_out in (channels_last, lambda x: x):
            x = lay_out(torch.randn(1, channels, side, side, side))
            weight = lay_out(torch.randn(channels, channels, 3, 3, 3))
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


def compare(name: str, plain: Callable[[], object], ours: Callable[[], object], operations: int) -> Sides:
    """Measure both sides in turns."""
    taken: list[list[tuple[float, float]]] = [[], []]
    for turn in range(_ROUNDS + 1):
        for side, call in enumerate((plain, ours)):
            began, processor = time.perf_counter(), time.process_time()
            call()
            if turn:
                taken[side].append((time.perf_counter() - began, time.process_time() - processor))
    (plain_seconds, plain_processor), (seconds, processor) = (
        [statistics.median(column) for column in zip(*rows, strict=True)] for rows in taken
    )
    rate = operations / plain_seconds / 1e9
    return Sides(name, plain_seconds, plain_processor, rate, seconds, processor)


def compare_steps(preset: str, size: int, side_by_side: bool) -> Sides:
    """Training steps of the same weights and batch."""
    methods = []
    for precision in ("float32", "auto"):
        torch.manual_seed(0)
        methods.append(Enr(INFO.build_config(preset, network_precision=precision)))
    batch = make_batch(methods[0].config, size)
    plain = Plain(methods[0], side_by_side)
    forward = count_operations(methods[0], lambda: plain.show(plain.infer(batch.pictures), batch.motions))
    published = torch.optim.Adam(methods[0].parameters(), lr=2e-4)
    ours = methods[1].optimisers()[0].optimiser

    def step() -> None:
        loss = methods[1](batch, Progress(0, 0.0))["loss"]
        ours.zero_grad()
        loss.backward()
        ours.step()

    # A backward pass has two products for each of the forward pass.
    return compare(
        f"step of {preset}, {size} pictures", lambda: plain.step(batch, published), step, 3 * forward
    )


@torch.no_grad()
def compare_views(preset: str, side_by_side: bool) -> Sides:
    """A further view of an object that was seen already, one at a time."""
    torch.manual_seed(0)
    method = Enr(INFO.build_config(preset)).eval()
    batch = make_batch(method.config, 2)
    picture, motion = batch.pictures[:1], batch.motions[:1]
    plain = Plain(method, side_by_side)
    renderer = method._renderer()
    with method._precision():
        entered = renderer.enter(method.network.infer(picture))
    still = torch.eye(3)[None]
    scene = EnrScene(method.config, renderer, entered, still, torch.zeros(1, 3), 2.0)
    operations = count_operations(method, lambda: plain.show(plain.infer(picture), motion))
    return compare(
        f"further view of {preset}",
        lambda: plain.show(plain.infer(picture), motion),
        lambda: scene.pictures(motion),
        operations,
    )


def main() -> None:
    """Print the comparisons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--preset", default="repro64-rotation", help="of the training step")
    parser.add_argument("--batch", type=int, default=8, help="pictures of a step")
    parser.add_argument("--views", default="apple128", help="preset of the rendered view")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args()
    keep_freed_memory()
    machine = convolution_gflops()
    found = []
    for compared in (
        lambda layout: compare_steps(arguments.preset, arguments.batch, layout),
        lambda layout: compare_views(arguments.views, layout),
    ):
        # The faster of the plain one's two layouts is the yardstick.
        found.append(
            min((compared(layout) for layout in (False, True)), key=lambda sides: sides.plain_seconds)
        )
    if arguments.json:
        rows = [{**asdict(sides), "ratio": sides.ratio} for sides in found]
        print(json.dumps({"machine_gflops": machine, "rows": rows}, indent=2))
        return
    print(f"float32 convolutions of this machine: {machine:.0f} GFLOP/s, {torch.get_num_threads()} threads")
    print(f"{'':38}{'plain':>9}{'(cpu)':>9}{'GFLOP/s':>9}{'enr':>9}{'(cpu)':>9}{'ratio':>7}{'(cpu)':>7}")
    for sides in found:
        print(
            f"{sides.name:38}{sides.plain_seconds:8.3f}s{sides.plain_processor_seconds:8.3f}s"
            f"{sides.plain_gflops:9.0f}{sides.seconds:8.3f}s{sides.processor_seconds:8.3f}s"
            f"{sides.ratio:7.2f}{sides.processor_ratio:7.2f}"
        )


if __name__ == "__main__":
    main()
