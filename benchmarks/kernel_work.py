"""What a training step of `ngp` gives each kernel, for the compiled kernels and for their references."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sightline.kernels import adam, hash_encoding, mlp, visibility
from sightline.kernels.adam import reference as adam_reference
from sightline.kernels.buffers import zeroed_buffers
from sightline.kernels.compositing import composite
from sightline.kernels.compositing import reference as compositing_reference
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.hash_encoding import reference as hash_reference
from sightline.kernels.importance import reference as importance_reference
from sightline.kernels.importance import resample
from sightline.kernels.marching import MarchSettings, locate, march
from sightline.kernels.marching import reference as marching_reference
from sightline.kernels.mlp import reference as mlp_reference
from sightline.kernels.occupancy import observe, summarise
from sightline.kernels.occupancy import reference as occupancy_reference
from sightline.kernels.packed import Samples
from sightline.kernels.photometric import PhotometricRays, PhotometricSettings, photometric_step
from sightline.kernels.sampling import SamplerSettings, sample
from sightline.kernels.sampling import reference as sampling_reference
from sightline.kernels.visibility import reference as visibility_reference


def nothing(_: Any) -> None:
    """Leave a result alone."""


@dataclass(frozen=True)
class Case:
    """One kernel, and the same by its reference."""

    name: str
    items: int
    unit: str
    """what one item is"""
    compiled: Callable[..., Any]
    reference: Callable[..., Any]
    prepare: Callable[[], tuple] = tuple
    """makes the arguments of a call, untimed"""
    finish: Callable[[Any], None] = nothing
    """takes the result of a compiled call, untimed"""
    item_bytes: float = 0
    """moved for an item"""
    item_operations: float = 0
    """floating-point operations on an item"""


@dataclass(frozen=True)
class Batch:
    """What a training step works on."""

    origins: Tensor
    directions: Tensor
    grid: Tensor
    settings: MarchSettings
    samples: Samples
    cube: Tensor
    """(n, 3) the samples in the unit cube"""


def opacity_of_a_scene(side: int = 128) -> Tensor:
    """The opacity grid of a ball on a plate, with the blurred borders that a trained scene has."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    ball = (x**2 + y**2 + (z - 0.1) ** 2).sqrt() - 0.45
    plate = torch.maximum((z + 0.4).abs() - 0.05, (x**2 + y**2).sqrt() - 0.8)
    return torch.sigmoid(-torch.minimum(ball, plate) * 200) * 0.9


def make_batch(wanted: int, generator: torch.Generator) -> Batch:
    """Rays from cameras all around towards a scene, each ray from another one, and their samples."""
    grid = opacity_of_a_scene()
    settings = MarchSettings(contracted=False, step=2 / 128, near=0.05, far=64.0, threshold=2e-3)
    rays = wanted // 2
    eyes = torch.nn.functional.normalize(torch.randn(rays, 3, generator=generator), dim=-1) * 3
    aims = torch.rand(rays, 3, generator=generator) * 1.6 - 0.8
    directions = torch.nn.functional.normalize(aims - eyes, dim=-1)
    bins, opacities = march(eyes, directions, grid, None, settings)
    weights, seen = visibility.bin_weights(bins, opacities, 0.9, 1e-3, 0.05)
    counts = torch.minimum(torch.ceil(12 * seen).long(), 4 * bins.counts)
    # As many rays as the samples take.
    rays = int((counts.cumsum(0) <= wanted).sum())
    counts[rays:] = 0
    jitter = torch.rand(int(counts.sum()), generator=generator)
    every = resample(bins, weights, counts, jitter)
    samples = Samples(every.offsets[: rays + 1], every.distances, every.lengths, every.ray_indices)
    eyes, directions = eyes[:rays].contiguous(), directions[:rays].contiguous()
    return Batch(eyes, directions, grid, settings, samples, locate(eyes, directions, samples, False))


def backward_of(function: Callable[[], Tensor | list[Tensor]], inputs: list[Tensor]) -> Callable[[], Any]:
    """A call of the backward pass alone, to some inputs."""
    outputs = function()
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    generator = torch.Generator().manual_seed(1)
    upstream = [torch.randn(out.shape, generator=generator) for out in outputs]
    return lambda: torch.autograd.grad(outputs, inputs, upstream, retain_graph=True)


