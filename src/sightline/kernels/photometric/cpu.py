"""A photometric step in Numba: parts of the rays at once, then the levels of the table."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.buffers import zeroed_buffers
from sightline.kernels.compiling import kernel
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.hash_encoding.cpu import layout, scatter_level
from sightline.kernels.marching.cpu import grid_arrays, march_numbers
from sightline.kernels.mlp import uses_bfloat16
from sightline.kernels.mlp.blocks import split_gradient
from sightline.kernels.photometric.problem import PhotometricRays, PhotometricSettings
from sightline.kernels.photometric.refined import RefinedWork, refined_kernel
from sightline.kernels.sampling.cpu import sampler_numbers

# Parts of a step. Their number fixes the order in which sums are taken, so it doesn't follow the threads.
PARTS = 16
# Columns of a part are a multiple of this and a few more: rows a power of two apart would share cache sets.
_COLUMNS, _APART = 256, 48


@kernel(
    "void(float32[:,:,::1], float32[:,:,::1], int64[::1], float32[:,::1], int64, int64, boolean, int64,"
    " int64, int64)"
)
def _scatter(points, gradients, counts, rows, cells, size, dense, first_row, start, stop):
    for part in range(len(counts)):
        scatter_level(
            points[part, : counts[part]], gradients[part], rows, cells, size, dense, first_row, True,
            start, stop,
        )  # fmt: skip


@dataclass
class Work:
    """What the parts of a step have left."""

    table: Tensor
    levels: HashLevels
    weights: tuple[list[Tensor], list[Tensor]]
    widths: tuple[np.ndarray, np.ndarray]
    points: np.ndarray
    """(parts, capacity, 3) positions of all samples"""
    kept_points: np.ndarray
    """(parts, capacity, 3) positions of those that are kept"""
    sigmas: np.ndarray
    """(parts, capacity) densities of all samples"""
    gradients: np.ndarray
    """(parts, width, capacity) gradients to the encoded features"""
    to_weights: tuple[np.ndarray, np.ndarray]
    """(parts, numbers) gradients to the packed matrices of each network"""
    facts: np.ndarray
    """(parts, 3) sum of squared errors, samples, samples that are kept"""
    rays: int
    refined: RefinedWork | None = None
    """what is left of photos' colours and of rays that may move"""

    @property
    def loss(self) -> float:
        """Mean squared error."""
        return float(self.facts[:, 0].sum()) / max(1, 3 * self.rays)

    @property
    def samples(self) -> int:
        """Samples that were trained on."""
        return int(self.facts[:, 2].sum())

    def placed(self) -> tuple[Tensor, Tensor]:
        """Positions (n, 3) and densities (n,) of all samples."""
        counts = [int(count) for count in self.facts[:, 1]]
        points = [rows[:count] for rows, count in zip(self.points, counts, strict=True)]
        sigmas = [values[:count] for values, count in zip(self.sigmas, counts, strict=True)]
        return torch.from_numpy(np.concatenate(points)), torch.from_numpy(np.concatenate(sigmas))

    def table_gradient(self) -> Tensor:
        """Gradient to the table; every entry's sum is taken in the order of the samples."""
        out = zeroed_buffers.take(self.table)
        rows, levels, function = out.numpy(), self.levels, _scatter.compiled()
        kept = self.facts[:, 2].astype(np.int64)
        segments = max(1, -(-parallel.thread_count() // levels.levels))
        jobs = []
        for level in range(levels.levels):
            size, offset = int(levels.sizes[level]), int(levels.offsets[level])
            facts = (int(levels.resolutions[level]), size, bool(levels.dense[level]))
            for a, b in parallel.split(size, segments):
                part = rows[offset : offset + size]
                jobs.append(
                    (self.kept_points, self.gradients, kept, part, *facts, level * levels.features, a, b)
                )
        # The finest levels take longest, since their entries are spread widest: they begin.
        parallel.run([lambda job=job: function(*job) for job in reversed(jobs)])
        return out

    def weight_gradients(self) -> list[Tensor]:
        """Gradient to each matrix, those of the density network first."""
        found = []
        for sums, weights, widths in zip(self.to_weights, self.weights, self.widths, strict=True):
            found += split_gradient(sums.sum(0), weights, widths)
        return found


def _backend(narrow: bool) -> tuple[Callable, ModuleType]:
    """The kernel and the perceptron's module that packs weights for it."""
    if narrow and uses_bfloat16():
        from sightline.kernels.mlp import cpu_bf16
        from sightline.kernels.photometric.cpu_bf16 import step

        return step.compiled(), cpu_bf16
    from sightline.kernels.mlp import cpu
    from sightline.kernels.photometric.cpu_float32 import step

    return step.compiled(), cpu


def _size(widths: np.ndarray) -> int:
    """Numbers in the padded matrices of a network."""
    return int((widths[1:] * widths[:-1]).sum())


def run_parts(
    table: Tensor,
    density: list[Tensor],
    colour: list[Tensor],
    rays: PhotometricRays,
    opacity: Tensor,
    coarse: Tensor | None,
    marks: Tensor | None,
    settings: PhotometricSettings,
) -> Work:
    """Do everything up to the encoded features' gradients; see `photometric_step`."""
    function, backend = _backend(settings.narrow)
    refined = RefinedWork.of(rays, settings) if rays.refined else None
    if refined is not None:
        function = refined_kernel(settings.narrow).compiled()
    networks = [backend.pack([weight.detach() for weight in weights]) for weights in (density, colour)]
    columns = (rays.origins, rays.directions, rays.features, rays.target, rays.behind)
    count = len(rays.origins)
    ranges = parallel.split(count, PARTS)
    most = max((b - a for a, b in ranges), default=0) * settings.sampling.samples
    capacity = -(-most // _COLUMNS) * _COLUMNS + _APART
    parts, width = len(ranges), settings.levels.width
    work = Work(
        table, settings.levels, (density, colour), (networks[0][2], networks[1][2]),
        np.empty((parts, capacity, 3), np.float32), np.empty((parts, capacity, 3), np.float32),
        np.empty((parts, capacity), np.float32), np.empty((parts, width, capacity), np.float32),
        (np.zeros((parts, _size(networks[0][2])), np.float32),
         np.zeros((parts, _size(networks[1][2])), np.float32)),
        np.zeros((parts, 3)), count, refined,
    )  # fmt: skip
    more = () if refined is None else (refined.arguments(),)
    counts = np.empty(count, np.int64)
    fixed = (
        tuple(column.detach().float().contiguous().numpy() for column in columns),
        grid_arrays(opacity, coarse, marks, settings.marching.threshold),
        march_numbers(settings.marching),
        sampler_numbers(settings.sampling, settings.seed),
        table.detach().numpy(),
        layout(settings.levels),
        *networks,
        (np.float32(settings.least_weight), np.float32(settings.largest_log_density)),
        np.float32(2 / max(1, 3 * count)),
    )

    def task(part: int, a: int, b: int) -> None:
        function(
            *fixed, work.gradients[part], work.points[part], work.kept_points[part], work.sigmas[part],
            work.to_weights[0][part], work.to_weights[1][part], counts, work.facts[part], a, b, *more,
        )  # fmt: skip

    parallel.run([lambda k=k, a=a, b=b: task(k, a, b) for k, (a, b) in enumerate(ranges)])
    return work
