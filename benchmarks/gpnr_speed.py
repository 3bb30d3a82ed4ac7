"""Rendering and training steps of `gpnr` against a plain float32 implementation.

    python -m benchmarks.gpnr_speed [--preset readme] [--rays 256] [--step small] [--json]
    python -m benchmarks.gpnr_speed --step small --curve 200 --data FOLDER

The plain one (`benchmarks/plain_gpnr.py`) is the published program's way: every token goes through every
layer. It is held against published numbers by the tests. It takes its rays in chunks of several sizes, and
the fastest counts. Both compute as published (`--faithful`). The plain one's rate over all of its time stands
beside that of its products alone: a slow yardstick would make everything fast. All sides take turns, medians
are given, and beside the seconds those of the processor, which other programs on the machine change less.

With `--curve` both sides train from the same weights on the same batches of a scene or a folder of scenes.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from benchmarks.layer_work import LAYER_HEAD, LayerRow, LayerWork
from benchmarks.plain_gpnr import Batch, Plain, plain_state
from benchmarks.turns import Curve, add_arguments, print_curve, take_step, time_in_turns, train_in_turns
from torch import Tensor

from sightline.captures import Capture, Collection, ImageStore
from sightline.foundation.errors import InputError
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.importers.gpnr import published_name
from sightline.methods.base import Progress
from sightline.methods.gpnr.batches import Draw, GpnrBatch, TrainingScene, draw_step, make_batch
from sightline.methods.gpnr.config import INFO, GpnrConfig
from sightline.methods.gpnr.method import Gpnr
from sightline.methods.gpnr.patches import from_maps
from sightline.methods.gpnr.quick_stages import QuickStages
from sightline.methods.gpnr.scene import parts_of
from sightline.methods.gpnr.views import SceneViews
from sightline.networks.precision import product_type, products_in

_PLAIN_CHUNKS = (4, 16, 64)
_WIDTH, _HEIGHT = 252, 189
# The plain one spreads depths evenly, and takes colours from features alone.
_AS_PLAIN: dict[str, Any] = {"faithful": True, "spacing": "distance", "colour": "predicted"}


def make_scene(config: GpnrConfig) -> TrainingScene:
    """Pictures of noise, seen by cameras beside each other."""
    generator = torch.Generator().manual_seed(0)
    count = config.sources + 3
    poses = torch.eye(3, 4, dtype=torch.float64).repeat(count, 1, 1)
    poses[:, :, 3] = 0.2 * torch.rand(count, 3, generator=generator, dtype=torch.float64)
    pictures = torch.randint(0, 256, (count, _HEIGHT, _WIDTH, 3), dtype=torch.uint8, generator=generator)
    capture = Capture(
        name="noise",
        cameras=Cameras.create(poses, 0.8 * _WIDTH, width=_WIDTH, height=_HEIGHT),
        images=ImageStore.from_arrays(list(pictures.numpy())),
        image_names=tuple(f"{view}.png" for view in range(count)),
        splits={"train": tuple(range(count)), "val": (), "test": ()},
        near=torch.full((count,), 1.0).double().numpy(),
        far=torch.full((count,), 5.0).double().numpy(),
    )
    return TrainingScene(SceneViews.of(capture, config), tuple(range(count)))


def draw_batch(scene: TrainingScene, config: GpnrConfig, rays: int) -> GpnrBatch:
    """Rays of one picture, and its nearest views."""
    import numpy as np

    drawn = draw_step(scene, rays, config.sources, config.sources, np.random.RandomState(0))
    return make_batch(scene.views, Draw(drawn.view, drawn.pixels, drawn.sources), config)


def plain_batch(batch: GpnrBatch) -> Batch:
    """The same for the plain implementation."""
    last = torch.tensor([0.0, 0.0, 0.0, 1.0])
    c2w = torch.cat([batch.cameras.c2w, last.expand(len(batch.pictures), 1, 4)], 1)
    target = torch.cat([batch.rays.c2w, last[None]])
    return Batch(
        batch.rays.origins,
        batch.rays.directions,
        torch.linalg.inv(target),
        c2w,
        batch.cameras.intrinsics[0],
        torch.stack(batch.pictures).permute(0, 3, 1, 2) / 255,
        batch.rays.near,
        batch.rays.far,
    )


def make_sides(config: GpnrConfig) -> tuple[Gpnr, dict[str, Tensor]]:
    """A method with random weights, and these for the plain implementation."""
    torch.manual_seed(0)
    method = Gpnr(config)
    state = method.network.state_dict()
    return method, plain_state({name: published_name(name) for name in state}, state)


@torch.no_grad()
def compare_rendering(name: str, config: GpnrConfig, rays: int, rounds: int) -> LayerRow:
    """Colours of rays; what describes the sources' pixels is computed once in a picture by both."""
    method, state = make_sides(config)
    method.eval()
    batch = draw_batch(make_scene(config), config, rays)
    given = plain_batch(batch)
    sides = {str(chunk): Plain(config, state, chunk=chunk) for chunk in _PLAIN_CHUNKS}
    describe = from_maps([method.network.patches(picture) for picture in batch.pictures])
    dtype = product_type(config.layer_precision, "cpu")
    quick = QuickStages.of(method.network.stages, dtype)

    def ours() -> Tensor:
        found = []
        for part in parts_of(rays, config.ray_chunk):
            evidence = method.network.look(batch.rays[part], batch.cameras, describe)
            with products_in(dtype, torch.device("cpu")):
                found.append(method.network(evidence, quick).rgb)
        return torch.cat(found)

    described = {way: side.network.describe(given.pictures) for way, side in sides.items()}
    calls = {
        way: lambda way=way, side=side: side.render(given, described[way]) for way, side in sides.items()
    }
    timings = time_in_turns({**calls, "ours": ours}, rounds)

    def work(way: str) -> LayerWork:
        return LayerWork(sides[way].network, lambda: sides[way].render(given, described[way]))

    return LayerRow.measure(f"{name}, rendering", rays, timings, work)


