"""Rendering and training steps of `pixelnerf` against a plain float32 implementation.

    python -m benchmarks.pixelnerf_speed [--views srn_car] [--rays 512] [--preset small] [--json]
    python -m benchmarks.pixelnerf_speed --run RUN --data FOLDER --rays 16384
    python -m benchmarks.pixelnerf_speed --preset small --curve 200 --data FOLDER

The plain one (`benchmarks/plain_pixelnerf.py`) is the published program's way: features are read and
projected for every sample, nothing is skipped. It is held against published numbers by the tests. It takes
its points in chunks of several sizes, and the fastest counts. Its rate over all of its time stands beside
that of its matrix products alone, at the same sizes: a slow yardstick would make everything fast. All sides
take turns, medians are given, and beside the seconds those of the processor, which other programs on the
machine change less.

What is rendered is a picture from one source view; without `--data`, of noise, and with random weights
without `--run`. The whole picture takes the plain one minutes: `--rays` shrinks it to about so many pixels.
Both sides place samples evenly, as `pixelnerf` renders; a row more has its sampler occupancy, which is made
for networks that know where matter is: give `--run`. With `--data` photos judge both samplers.

With `--curve` both sides train from the same weights on the same batches of a set of objects, and the mean
loss of each tenth is printed. `sightline data make objects` makes such sets.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.layer_work import LAYER_HEAD, LayerRow, LayerWork
from benchmarks.pixelnerf_curve import measure_curve, plain_batch, plain_views
from benchmarks.plain_pixelnerf import CHUNK, Noise, Plain
from benchmarks.turns import add_arguments, print_curve, take_step, time_in_turns
from torch import Tensor
from torch.nn import functional

from sightline.captures import Capture, Collection, ImageStore, open_capture
from sightline.foundation.errors import InputError
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.geometry.rays import image_pixels
from sightline.methods.base import Progress
from sightline.methods.pixelnerf.batches import PixelNerfBatch
from sightline.methods.pixelnerf.config import INFO, PixelNerfConfig
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.network import SourceViews
from sightline.methods.pixelnerf.scene import PixelNerfScene
from sightline.methods.pixelnerf.tracing import Chance, ObjectRays
from sightline.methods.pixelnerf.views import as_sources, load_views, to_network
from sightline.runs import Run

_CHUNKS = (1 << 12, 1 << 14, CHUNK)
_SIDE = 128
# Of rays where a preset leaves them to the data.
_NEAR, _FAR = 1.25, 2.75


def complete(config: PixelNerfConfig) -> PixelNerfConfig:
    """Say how far rays reach, where the configuration leaves it to the data."""
    return config if config.near is not None else replace(config, near=_NEAR, far=_FAR)


def make_method(config: PixelNerfConfig) -> PixelNerf:
    """Make a method with random weights, where it matters too: published ones begin with zeros."""
    torch.manual_seed(0)
    method = PixelNerf(complete(config))
    method.restore({})
    for name, value in method.network.named_parameters():
        if name.endswith("fc_1.weight"):
            torch.nn.init.normal_(value, std=0.5 / math.sqrt(value.shape[1]))
    return method


def make_cameras(method: PixelNerf, count: int) -> Cameras:
    """Cameras around the origin, halfway between near and far."""
    side = method.config.image_size or _SIDE
    angles = torch.arange(count, dtype=torch.float64) * 2.4
    eyes = torch.stack([angles.cos(), angles.sin(), torch.full_like(angles, 0.4)], -1)
    eyes = functional.normalize(eyes, dim=-1) * (method.frame.near + method.frame.far) / 2
    poses = look_at(eyes, torch.zeros_like(eyes), torch.tensor([0.0, 0.0, 1.0]).expand_as(eyes))
    return Cameras.create(poses, method.config.photo_focal * side, width=side, height=side)


def make_capture(method: PixelNerf, views: int = 2) -> Capture:
    """Pictures of noise."""
    side = method.config.image_size or _SIDE
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (views, side, side, 3), dtype=torch.uint8, generator=generator)
    return Capture(
        name="noise",
        cameras=make_cameras(method, views),
        images=ImageStore.from_arrays(list(pictures.numpy())),
        image_names=tuple(f"{view}.png" for view in range(views)),
        splits={"train": tuple(range(views)), "val": (), "test": ()},
        background="white",
    )


def make_batch(config: PixelNerfConfig, method: PixelNerf) -> PixelNerfBatch:
    """Pictures of noise, as many source views as the configuration has at most, and rays of other cameras."""
    groups, views, rays = config.objects, max(config.source_counts), config.rays
    pictures = [load_views(make_capture(method, views), range(views), config, method.frame.to_model)] * groups
    generator = torch.Generator().manual_seed(1)
    sources = as_sources(pictures)
    noise = torch.rand(sources.images.shape, generator=generator) * 2 - 1
    sources = SourceViews(noise, sources.c2w, sources.focal, sources.centre)
    cameras = make_cameras(method, 5)
    pixels = torch.rand(groups * rays, 2, generator=generator, dtype=torch.float64) * int(cameras.width[0])
    parts = [cameras.rays(view % 5, part) for view, part in enumerate(pixels.split(rays))]
    origins, directions = (
        torch.stack([getattr(part, name) for part in parts]).float() for name in ("origins", "directions")
    )
    ends = (torch.full((groups, rays), value) for value in (method.frame.near, method.frame.far))
    truth = torch.rand(groups, rays, 3, generator=generator)
    return PixelNerfBatch(sources, ObjectRays(origins, directions, *ends), truth)


def shrink(camera: Cameras, rays: int) -> Cameras:
    """Give the camera pictures of about so many pixels, at most as many as it has, of the same view."""
    height, width = int(camera.height[0]), int(camera.width[0])
    scale = min(1.0, math.sqrt(rays / (height * width)))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    down, across = size[0] / height, size[1] / width
    return Cameras.create(
        camera.c2w,
        camera.fx * across,
        camera.fy * down,
        camera.cx * across,
        camera.cy * down,
        width=size[1],
        height=size[0],
    )


@torch.no_grad()
def compare_rendering(
    name: str, method: PixelNerf, capture: Capture, rays: int, rounds: int
) -> list[LayerRow]:
    """Seeing the first view of a capture, and rendering its last one from that."""
    config, source = method.eval().config, capture.subset([0])
    camera = shrink(capture.cameras[[-1]], rays)
    scene = method.encode(source)
    assert isinstance(scene, PixelNerfScene)
    state = method.network.state_dict()
    plain = {chunk: Plain(config, state, chunk=chunk) for chunk in _CHUNKS}
    views = plain_views(as_sources([load_views(source, [0], config, method.frame.to_model)]))
    first = plain[CHUNK]

    def features() -> Tensor:
        found = method.encode(source)
        assert isinstance(found, PixelNerfScene)
        assert found.encoded.maps is not None
        return found.encoded.maps

    timings = time_in_turns({str(CHUNK): lambda: first.encode(views).maps, "ours": features}, rounds)
    encoding = LayerRow.measure(
        f"{name}, seeing a view",
        1,
        timings,
        lambda way: LayerWork(first.network, lambda: first.encode(views)),
    )
    size = int(camera.height[0]), int(camera.width[0])
    made = camera.transformed(method.frame.to_model).rays(
        0, image_pixels(size[1], size[0]).double() + config.pixel_centre
    )
    ends = torch.tensor([method.frame.near, method.frame.far]).expand(len(made.origins), 2)
    columns = torch.cat([made.origins.float(), made.directions.float(), ends], -1)[None]
    chance = Chance.without(scene.counts, len(ends), columns)
    noise = Noise(chance.jitter, chance.places.contiguous(), chance.within, chance.depth)
    seen = first.encode(views)

    def shown(side: Plain) -> Tensor:
        return side.render(seen, columns, noise).clamp(0, 1)

    guided = encode_guided(method, source)
    calls: dict[str, Callable[[], Tensor]] = {
        str(chunk): partial(shown, side) for chunk, side in plain.items()
    }
    calls["ours"] = lambda: scene.render(camera).rgb.flatten(0, 1)
    # The first call makes the grid, and is not counted: `compare_samplers` measures it.
    calls["guided"] = lambda: guided.render(camera).rgb.flatten(0, 1)
    timings = time_in_turns(calls, rounds)
    titles = {"ours": "from 1 view", "guided": "by occupancy"}
    rows = [encoding]
    for side, title in titles.items():
        others = {way: timing for way, timing in timings.items() if way not in titles}
        rows.append(
            LayerRow.measure(
                f"{name}, {size[1]}x{size[0]} pixels {title}",
                len(ends),
                {**others, "ours": timings[side]},
                lambda way: LayerWork(plain[int(way)].network, lambda: shown(plain[int(way)])),
            )
        )
    return rows


def encode_guided(method: PixelNerf, source: Capture) -> PixelNerfScene:
    """See an object, to be shown with the sampler occupancy."""
    method.choose_sampler("occupancy")
    try:
        scene = method.encode(source)
    finally:
        method.choose_sampler("stratified")
    assert isinstance(scene, PixelNerfScene)
    return scene


@dataclass(frozen=True)
class Samplers:
    """What both samplers show of an object's photos, and the time that the grid takes once for an object."""

    views: int
    stratified_psnr: float
    occupancy_psnr: float
    stratified_samples: float
    """points of a ray that the network is asked for"""
    occupancy_samples: float
    grid_seconds: float

    def line(self) -> str:
        """For people."""
        return (
            f"{self.views} photos, PSNR: stratified {self.stratified_psnr:.2f} dB of "
            f"{self.stratified_samples:.0f} points a ray, occupancy {self.occupancy_psnr:.2f} dB of "
            f"{self.occupancy_samples:.1f}; the grid takes {self.grid_seconds:.2f} s, once for an object"
        )


