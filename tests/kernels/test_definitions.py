"""The definitions against loops that say the same, and that they have none: they are what runs on a GPU."""

import time
from typing import Any

import pytest
import torch
from kernel_cases import packed_counts, random_bins, random_samples, uniform
from torch import Tensor

from sightline.kernels.compositing import reference as compositing
from sightline.kernels.importance import reference as importance
from sightline.kernels.marching import MarchSettings
from sightline.kernels.marching import reference as marching
from sightline.kernels.occupancy import coarsen
from sightline.kernels.occupancy import reference as occupancy
from sightline.kernels.packed import Intervals
from sightline.kernels.visibility import reference as visibility


def resample_case(generator, rays: int, most: int = 12):
    bin_counts = packed_counts(generator, rays, 20)
    bins = random_bins(generator, bin_counts)
    # From ray to ray the bins begin anew, so that their distances have as many digits as real ones.
    shift = bins.starts[bins.offsets[:-1].clamp(max=len(bins) - 1)][bins.ray_indices]
    bins = Intervals(bins.offsets, bins.starts - shift, bins.ends - shift)
    counts = torch.randint(0, most, (rays,), generator=generator) * (bin_counts > 0)
    return bins, uniform(generator, len(bins), low=0.01), counts, uniform(generator, int(counts.sum()))


def resample_ray_by_ray(bins: Intervals, weights: Tensor, counts: Tensor, jitter: Tensor):
    """Distances and lengths in float64."""
    distances, lengths = [], []
    for ray, shares in enumerate(jitter.double().split(counts.tolist())):
        if len(shares) == 0:
            continue
        own = slice(int(bins.offsets[ray]), int(bins.offsets[ray + 1]))
        starts, w = bins.starts[own].double(), weights[own].double()
        sizes = (bins.ends - bins.starts)[own].double()
        cumulative = torch.cat([w.new_zeros(1), w.cumsum(0)])
        strata = torch.linspace(0, 1, len(shares) + 1, dtype=torch.float64) * cumulative[-1]

        def invert(quantiles, begins, cumulative=cumulative, w=w, sizes=sizes):
            index = (torch.searchsorted(cumulative, quantiles) - 1).clamp(0, len(w) - 1)
            return begins[index] + ((quantiles - cumulative[index]) / w[index]).clamp(0, 1) * sizes[index]

        distances.append(invert(strata[:-1] + shares * strata.diff(), starts))
        lengths.append(invert(strata, sizes.cumsum(0) - sizes).diff())
    return torch.cat(distances), torch.cat(lengths)