def compare_steps(name: str, config: GpnrConfig, rounds: int) -> LayerRow:
    """Training steps of the same weights and batch."""
    method, state = make_sides(config)
    method.train()
    batch = draw_batch(make_scene(config), config, config.rays)
    given = plain_batch(batch)
    plain = Plain(config, state)
    adam = method.optimisers()[0].optimiser

    def plain_step() -> Tensor:
        return torch.tensor(plain.step(given, batch.colours))

    calls = {"whole": plain_step, "ours": lambda: take_step(method, adam, batch, Progress(10**6, 0.5))}
    timings = time_in_turns(calls, rounds)

    def work(way: str) -> LayerWork:
        return LayerWork(plain.network, lambda: plain.network(given), backward=True)

    return LayerRow.measure(f"step of {name}", config.rays, timings, work)


def measure_curve(config: GpnrConfig, data: Capture | Collection, steps: int) -> Curve:
    """Train both sides from the same weights; see `train_in_turns`."""
    method, state = make_sides(config)
    plain = Plain(config, state)
    return train_in_turns(
        method,
        data,
        plain,
        lambda batch: plain.step(plain_batch(batch), batch.colours),
        f"{config.rays} rays",
        steps,
    )


def main(words: Sequence[str] | None = None) -> None:
    """Print the comparisons, or the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--preset", default="readme", help="of the rendered rays")
    parser.add_argument("--rays", type=int, default=256, help="rays that are rendered")
    parser.add_argument("--step", default="small", help="preset of the training step")
    add_arguments(parser, "scene or folder of scenes that --curve learns from")
    arguments = parser.parse_args(words)
    if arguments.rays < 1 or arguments.rounds < 1:
        parser.error("--rays and --rounds are numbers above 0")
    keep_freed_memory()
    try:
        step = replace(INFO.build_config(arguments.step), **_AS_PLAIN)
        if print_curve(parser, arguments, partial(measure_curve, step)):
            return
        config = replace(INFO.build_config(arguments.preset), **_AS_PLAIN)
    except InputError as error:
        parser.error(str(error))
    rows = [
        compare_rendering(arguments.preset, config, arguments.rays, arguments.rounds),
        compare_steps(arguments.step, step, arguments.rounds),
    ]
    if arguments.json:
        print(json.dumps({"rows": [row.plain() for row in rows]}, indent=2))
        return
    print(f"{torch.get_num_threads()} threads; alone: the rate of the plain one's products by themselves")
    print("\n".join([LAYER_HEAD, *(row.line() for row in rows)]))


if __name__ == "__main__":
    main()
