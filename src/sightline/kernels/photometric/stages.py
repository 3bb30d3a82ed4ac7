"""Stages of a photometric step on the rays of one part, in Numba.

Arrays of a part have a column for every sample that it may place; what is dropped leaves no gap.
"""

import math

import numpy as np

from sightline.kernels.compiling import inline
from sightline.kernels.hash_encoding.cpu import encode_range
from sightline.kernels.marching.cpu import to_cube
from sightline.kernels.mlp.walks import walk_backward, walk_forward
from sightline.kernels.photometric.refining import (
    add_feature_gradients,
    add_ray_gradients,
    compare_adjusted,
    widen,
)
from sightline.kernels.sampling.cpu import sample_rays


@inline
def place(origins, directions, contracted, indices, distances, points, total):
    """Unit-cube points of a part's samples."""
    for n in range(total):
        ray, t = indices[n], distances[n]
        points[n, 0], points[n, 1], points[n, 2] = to_cube(
            origins[ray, 0] + t * directions[ray, 0],
            origins[ray, 1] + t * directions[ray, 1],
            origins[ray, 2] + t * directions[ray, 2],
            contracted,
        )


@inline
def find_densities(features, largest, sigmas, total):
    """Densities from the first row of the density network's outputs."""
    row = features[0]
    for n in range(total):
        sigmas[n] = math.exp(min(max(row[n], -largest), largest))


@inline
def choose_visible(lengths, sigmas, least, counts, first, last, chosen):
    """Write which samples carry more weight than `least`; counts become theirs. Gives their number."""
    one = np.float32(1)
    begin, kept = 0, 0
    for ray in range(first, last):
        end, before = begin + counts[ray], kept
        transmittance = one
        for n in range(begin, end):
            through = math.exp(-sigmas[n] * lengths[n])
            chosen[kept] = n
            kept += 1 if transmittance * (one - through) > least else 0
            transmittance *= through
        begin, counts[ray] = end, kept - before
    return kept