def without_gradients(function: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> Any:
        with torch.no_grad():
            return function()

    return call


def hash_cases(batch: Batch, levels: HashLevels) -> Iterator[Case]:
    """The encoding and its gradients to the table and to the positions."""
    table = (torch.rand(levels.entries, levels.features) - 0.5).requires_grad_()
    cube, moving = batch.cube, batch.cube.clone().requires_grad_()
    count, gathered = len(cube), 8 * levels.width * 4
    outputs = levels.width * 4

    def give_back(result: tuple[Tensor]) -> None:
        zeroed_buffers.give_back(result[0].zero_())

    def ours(positions: Tensor = cube) -> Tensor:
        return hash_encoding.encode(positions, table, levels)

    def theirs(positions: Tensor = cube) -> Tensor:
        return hash_reference.encode(positions, table, levels)

    yield Case(
        "hash encoding, forward", count, "sample", without_gradients(ours), without_gradients(theirs),
        item_bytes=gathered + outputs,
    )  # fmt: skip
    yield Case(
        "hash encoding, backward to table", count, "sample",
        backward_of(ours, [table]), backward_of(theirs, [table]), finish=give_back,
        item_bytes=2 * gathered + outputs,
    )  # fmt: skip
    yield Case(
        "hash encoding, backward to positions", count, "sample",
        backward_of(lambda: ours(moving), [moving]), backward_of(lambda: theirs(moving), [moving]),
        item_bytes=gathered + outputs,
    )  # fmt: skip


def perceptron_cases(batch: Batch) -> Iterator[Case]:
    """The density and the colour network, in float32 and in bfloat16 where the processor has it."""
    count = len(batch.samples)
    per_ray, indices = torch.randn(batch.samples.rays, 16), batch.samples.ray_indices
    for name, own, widths in (("density", 32, (32, 64, 16)), ("colour", 16, (32, 64, 64, 3))):
        extra = (per_ray, indices) if own < widths[0] else (None, None)
        # Features are the slow axis, as the kernels pass them on.
        inputs = torch.randn(own, count).T.requires_grad_()
        shapes = list(itertools.pairwise(widths))
        weights = [(torch.randn(outs, ins) / ins**0.5).requires_grad_() for ins, outs in shapes]
        operations = 2 * sum(ins * outs for ins, outs in shapes)
        theirs = lambda x=inputs, w=weights, e=extra: mlp_reference.perceptron(x, w, *e)  # noqa: E731
        for narrow in (False, True) if mlp.uses_bfloat16() else (False,):
            ours = lambda x=inputs, w=weights, e=extra, n=narrow: mlp.perceptron(x, w, *e, narrow=n)  # noqa: E731
            kind = f"{name} network{' in bfloat16' if narrow else ''}"
            yield Case(
                f"{kind}, forward", count, "sample", without_gradients(ours), without_gradients(theirs),
                item_operations=operations,
            )  # fmt: skip
            yield Case(
                f"{kind}, backward", count, "sample",
                backward_of(ours, [inputs, *weights]), backward_of(theirs, [inputs, *weights]),
                item_operations=2 * operations,
            )  # fmt: skip


def sampling_cases(batch: Batch, generator: torch.Generator) -> Iterator[Case]:
    """From rays to samples, and what the grid learns from them."""
    rays, samples = (batch.origins, batch.directions), batch.samples
    coarse, marks = summarise(batch.grid, batch.settings.threshold)
    bins, opacities = march(*rays, batch.grid, coarse, batch.settings, marks)
    limits = 0.9, 1e-3, 0.05
    weights, _ = visibility.bin_weights(bins, opacities, *limits)
    counts = samples.offsets[1:] - samples.offsets[:-1]
    jitter = torch.rand(len(samples), generator=generator)
    sigmas = torch.rand(len(samples), generator=generator) * 50
    grids = lambda: (batch.grid.clone(), coarse.clone())  # noqa: E731
    place = batch.cube, sigmas, batch.settings.step, False, 0.1
    yield Case(
        "marching", len(batch.origins), "ray",
        lambda: march(*rays, batch.grid, coarse, batch.settings, marks),
        lambda: marching_reference.march(*rays, batch.grid, batch.settings),
    )  # fmt: skip
    yield Case(
        "visibility of bins", len(bins), "bin",
        lambda: visibility.bin_weights(bins, opacities, *limits),
        lambda: visibility_reference.bin_weights(bins, opacities, *limits),
    )  # fmt: skip
    yield Case(
        "importance sampling", len(samples), "sample",
        lambda: resample(bins, weights, counts, jitter),
        lambda: importance_reference.resample(bins, weights, counts, jitter),
    )  # fmt: skip
    spread = SamplerSettings(samples=12, per_bin=4, floor=0.05)
    yield Case(
        "all three for a ray at once", len(batch.origins), "ray",
        lambda: sample(*rays, batch.grid, coarse, batch.settings, spread, 1, marks),
        lambda: sampling_reference.sample(*rays, batch.grid, batch.settings, spread, 1),
    )  # fmt: skip
    yield Case(
        "placing samples in the cube", len(samples), "sample",
        lambda: locate(*rays, samples, False), lambda: marching_reference.locate(*rays, samples, False),
    )  # fmt: skip
    yield Case(
        "opacity grid, observations", len(samples), "sample",
        lambda grid, blocks: observe(grid, blocks, *place),
        lambda grid, blocks: occupancy_reference.observe(grid, blocks, *place), prepare=grids,
    )  # fmt: skip


def compositing_cases(batch: Batch) -> Iterator[Case]:
    """Compositing with the distortion loss, the dearest form of it."""
    samples = batch.samples
    count = len(samples)
    sigmas = (torch.rand(count) * 50).requires_grad_()
    colours = torch.rand(3, count).T.requires_grad_()
    warped = samples.distances / 6, samples.lengths / 6

    def ours() -> list[Tensor]:
        seen = composite(sigmas, colours, samples, warped)
        return [seen.colour, seen.opacity, seen.depth_sum, seen.distortion]

    def theirs() -> list[Tensor]:
        return list(compositing_reference.composite(sigmas, colours, samples, warped)[:4])

    yield Case("compositing, forward", count, "sample", without_gradients(ours), without_gradients(theirs))
    yield Case(
        "compositing, backward", count, "sample",
        backward_of(ours, [sigmas, colours]), backward_of(theirs, [sigmas, colours]),
    )  # fmt: skip


def photometric_cases(batch: Batch, levels: HashLevels, generator: torch.Generator) -> Iterator[Case]:
    """A whole training step but for the optimiser, as one pass and as the references one after the other."""

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator).div_(columns**0.5).requires_grad_()

    table = torch.rand(levels.entries, levels.features, generator=generator, requires_grad=True)
    density = [matrix(64, levels.width), matrix(16, 64)]
    colour = [matrix(64, 32), matrix(64, 64), matrix(3, 64)]
    count = len(batch.origins)
    colours = torch.rand(2, count, 3, generator=generator)
    features = torch.randn(count, 16, generator=generator)
    rays = PhotometricRays(batch.origins, batch.directions, features, *colours)
    spread = SamplerSettings(samples=12, per_bin=4, floor=0.05)
    settings = PhotometricSettings(levels, batch.settings, spread, 1, 1e-3, 11.0, mlp.uses_bfloat16())
    grid = (batch.grid, *summarise(batch.grid, settings.marching.threshold))

    def step() -> tuple[Tensor, ...]:
        loss = photometric_step(table, density, colour, rays, *grid, settings).loss
        return torch.autograd.grad(loss, [table, *density, *colour])

    def give_back(result: tuple[Tensor, ...]) -> None:
        zeroed_buffers.give_back(result[0].zero_())

    def by_references() -> Any:
        earlier = os.environ.get("SIGHTLINE_KERNELS")
        os.environ["SIGHTLINE_KERNELS"] = "reference"
        try:
            return step()
        finally:
            os.environ.pop("SIGHTLINE_KERNELS")
            if earlier is not None:
                os.environ["SIGHTLINE_KERNELS"] = earlier

    yield Case(
        "training step, with gradients", len(batch.samples), "sample", step, by_references, finish=give_back
    )


