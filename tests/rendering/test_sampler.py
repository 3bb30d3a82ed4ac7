"""Where samples are placed along rays, by a grid whose opacities are set by hand."""

import pytest
import torch

from sightline.kernels.marching import MarchSettings, locate
from sightline.kernels.occupancy import cell_indices
from sightline.kernels.packed import Samples
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import SamplerSettings, sample

SIDE = 16
STEP = 2 / SIDE
MARCHING = MarchSettings(contracted=False, step=STEP, near=0.0, far=1.0, threshold=1e-3)


def make_grid(opacities: dict[int, float]) -> OpacityGrid:
    """A grid that is empty but for slabs: cell index along x → opacity."""
    grid = OpacityGrid(SIDE, STEP, False, 0.0)
    for index, value in opacities.items():
        grid.opacity[:, :, index] = value
    grid.changed()
    return grid


def along_x(grid: OpacityGrid, settings: SamplerSettings, jitter: bool = False, rays: int = 1) -> Samples:
    """Sample rays that enter the box at x = -1, so that marching bins are the grid's cells."""
    origins = torch.tensor([[-3.0, 0.03, 0.03]]).repeat(rays, 1)
    directions = torch.tensor([[1.0, 0.0, 0.0]]).repeat(rays, 1)
    return sample(origins, directions, grid, MARCHING, settings, jitter)


def cells_of(samples: Samples) -> list[int]:
    return ((samples.distances - 2) / STEP).long().tolist()


def test_samples_share_out_as_the_weights_do() -> None:
    # Weights 0.2 and 0.8 · 0.6 = 0.48: of ceil(10 · 0.68) = 7 samples, 2 and 5.
    samples = along_x(make_grid({4: 0.2, 10: 0.6}), SamplerSettings(10, per_bin=100, floor=0.0))
    assert cells_of(samples) == [4, 4, 10, 10, 10, 10, 10]


def test_the_floor_moves_samples_to_weak_bins() -> None:
    samples = along_x(make_grid({4: 0.2, 10: 0.6}), SamplerSettings(10, per_bin=100, floor=0.5))
    assert cells_of(samples) == [4, 4, 4, 10, 10, 10, 10]


def test_a_bin_has_no_more_than_its_share_of_samples() -> None:
    samples = along_x(make_grid({4: 0.2, 10: 0.6}), SamplerSettings(10, per_bin=2, floor=0.0))
    assert len(samples) == 4


def test_lengths_add_up_to_the_bins_with_matter() -> None:
    samples = along_x(make_grid({4: 0.2, 5: 0.1, 10: 0.6}), SamplerSettings(10, per_bin=4, floor=0.01))
    assert samples.lengths.sum().item() == pytest.approx(3 * STEP, rel=1e-4)


def test_nothing_is_sampled_behind_what_is_opaque() -> None:
    grid = make_grid({3: 1.0, 4: 1.0, 5: 1.0, 12: 1.0})
    marching = MarchSettings(False, STEP, 0.0, 1.0, 1e-3, largest=0.9, least_transmittance=0.05)
    origins, directions = torch.tensor([[-3.0, 0.03, 0.03]]), torch.tensor([[1.0, 0.0, 0.0]])
    samples = sample(origins, directions, grid, marching, SamplerSettings(20, per_bin=20))
    # 0.1 of the light passes the first bin, 0.01 the second.
    assert set(cells_of(samples)) == {3, 4}


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("contracted", [False, True])
def test_samples_lie_in_occupied_bins_and_empty_rays_get_none(contracted: bool, jitter: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    grid = OpacityGrid(SIDE, STEP, contracted, 0.0)
    grid.opacity[5:9, 6:12, 4:9] = torch.rand(4, 6, 5, generator=generator) * 0.8 + 0.1
    grid.changed()
    origins = torch.randn(200, 3, generator=generator)
    origins = 3 * origins / origins.norm(dim=-1, keepdim=True)
    aims = torch.rand(200, 3, generator=generator) * 3 - 1.5
    directions = aims - origins
    directions = directions / directions.norm(dim=-1, keepdim=True)
    step = STEP / 8
    marching = MarchSettings(contracted, step, near=0.0, far=16.0, threshold=0.05)
    samples = sample(origins, directions, grid, marching, SamplerSettings(12), jitter)
    cube = locate(origins, directions, samples, contracted)
    # A bin is kept for the cell at its middle: a sample may lie half a bin beyond that cell.
    grown = torch.nn.functional.max_pool3d(grid.opacity[None], 3, 1, 1)[0].flatten()
    cells = cell_indices(cube, SIDE)
    assert torch.all(grown[cells] > 0)
    assert (grid.opacity.flatten()[cells] > 0).float().mean() > 0.9
    counts = torch.bincount(samples.ray_indices, minlength=200)
    assert torch.equal(counts, samples.offsets.diff())
    # Rays that pass by all matter, found by close steps.
    t = torch.arange(0, 40, 0.005)
    walked = Samples(torch.tensor([0, len(t)]), t, t, torch.zeros(len(t), dtype=torch.long))
    touched = torch.zeros(200, dtype=torch.bool)
    for ray in range(200):
        inside = locate(origins[ray : ray + 1], directions[ray : ray + 1], walked, contracted)
        kept = (inside >= 0).all(-1) & (inside <= 1).all(-1)
        touched[ray] = bool((grid.opacity.flatten()[cell_indices(inside[kept], SIDE)] > 0).any())
    assert 20 < int(touched.sum()) < 180
    assert torch.all(counts[~touched] == 0)
    assert (counts[touched] > 0).float().mean() > 0.9


def test_jitter_spreads_samples_evenly_within_a_bin() -> None:
    samples = along_x(make_grid({7: 0.5}), SamplerSettings(2, per_bin=4, floor=0.0), jitter=True, rays=4000)
    place = (samples.distances - 2) / STEP - 7
    assert len(samples) == 4000
    assert float(place.min()) >= 0
    assert float(place.max()) <= 1
    assert float(place.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(place.std()) == pytest.approx((1 / 12) ** 0.5, abs=0.02)


def test_rays_that_miss_the_box_have_no_samples() -> None:
    grid = make_grid(dict.fromkeys(range(SIDE), 0.9))
    origins = torch.tensor([[-3.0, 2.0, 0.0], [-3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0]] * 3)
    samples = sample(origins, directions, grid, MARCHING, SamplerSettings(8))
    assert samples.offsets[1] == 0
    assert samples.offsets[2] == samples.offsets[3] == len(samples)
    assert len(samples) > 0
