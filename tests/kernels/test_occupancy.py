import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import by_both_backends, uniform

from sightline.kernels import parallel
from sightline.kernels.occupancy import bin_lengths, cell_indices, coarsen, mark, observe, summarise


def density_of(opacity: float, length: float) -> float:
    """The density at which a bin of some length has this opacity."""
    return -math.log(1 - opacity) / length


def test_running_mean_by_hand(backend):
    grid = torch.zeros(16, 16, 16)
    coarse = coarsen(grid)
    # The centre of the cube lies in cell (8, 8, 8), in the second of two blocks along each axis.
    half, nothing = density_of(0.5, 0.02), 0.0
    cube = torch.full((3, 3), 0.5)
    observe(grid, coarse, cube, torch.tensor([half, half, nothing]), 0.02, False, 0.25)
    # 0 -> 0.125 -> 0.125 + 0.25 * 0.375 = 0.21875 -> 0.1640625
    assert grid[8, 8, 8].item() == pytest.approx(0.1640625, abs=1e-6)
    assert grid.count_nonzero() == 1
    # The block's maximum saw 0.21875 and is not lowered.
    assert coarse[1, 1, 1].item() == pytest.approx(0.21875, abs=1e-6)
    assert coarse.count_nonzero() == 1


def test_axes_and_borders(backend):
    grid = torch.zeros(16, 16, 16)
    cube = torch.tensor([[0.0, 0.49, 1.0]])
    observe(grid, coarsen(grid), cube, torch.tensor([1e6]), 0.1, False, 1.0)
    assert grid.nonzero().tolist() == [[15, 7, 0]]
    assert grid[15, 7, 0] == 1


def test_bins_grow_outside_the_box(backend):
    # Shell coordinate 1.5 is a radius of 2, so the bin is four times as long.
    cube = torch.tensor([[0.5, 0.5, (1.5 + 2) / 4], [0.5, 0.6, 0.3]])
    torch.testing.assert_close(bin_lengths(cube, 0.1, True), torch.tensor([0.4, 0.1]))
    torch.testing.assert_close(bin_lengths(cube, 0.1, False), torch.tensor([0.1, 0.1]))
    grid = torch.zeros(8, 8, 8)
    observe(grid, coarsen(grid), cube[:1], torch.tensor([density_of(0.3, 0.4)]), 0.1, True, 1.0)
    assert grid[7, 4, 4].item() == pytest.approx(0.3, abs=1e-6)


def test_cells_by_hand():
    cube = torch.tensor([[0.0, 0.0, 0.0], [0.99, 0.0, 0.0], [1.0, 0.5, 0.25]])
    assert cell_indices(cube, 4).tolist() == [0, 3, 3 + 4 * (2 + 4 * 1)]


def test_maxima_of_blocks_by_hand():
    grid = torch.zeros(12, 12, 12)
    grid[0, 0, 7], grid[7, 7, 7], grid[11, 8, 3] = 0.2, 0.3, 0.4
    coarse = coarsen(grid)
    assert coarse.shape == (2, 2, 2)
    assert coarse[0, 0, 0] == grid[7, 7, 7]
    assert coarse[1, 1, 0] == grid[11, 8, 3]
    assert coarse.count_nonzero() == 2


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("side", [12, 16])
def test_compiled_is_the_reference(side, contracted, generator, monkeypatch):
    start = uniform(generator, side, side, side)
    # Many points in few cells, so that their order counts; some on the cube's surface.
    cube = uniform(generator, 400, 3)
    cube[:300] = cube[:300] * 0.2 + 0.4
    cube[300:310] = cube[300:310].round()
    sigmas = uniform(generator, 400, high=40)

    def observed():
        grid, coarse = start.clone(), coarsen(start)
        observe(grid, coarse, cube, sigmas, 0.05, contracted, 0.3)
        return grid, coarse

    compiled, reference = by_both_backends(monkeypatch, observed)
    assert (compiled[0] != start).sum() > 50
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), side=st.integers(3, 20), rate=st.floats(0, 1), contracted=st.booleans())
def test_blocks_are_never_below_their_cells(seed, side, rate, contracted):
    generator = torch.Generator().manual_seed(seed)
    grid = uniform(generator, side, side, side)
    coarse = coarsen(grid)
    for _ in range(3):
        cube, sigmas = uniform(generator, 40, 3), uniform(generator, 40, high=100)
        observe(grid, coarse, cube, sigmas, 0.05, contracted, rate)
        assert (coarse >= coarsen(grid)).all()
        assert ((grid >= 0) & (grid <= 1)).all()


def test_no_points(backend, generator):
    grid = uniform(generator, 8, 8, 8)
    before = grid.clone()
    observe(grid, coarsen(grid), torch.empty(0, 3), torch.empty(0), 0.1, True, 0.5)
    assert torch.equal(grid, before)


@pytest.mark.parametrize("side", [8, 13, 24])
def test_summaries_say_where_matter_is(side, generator, monkeypatch):
    grid = torch.rand(side, side, side, generator=generator)
    (coarse, marks), expected = by_both_backends(monkeypatch, summarise, grid, 0.7)
    assert torch.equal(coarse, expected[0])
    assert torch.equal(marks, expected[1])
    z, y, x = (side - 1, side // 2, 1)
    word = int(marks[z // 4, y // 4, x // 4]) >> (16 * (z % 4) + 4 * (y % 4) + x % 4)
    assert bool(word & 1) == bool(grid[z, y, x] > 0.7)
    ones = sum((int(word) & (1 << 64) - 1).bit_count() for word in marks.flatten())
    assert ones == int((grid > 0.7).sum())


@pytest.mark.parametrize("threads", [1, 3])
def test_observing_keeps_the_marks(threads, backend, generator):
    parallel.set_thread_count(threads)
    grid = torch.rand(20, 20, 20, generator=generator)
    coarse, marks = summarise(grid, 0.4)
    before = marks.clone()
    cube, sigmas = torch.rand(4000, 3, generator=generator), 20 * torch.rand(4000, generator=generator)
    sigmas[::2] = 0
    observe(grid, coarse, cube, sigmas, 0.05, False, 0.5, marks, 0.4)
    assert torch.equal(marks, mark(grid, 0.4))
    assert not torch.equal(marks, before)
