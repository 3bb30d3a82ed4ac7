import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.kernels import parallel
from sightline.kernels.marching import MarchSettings
from sightline.kernels.occupancy import summarise
from sightline.kernels.packed import Samples
from sightline.kernels.sampling import SamplerSettings, reference, sample

SPREAD = SamplerSettings(samples=8, per_bin=3, floor=0.2)


def marching(contracted: bool = False, threshold: float = 0.5) -> MarchSettings:
    return MarchSettings(
        contracted, step=0.1, near=0.05, far=16.0, threshold=threshold, largest=0.9, least_transmittance=1e-3
    )


def scene(generator: torch.Generator, rays: int = 800) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rays through a grid with matter in about half of its cells."""
    origins = uniform(generator, rays, 3, low=-2, high=2)
    directions = torch.nn.functional.normalize(uniform(generator, rays, 3, low=-1), dim=-1)
    return origins, directions, uniform(generator, 24, 24, 24)


def along_x(grid: torch.Tensor, settings: SamplerSettings, seed: int | None = None) -> Samples:
    origins, directions = torch.tensor([[-2.0, 0.1, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
    march = MarchSettings(False, step=0.25, near=0.0, far=8.0, threshold=0.01, largest=0.9)
    return sample(origins, directions, grid, None, march, settings, seed)


def test_one_opaque_bin_by_hand(backend):
    # Eight cells to a side of two units: cell 5 along x is [0.25, 0.5], 2.25 to 2.5 from the ray's origin.
    grid = torch.zeros(8, 8, 8)
    grid[4, 4, 5] = 0.8
    samples = along_x(grid, SamplerSettings(samples=4, per_bin=4))
    # Opacity 0.8 of 4 samples: 3.2, so four, in the middles of the quarters.
    assert samples.offsets.tolist() == [0, 4]
    assert samples.distances.tolist() == pytest.approx([2.28125, 2.34375, 2.40625, 2.46875])
    assert samples.lengths.tolist() == pytest.approx([0.0625] * 4)
    assert len(along_x(grid, SamplerSettings(samples=4, per_bin=2))) == 2
    grid[4, 4, 5] = 0.2
    assert len(along_x(grid, SamplerSettings(samples=4, per_bin=4))) == 1
    assert len(along_x(torch.zeros(8, 8, 8), SamplerSettings(samples=4))) == 0


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("seed", [None, 7, 0xFFFFFFFF])
def test_compiled_is_the_reference(contracted, seed, generator, monkeypatch):
    parallel.set_thread_count(2)
    origins, directions, grid = scene(generator)
    arguments = (origins, directions, grid, None, marching(contracted), SPREAD, seed)
    ours, expected = by_both_backends(monkeypatch, sample, *arguments)
    assert len(expected) > 800
    assert torch.equal(ours.offsets, expected.offsets)
    assert torch.equal(ours.ray_indices, expected.ray_indices)
    # Where a share's end meets a gap between bins, rounding decides on which side of it a sample falls.
    close = (ours.distances - expected.distances).abs() < 1e-4
    assert close.float().mean() > 0.985
    assert ((ours.lengths - expected.lengths).abs() < 1e-4).float().mean() > 0.985


@pytest.mark.parametrize("contracted", [False, True])
def test_neither_threads_nor_summaries_change_the_samples(contracted, generator):
    origins, directions, grid = scene(generator)
    chosen = marching(contracted)
    coarse, marks = summarise(grid, chosen.threshold)
    results = []
    for threads, given in ((1, (None, None)), (2, (coarse, marks)), (5, (coarse, None))):
        parallel.set_thread_count(threads)
        results.append(sample(origins, directions, grid, given[0], chosen, SPREAD, 3, given[1]))
    for other in results[1:]:
        assert all(torch.equal(value, vars(results[0])[name]) for name, value in vars(other).items())


def test_jitter_is_even_and_follows_the_seed():
    indices = torch.arange(100_000)
    first, second = reference.jitter(1, indices), reference.jitter(2, indices)
    assert first.min() >= 0
    assert first.max() < 1
    counts = torch.histc(first, 20, 0, 1)
    assert torch.all((counts - 5000).abs() < 5 * 5000**0.5)
    both = torch.corrcoef(torch.stack([first, second, first.roll(1)]))
    assert both.fill_diagonal_(0).abs().max() < 0.02


def test_no_rays(backend):
    none = torch.zeros(0, 3)
    samples = sample(none, none, torch.ones(8, 8, 8), None, marching(), SPREAD, 1)
    assert (len(samples), samples.offsets.tolist()) == (0, [0])