def adam_cases(batch: Batch, levels: HashLevels) -> Iterator[Case]:
    """A step on the table with the gradient of one batch."""
    table = torch.rand(levels.entries, levels.features, requires_grad=True)
    encoded = hash_encoding.encode(batch.cube, table, levels)
    (gradient,) = torch.autograd.grad(encoded, table, torch.randn_like(encoded))
    numbers = table.detach().clone(), torch.zeros_like(gradient), torch.full_like(gradient, 1e-3)
    settings: dict[str, Any] = {
        "rate": 1e-2, "betas": (0.9, 0.99), "eps": 1e-15, "corrections": (1.0, 1.0)
    }  # fmt: skip
    parameter, first, second = numbers
    yield Case(
        "Adam on the hash table", gradient.numel(), "number",
        lambda given: adam.step(parameter, given, first, second, **settings),
        lambda given: adam_reference.step(parameter, given, first, second, **settings),
        prepare=lambda: (gradient.clone(),),
    )  # fmt: skip


def all_cases(samples: int, log2_entries: int) -> Iterator[Case]:
    """Every case, each made when its turn comes."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    batch = make_batch(samples, generator)
    levels = HashLevels(levels=8, features=4, log2_entries=log2_entries, coarsest=16, finest=1024)
    yield from hash_cases(batch, levels)
    yield from perceptron_cases(batch)
    yield from sampling_cases(batch, generator)
    yield from compositing_cases(batch)
    yield from photometric_cases(batch, levels, generator)
    yield from adam_cases(batch, levels)