@torch.no_grad()
def compare_samplers(method: PixelNerf, captures: Sequence[Capture], views: int = 12) -> Samplers:
    """Judge both samplers by photos of objects, seen from the first view of each."""
    seconds: list[float] = []
    scores: list[tuple[float, float]] = []
    samples: list[tuple[float, float]] = []
    for capture in captures:
        source = capture.subset([0])
        scenes = method.encode(source), encode_guided(method, source)
        first = time.perf_counter()
        scenes[1].render(shrink(capture.cameras[[0]], 1))  # type: ignore[attr-defined]
        seconds.append(time.perf_counter() - first)
        chosen = range(1, len(capture), max(1, -(-(len(capture) - 1) // views)))
        for view in chosen:
            camera = capture.cameras[[view]]
            photo = to_network(np.stack([capture.images[view]]), method.config)[0]
            truth = photo.permute(1, 2, 0) * 0.5 + 0.5
            shown = [method.render(scene, camera) for scene in scenes]
            errors = [float((picture.rgb - truth).square().mean()) for picture in shown]
            scores.append((-10 * math.log10(errors[0]), -10 * math.log10(errors[1])))
            each = [picture.statistics["samples"] / picture.statistics["rays"] for picture in shown]
            samples.append((each[0], each[1]))
    (stratified, guided), (many, few) = (
        [statistics.mean(column) for column in zip(*rows, strict=True)] for rows in (scores, samples)
    )
    return Samplers(len(scores), stratified, guided, many, few, statistics.median(seconds))


def compare_steps(name: str, config: PixelNerfConfig, rounds: int) -> LayerRow:
    """Training steps of the same weights and batch."""
    method = make_method(config)
    method.train()
    state = method.network.state_dict()
    plain = {chunk: Plain(config, state, chunk=chunk) for chunk in _CHUNKS}
    batch = make_batch(config, method)
    given = plain_batch(batch)
    adam = method.optimisers()[0].optimiser

    def step() -> Tensor:
        torch.manual_seed(0)
        return take_step(method, adam, batch, Progress(0, 0.0))

    def plain_step(side: Plain) -> Tensor:
        torch.manual_seed(0)
        return torch.tensor(side.step(*given))

    calls = {str(chunk): lambda side=side: plain_step(side) for chunk, side in plain.items()}
    timings = time_in_turns({**calls, "ours": step}, rounds)
    rays = config.objects * config.rays

    def work(way: str) -> LayerWork:
        side = plain[int(way)]
        return LayerWork(side.network, lambda: side.loss(*given, side.draw(rays)), backward=True)

    views = max(config.source_counts)
    return LayerRow.measure(
        f"step of {name}, {config.objects} objects, {views} view{'s' * (views > 1)}, {rays} rays",
        rays,
        timings,
        work,
    )


def choose_captures(data: Path | None, method: PixelNerf, most: int = 8) -> list[Capture]:
    """Open the first objects for testing, or the first there are; noise without data."""
    if data is None:
        return [make_capture(method)]
    found = open_capture(data)
    if isinstance(found, Collection):
        return [one.open() for one in (found.split("test") or found.objects)[:most]]
    return [found]


def main(words: Sequence[str] | None = None) -> None:
    """Print the comparisons, or the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--views", default="srn_car", help="preset of the rendered views")
    parser.add_argument("--run", type=Path, help="run folder whose weights are rendered instead")
    parser.add_argument("--rays", type=int, default=512, help="rays that are rendered, about")
    parser.add_argument("--preset", default="small", help="of the training step")
    add_arguments(parser, "scene or set of objects: to render, or to learn from")
    arguments = parser.parse_args(words)
    if arguments.rays < 1 or arguments.rounds < 1:
        parser.error("--rays and --rounds are numbers above 0")
    keep_freed_memory()
    try:
        config = INFO.build_config(arguments.preset)
        if print_curve(parser, arguments, partial(measure_curve, config)):
            return
        name, method = load_method(arguments.run, arguments.views)
        captures = choose_captures(arguments.data, method)
        rows = compare_rendering(name, method, captures[0], arguments.rays, arguments.rounds)
        samplers = None if arguments.data is None else compare_samplers(method, captures)
        rows.append(compare_steps(arguments.preset, config, arguments.rounds))
    except InputError as error:
        parser.error(str(error))
    if arguments.json:
        found = {"rows": [row.plain() for row in rows]}
        print(json.dumps(found | ({"samplers": asdict(samplers)} if samplers else {}), indent=2))
        return
    print(f"{torch.get_num_threads()} threads; alone: the rate of the plain one's products by themselves")
    print("\n".join([LAYER_HEAD, *(row.line() for row in rows)]))
    if samplers is not None:
        print(samplers.line())


def load_method(run: Path | None, preset: str) -> tuple[str, PixelNerf]:
    """Load a run, or make a method of a preset with random weights; and give its name."""
    if run is None:
        return preset, make_method(INFO.build_config(preset))
    method = Run.open(run).load_method()
    if not isinstance(method, PixelNerf):
        raise InputError("This is no run of pixelnerf", where=run)
    return run.name, method


if __name__ == "__main__":
    main()
