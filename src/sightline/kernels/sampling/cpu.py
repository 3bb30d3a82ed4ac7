"""Placing samples by an opacity grid in Numba: a ray's bins are found, weighed and sampled at once."""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import inline, kernel
from sightline.kernels.importance.cpu import resample_ray
from sightline.kernels.marching import MarchSettings
from sightline.kernels.marching.cpu import grid_arrays, march_numbers, march_ray
from sightline.kernels.packed import Samples, offsets_from_counts
from sightline.kernels.sampling.settings import SamplerSettings
from sightline.kernels.visibility.cpu import weigh_bins

_GOLDEN, _MIX1, _MIX2 = np.uint32(0x9E3779B9), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)


@inline
def _jitter(seed, index):
    # Products of 32-bit words have 64 bits in compiled code.
    x = np.uint32(np.uint32(index) * _GOLDEN + seed)
    x = np.uint32((x ^ (x >> np.uint32(16))) * _MIX1)
    x = np.uint32((x ^ (x >> np.uint32(13))) * _MIX2)
    x = x ^ (x >> np.uint32(16))
    return np.float32(np.uint32(x >> np.uint32(8))) * np.float32(2.0**-24)


@inline
def sample_rays(
    origins, directions, grid, coarse, marks, contracted, step, near, far, threshold, largest, least,
    max_bins, samples, per_bin, floor, random, seed, first, last, distances, lengths, indices, counts, write,
):  # fmt: skip
    """Place the samples of rays first … last - 1 from `write` on; gives the position after them."""
    starts, ends = np.empty(max_bins, np.float32), np.empty(max_bins, np.float32)
    opacities, weights = np.empty(max_bins, np.float32), np.empty(max_bins, np.float32)
    places = np.full(samples, np.float32(0.5))
    one, full = np.float32(1), np.float32(samples)
    for ray in range(first, last):
        bins = march_ray(
            origins[ray, 0], origins[ray, 1], origins[ray, 2],
            directions[ray, 0], directions[ray, 1], directions[ray, 2],
            grid, coarse, marks, contracted, step, near, far, threshold, largest, least, max_bins,
            starts, ends, opacities, 0,
        )  # fmt: skip
        count = 0
        if bins > 0:
            total = weigh_bins(opacities, 0, bins, largest, least, floor, weights)
            count = min(np.int64(math.ceil(full * min(total, one))), bins * per_bin)
            if random:
                for k in range(count):
                    places[k] = _jitter(seed, ray * samples + k)
            resample_ray(starts, ends, weights, 0, bins, places, 0, count, distances[write:], lengths[write:])
            for k in range(count):
                indices[write + k] = ray
        counts[ray] = count
        write += count
    return write


@kernel(
    "void(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1], uint64[:,:,::1], boolean,"
    " float32, float32, float32, float32, float32, float32, int64, int64, int64, float32, boolean, uint32,"
    " float32[::1], float32[::1], int64[::1], int64[::1], int64, int64)"
)
def _sample(
    origins, directions, grid, coarse, marks, contracted, step, near, far, threshold, largest, least,
    max_bins, samples, per_bin, floor, random, seed, distances, lengths, indices, counts, first, last,
):  # fmt: skip
    sample_rays(
        origins, directions, grid, coarse, marks, contracted, step, near, far, threshold, largest, least,
        max_bins, samples, per_bin, floor, random, seed, first, last, distances, lengths, indices, counts,
        first * samples,
    )  # fmt: skip


def sampler_numbers(settings: SamplerSettings, seed: int | None) -> tuple:
    """The settings in the order in which kernels take them."""
    return (
        settings.samples,
        settings.per_bin,
        np.float32(settings.floor),
        seed is not None,
        np.uint32(seed or 0),
    )


def sample(
    origins: Tensor,
    directions: Tensor,
    opacity: Tensor,
    coarse: Tensor | None,
    marching: MarchSettings,
    settings: SamplerSettings,
    seed: int | None,
    marks: Tensor | None,
) -> Samples:
    """Place samples along rays; see `sightline.kernels.sampling.sample`."""
    rays = len(origins)
    capacity = rays * settings.samples
    distances, lengths = np.empty(capacity, np.float32), np.empty(capacity, np.float32)
    indices, counts = np.empty(capacity, np.int64), np.zeros(rays, np.int64)
    arrays = [t.float().contiguous().numpy() for t in (origins, directions)]
    fixed = (
        *arrays,
        *grid_arrays(opacity, coarse, marks, marching.threshold),
        *march_numbers(marching),
        *sampler_numbers(settings, seed),
    )
    function = _sample.compiled()
    # Smaller parts than threads need: rays through matter take longer than others.
    ranges = parallel.split(rays, min(4 * parallel.thread_count(), max(1, rays // 128)))
    outs = distances, lengths, indices, counts
    parallel.run([lambda a=a, b=b: function(*fixed, *outs, a, b) for a, b in ranges])
    first = [a * settings.samples for a, _ in ranges]
    pieces = [(k, k + int(counts[a:b].sum())) for k, (a, b) in zip(first, ranges, strict=True)]

    def joined(column: np.ndarray) -> Tensor:
        return torch.from_numpy(np.concatenate([column[:0], *(column[a:b] for a, b in pieces)]))

    offsets = offsets_from_counts(torch.from_numpy(counts))
    return Samples(offsets, joined(distances), joined(lengths), joined(indices))