@inline
def keep_rows(rows, chosen, kept):
    """Move the chosen columns to the front, in every row."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for n in range(kept):
            row[n] = row[chosen[n]]


@inline
def keep_values(values, chosen, kept):
    """Move the chosen values to the front."""
    for n in range(kept):
        values[n] = values[chosen[n]]


@inline
def compare(sigmas, raw, lengths, counts, first, last, target, behind, scale, to_logarithm, refined):
    """Composite the rays and compare them; raw colours become the gradients to them.

    Args:
        raw: (3, ·) outputs of the colour network before the sigmoid.
        scale: gradient of the loss to a colour, per unit of its error.
        to_logarithm: gets the gradient to the densities' logarithms.
        refined: None, or what `run_part` says of it.

    Gives the sum of the squared errors.
    """
    one, loss = np.float32(1), 0.0
    red, green, blue = raw[0], raw[1], raw[2]
    weights, after = np.empty(lengths.size, np.float32), np.empty(lengths.size, np.float32)
    begin = 0
    for ray in range(first, last):
        end = begin + counts[ray]
        light = one
        r, g, b = np.float32(0), np.float32(0), np.float32(0)
        for n in range(begin, end):
            red[n] = one / (one + math.exp(-red[n]))
            green[n] = one / (one + math.exp(-green[n]))
            blue[n] = one / (one + math.exp(-blue[n]))
            through = math.exp(-sigmas[n] * lengths[n])
            w = light * (one - through)
            light *= through
            weights[n], after[n] = w, light
            r += w * red[n]
            g += w * green[n]
            b += w * blue[n]
        if refined is None:
            r += light * behind[ray, 0] - target[ray, 0]
            g += light * behind[ray, 1] - target[ray, 1]
            b += light * behind[ray, 2] - target[ray, 2]
            loss += np.float64(r * r + g * g + b * b)
            r, g, b = r * scale, g * scale, b * scale
            # The light that passes all samples is what the last one lets through: it shows what is behind.
            hidden = r * behind[ray, 0] + g * behind[ray, 1] + b * behind[ray, 2]
        else:
            r, g, b, hidden, error = compare_adjusted(refined, ray, r, g, b, light, target, behind, scale)
            loss += error
        rest = light * hidden
        for back in range(end - begin):
            n = end - 1 - back
            upstream = r * red[n] + g * green[n] + b * blue[n]
            w = weights[n]
            to_logarithm[n] = sigmas[n] * lengths[n] * (after[n] * upstream - rest)
            rest += w * upstream
            red[n] = w * r * red[n] * (one - red[n])
            green[n] = w * g * green[n] * (one - green[n])
            blue[n] = w * b * blue[n] * (one - blue[n])
        begin = end
    return loss


@inline
def run_part(
    rays, grid, march, sampling, table, levels, density, colour, limits, scale,
    work, points, kept_points, sigmas, to_density, to_colour, counts, facts, first, last, refined=None,
):  # fmt: skip
    """Do a whole step on rays first … last - 1.

    Args:
        rays: origins, directions, features, target and behind of all rays.
        grid: opacity, coarse and marks.
        march, sampling: numbers of the settings.
        levels: cells, sizes, offsets and dense of the encoding.
        density, colour: each network's packed matrices, the same transposed, and its widths.
        limits: least weight and largest logarithm of a density.
        work: (width, capacity) gets the gradients to the encoded features of the samples that are kept.
        points, sigmas: get the positions and densities of all samples, `kept_points` those that are kept.
        to_density, to_colour: gradients to the packed matrices, added to.
        counts: (all rays,) gets the samples that are kept.
        facts: (3,) gets the sum of squared errors, the number of all samples and of those that are kept.
        refined: None, or how photos change colours, and what gets the gradients to that and to the rays: see
            `refining.REFINED`. Where it is None, none of it is compiled.
    """
    origins, directions, features_of_rays, target, behind = rays
    capacity = work.shape[1]
    distances, lengths = np.empty(capacity, np.float32), np.empty(capacity, np.float32)
    indices, chosen = np.empty(capacity, np.int64), np.empty(capacity + 1, np.int64)
    total = sample_rays(
        origins, directions, grid[0], grid[1], grid[2],
        march[0], march[1], march[2], march[3], march[4], march[5], march[6], march[7],
        sampling[0], sampling[1], sampling[2], sampling[3], sampling[4],
        first, last, distances, lengths, indices, counts, 0,
    )  # fmt: skip
    place(origins, directions, march[0], indices, distances, points, total)
    encode_range(points, table, levels[0], levels[1], levels[2], levels[3], work, True, 0, total)
    nothing = np.empty((1, 0), np.float32)
    features = np.empty((density[2][-1], capacity), np.float32)
    walk_forward(work, nothing, indices, density[0], density[2], features, 0, total)
    find_densities(features, limits[1], sigmas, total)
    kept = choose_visible(lengths, sigmas, limits[0], counts, first, last, chosen)
    if refined is None:
        # Distances have served.
        kept_sigmas, to_logarithm = distances, np.empty(capacity, np.float32)
    else:
        keep_values(distances, chosen, kept)
        kept_sigmas, to_logarithm = np.empty(capacity, np.float32), np.empty(capacity, np.float32)
    for n in range(kept):
        source = chosen[n]
        kept_sigmas[n] = sigmas[source]
        kept_points[n, 0] = points[source, 0]
        kept_points[n, 1] = points[source, 1]
        kept_points[n, 2] = points[source, 2]
    keep_rows(work, chosen, kept)
    keep_rows(features, chosen, kept)
    keep_values(lengths, chosen, kept)
    keep_values(indices, chosen, kept)
    raw = np.empty((3, capacity), np.float32)
    walk_forward(features, features_of_rays, indices, colour[0], colour[2], raw, 0, kept)
    facts[0] = compare(
        kept_sigmas, raw, lengths, counts, first, last, target, behind, scale, to_logarithm, refined
    )
    facts[1], facts[2] = total, kept
    if refined is None:
        walk_backward(
            features, features_of_rays, indices, colour[0], colour[2], colour[1], raw, features, to_colour,
            0, kept,
        )  # fmt: skip
    else:
        wide = widen(refined, features, features_of_rays, indices, kept)
        shared = features_of_rays if wide.shape[0] == features.shape[0] else nothing
        walk_backward(wide, shared, indices, colour[0], colour[2], colour[1], raw, wide, to_colour, 0, kept)
        features = wide[: features.shape[0]]
        add_feature_gradients(refined, wide, features.shape[0], indices, kept)
    row = features[0]
    for n in range(kept):
        row[n] += to_logarithm[n]
    walk_backward(
        work, nothing, indices, density[0], density[2], density[1], features, work, to_density, 0, kept
    )
    if refined is not None:
        add_ray_gradients(
            refined, origins, directions, march[0], kept_points, table, work, levels, indices, distances, kept
        )


def make_signature(packed: str, refined: str = "") -> str:
    """Signature of a kernel that calls `run_part` with all of its arguments.

    Args:
        packed: type of the numbers in packed matrices.
        refined: type of the last argument, where the kernel has it.
    """
    vector, matrix, cube = "float32[::1]", "float32[:,::1]", "float32[:,:,::1]"
    network = f"Tuple(({packed}[::1], {packed}[::1], int64[::1]))"
    return (
        f"void(UniTuple({matrix}, 5), Tuple(({cube}, {cube}, uint64[:,:,::1])),"
        " Tuple((boolean, float32, float32, float32, float32, float32, float32, int64)),"
        " Tuple((int64, int64, float32, boolean, uint32)),"
        f" {matrix}, Tuple((int64[::1], int64[::1], int64[::1], boolean[::1])), {network}, {network},"
        f" UniTuple(float32, 2), float32, {matrix}, {matrix}, {matrix}, {vector}, {vector}, {vector},"
        f" int64[::1], float64[::1], int64, int64{refined and ', '}{refined})"
    )