def test_resampling_ray_by_ray(generator):
    case = resample_case(generator, 4000)
    samples = importance.resample(*case)
    distances, lengths = resample_ray_by_ray(*case)
    assert len(samples) > 20_000
    # Rounded to float32 at the end only.
    torch.testing.assert_close(samples.distances.double(), distances, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(samples.lengths.double(), lengths, rtol=1e-7, atol=1e-9)


def observe_point_by_point(opacity, coarse, cells, found, rate):
    """Running means in Python's double precision."""
    side, block = len(opacity), occupancy.BLOCK
    flat, top = opacity.double().flatten().tolist(), coarse.double()
    for cell, value in zip(cells.tolist(), found.double().tolist(), strict=True):
        flat[cell] += rate * (value - flat[cell])
        x, y, z = cell % side // block, cell // side % side // block, cell // side**2 // block
        top[z, y, x] = max(float(top[z, y, x]), flat[cell])
    return torch.tensor(flat, dtype=torch.float64).view_as(opacity), top


# A cell gets from none to thousands of points; at a rate of one only its last counts, at zero none.
@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_observing_point_by_point(rate, spread, generator):
    number, side, step = 100_000, 24, 0.05
    grid = uniform(generator, side, side, side)
    cube, sigmas = uniform(generator, number, 3) * spread, uniform(generator, number, high=40)
    found = -torch.expm1(-sigmas * occupancy.bin_lengths(cube, step, True))
    cells = occupancy.cell_indices(cube, side)
    ours, coarse = grid.clone(), coarsen(grid)
    occupancy.observe(ours, coarse, cube, sigmas, step, True, rate)
    expected, top = observe_point_by_point(grid, coarsen(grid), cells, found, rate)
    assert cells.bincount().max() > (15 if spread == 1 else 3000)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(coarse.double(), top, rtol=1e-7, atol=1e-9)


def test_a_broken_density_stays_in_its_cell(generator):
    grid, cube = uniform(generator, 8, 8, 8), uniform(generator, 500, 3)
    sigmas = uniform(generator, 500)
    clean, broken = grid.clone(), grid.clone()
    occupancy.observe(clean, coarsen(grid), cube, sigmas, 0.1, False, 0.5)
    sigmas[100] = torch.nan
    occupancy.observe(broken, coarsen(grid), cube, sigmas, 0.1, False, 0.5)
    cell = int(occupancy.cell_indices(cube[100:101], 8))
    assert broken.view(-1)[cell].isnan()
    assert broken.isnan().sum() == 1
    same = torch.arange(512) != cell
    assert torch.equal(broken.view(-1)[same], clean.view(-1)[same])


def test_they_are_quick_enough_to_train_with(generator):
    case = resample_case(generator, 100_000, most=7)
    cube, sigmas = uniform(generator, 1_000_000, 3), uniform(generator, 1_000_000, high=40)
    grid = uniform(generator, 64, 64, 64)
    started = time.perf_counter()
    samples = importance.resample(*case)
    occupancy.observe(grid, coarsen(grid), cube, sigmas, 0.05, True, 0.3)
    # Loops over rays and points take more than 20 s here, these a tenth of the limit.
    assert time.perf_counter() - started < 8
    assert len(samples) > 200_000


def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    return type(value)(**{name: on_meta(item) for name, item in vars(value).items()})


def test_nothing_waits_for_values(generator):
    # Tensors of the meta device have no values: whatever asks for one, as a loop over rays must, fails.
    bins, weights, counts, jitter = (on_meta(value) for value in resample_case(generator, 50))
    assert importance.resample(bins, weights, counts, jitter).distances.shape == jitter.shape
    assert visibility.bin_weights(bins, weights, 0.99, 1e-3, 0.1)[1].shape == (50,)
    samples = on_meta(random_samples(generator, torch.full((50,), 3)))
    sigmas, colours = on_meta(torch.zeros(150)), on_meta(torch.zeros(150, 3))
    assert compositing.composite(sigmas, colours, samples)[0].shape == (50, 3)
    assert visibility.visible(samples, sigmas, 1e-3).shape == (150,)
    grid = on_meta(torch.zeros(16, 16, 16))
    occupancy.observe(grid, coarsen(grid), colours, sigmas, 0.1, True, 0.5)
    assert marching.locate(colours[:50], colours[:50], samples, True).shape == (150, 3)


def test_marching_asks_seldom_whether_any_ray_goes_on(generator, monkeypatch):
    asked = []
    monkeypatch.setattr(Tensor, "any", lambda self: asked.append(int(self.sum())) or bool(self.sum()))
    directions = torch.nn.functional.normalize(uniform(generator, 40, 3, low=-1), dim=-1)
    chosen = MarchSettings(contracted=False, step=0.02, near=0.0, far=8.0, threshold=0.1)
    bins, _ = marching.march(torch.zeros(40, 3), directions, torch.ones(8, 8, 8), chosen)
    longest = int(bins.counts.max())
    assert 50 < longest <= 87
    assert len(asked) <= longest // 32 + 2
    assert asked[0] == 40
    assert asked[-1] == 0


def test_resampling_in_double_precision_is_not_rounded(generator):
    bins, weights, counts, jitter = resample_case(generator, 30)
    samples = importance.resample(bins, weights.double(), counts, jitter.double())
    assert samples.distances.dtype == samples.lengths.dtype == torch.float64
    distances, lengths = resample_ray_by_ray(bins, weights, counts, jitter)
    torch.testing.assert_close(samples.distances, distances, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(samples.lengths, lengths, rtol=1e-12, atol=1e-12)
