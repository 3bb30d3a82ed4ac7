"""Rays through sparse voxels: against exact light, fine sums along the ray, and differences of the error."""

import math
from dataclasses import replace

import numpy as np
import pytest
from web_cases import all_places, blob, integral, rays_at, space_of, voxels_of

from sightline.exports.web.tracing import Gradients, March, learn, score, show
from sightline.exports.web.voxels import to_codes


def fog(cells: int, depth: float):
    """The same optical depth per cell everywhere, grey."""
    places = all_places(cells)
    values = np.full((len(places), 4), 0.5)
    values[:, 0] = to_codes(np.array([depth]))
    return voxels_of(cells, places, values)


def ray(origin, direction):
    return np.array([origin], np.float32), np.array([direction], np.float32)


def test_light_through_even_fog_is_exact_for_any_stride():
    voxels = fog(16, 0.05)
    for stride in (0.5, 1.0, 3.0):
        march = March(space_of(False), stride=stride)
        seen = show(voxels, march, *ray([0.1, 0.2, 3.0], [0, 0, -1]))[0]
        # 16 cells of 0.05 each; grey of what is hidden.
        assert seen[3] == pytest.approx(math.exp(-0.8), abs=1e-4)
        assert seen[:3] == pytest.approx([0.5 * (1 - math.exp(-0.8))] * 3, abs=1e-4)


def test_fog_of_contracted_space_thins_with_the_square_of_the_distance():
    voxels = fog(32, 0.05)
    space = space_of(True)
    seen = show(voxels, March(space), *ray([0, 0, 0], [0, 0, -1]))[0]
    # 1 / h inside the box (h = 1/8), then the integral of 1 / (h r²) from 1 to 64; near is next to nothing.
    expected = 0.05 * 8 * (1 - space.near + 1 - 1 / 64)
    assert -math.log(seen[3]) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("contracted", [False, True])
def test_what_is_seen_is_the_integral_along_the_ray(contracted):
    voxels, space = blob(32, contracted), space_of(contracted)
    origins, directions = rays_at(24)
    # Far from walls of codes that end within a cell, fine strides are the integral.
    found = show(voxels, March(space, stride=0.1), origins, directions)
    expected = np.stack(
        [integral(voxels, space, o, d, 6000) for o, d in zip(origins, directions, strict=True)]
    )
    assert (1 - found[:, 3]).max() > 0.8
    assert np.abs(found[:, 3] - expected[:, 3]).max() < 6e-3
    assert np.abs(found[:, :3] - expected[:, :3]).max() < 1e-2
    usual = show(voxels, March(space), origins, directions)
    assert np.abs(usual[:, :4] - found[:, :4]).max() < 0.03


def test_empty_blocks_are_passed_without_a_sample():
    places = np.array([[30, 2, 2]])
    voxels = voxels_of(32, places, np.array([[0.9, 1, 0, 0]]))
    h = 2 / 32
    origins, directions = ray([3.0, 2 * h - 1, 2 * h - 1], [-1, 0, 0])
    seen = show(voxels, March(space_of(False), stride=0.25), origins, directions)[0]
    assert seen[3] < 0.9
    assert seen[:3] == pytest.approx([1 - seen[3], 0, 0], abs=1e-5)
    # The mean distance is that of the visited block's entry, within the block.
    assert 3.0 - seen[4] / (1 - seen[3]) == pytest.approx(1 - h * 2, abs=4 * h)


def test_scores_are_the_largest_share_of_a_ray():
    places = np.array([[8, 8, 8], [9, 8, 8]])
    voxels = voxels_of(16, places, np.array([[0.9, 0, 0, 0], [0.9, 0, 0, 0]]))
    # Along x through both points: from the side of the second, which hides the first.
    origins, directions = ray([3, 0, 0], [-1, 0, 0])
    weights, which = score(voxels, March(space_of(False), stride=0.1), origins, directions)
    assert which.tolist() == [0, 0]
    first, second = weights[np.argsort(voxels.keys)]
    assert second > first > 0
    assert score(voxels, March(space_of(False)), *ray([3, 0.9, 0.9], [-1, 0, 0]))[0].max() == 0


@pytest.mark.parametrize(("contracted", "terms"), [(False, 3), (True, 3), (False, 8)])
def test_gradients_are_differences_of_the_error(contracted, terms):
    voxels, march = blob(16, contracted, terms), March(space_of(contracted), phase=0.5)
    # The same everywhere: where within a block its change is looked up has no gradient.
    voxels.residual[:] = voxels.residual[:1]
    origins, directions = rays_at(40, seed=3)
    random = np.random.default_rng(2)
    targets, behind = (random.uniform(size=(40, 3)).astype(np.float32) for _ in range(2))

    def error(changed) -> float:
        seen = show(changed, march, origins, directions).astype(np.float64)
        return float(((seen[:, :3] + seen[:, 3:4] * behind - targets) ** 2).mean())

    into = Gradients(voxels)
    assert learn(voxels, march, origins, directions, targets, behind, into) == pytest.approx(
        error(voxels), rel=1e-5
    )
    to_values, to_residual = into.total()
    for name, slopes in (("values", to_values), ("residual", to_residual)):
        # Along the gradient, and along a random direction of those entries that have one.
        for direction in (slopes, slopes * random.normal(size=slopes.shape)):
            direction = direction / np.abs(direction).max()
            step = 2e-3
            ends = [
                error(replace(voxels, **{name: (getattr(voxels, name) + s * direction).astype(np.float32)}))
                for s in (step, -step)
            ]
            difference = (ends[0] - ends[1]) / (2 * step)
            assert float((slopes * direction).sum()) == pytest.approx(difference, rel=0.05, abs=1e-6)
