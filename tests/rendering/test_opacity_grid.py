"""The opacity grid: what it learns from densities, its extent, and that it survives being saved."""

import math

import pytest
import torch

from sightline.kernels.occupancy import cell_indices, coarsen
from sightline.rendering.opacity_grid import OpacityGrid

SIDE, STEP, INITIAL = 16, 0.125, 0.02


def make_grid(contracted: bool = False) -> OpacityGrid:
    return OpacityGrid(SIDE, STEP, contracted, INITIAL)


def test_points_lie_in_their_cells_and_not_all_in_the_middle() -> None:
    grid = make_grid()
    cells = grid.random_cells(SIDE**3)
    points = grid.points_in(cells, torch.Generator().manual_seed(1))
    assert torch.equal(cell_indices(points, SIDE), cells)
    offset = points * SIDE % 1
    torch.testing.assert_close(offset.mean(0), torch.full((3,), 0.5), atol=0.03, rtol=0)
    assert offset.std() > 0.25


def test_refresh_moves_only_the_cells_that_were_looked_at() -> None:
    grid = make_grid()
    cells = torch.tensor([0, 5, 3 + SIDE * (7 + SIDE * 9)])
    grid.refresh(lambda points: torch.full((len(points),), 8.0), cells, rate=0.5)
    seen = INITIAL + 0.5 * (1 - math.exp(-8.0 * STEP) - INITIAL)
    assert grid.opacity[9, 7, 3].item() == pytest.approx(seen, rel=1e-5)
    assert grid.opacity[0, 0, 5].item() == pytest.approx(seen, rel=1e-5)
    assert int((grid.opacity != INITIAL).sum()) == 3


def test_refresh_in_chunks_finds_what_the_field_says_where_it_is() -> None:
    grid = make_grid()
    cells = grid.random_cells(10**9)
    assert torch.equal(cells, torch.arange(SIDE**3))
    grid.refresh(lambda points: 1e4 * (points[:, 0] < 0.25), cells, rate=1.0, chunk=1000)
    assert torch.all(grid.opacity[:, :, :4] > 0.999)
    assert torch.all(grid.opacity[:, :, 4:] == 0)


def test_refresh_lowers_block_maxima_and_observing_raises_them() -> None:
    grid = make_grid()
    assert torch.all(grid.coarse == INITIAL)
    grid.refresh(lambda points: torch.zeros(len(points)), grid.random_cells(SIDE**3), rate=1.0)
    assert torch.all(grid.coarse == 0)
    grid.observe(torch.tensor([[0.9, 0.1, 0.1]]), torch.tensor([20.0]), rate=0.5)
    assert grid.coarse[0, 0, 1].item() == pytest.approx(0.5 * (1 - math.exp(-20.0 * STEP)), rel=1e-5)
    torch.testing.assert_close(grid.coarse, coarsen(grid.opacity))


def test_bins_are_longer_where_space_is_contracted() -> None:
    grid = make_grid(contracted=True)
    # Norm 1.5 in the shell is radius 2: a bin there is four times as long.
    points = torch.tensor([[0.5, 0.5, 0.5], [(1.5 + 2) / 4 + 1e-4, 0.5, 0.5]])
    grid.observe(points, torch.tensor([2.0, 2.0]), rate=1.0)
    inside, outside = grid.opacity[8, 8, 8].item(), grid.opacity[8, 8, 14].item()
    assert inside == pytest.approx(1 - math.exp(-2 * STEP), rel=1e-4)
    assert outside == pytest.approx(1 - math.exp(-2 * STEP * 4), rel=2e-3)


def test_random_cells_are_in_range_and_follow_their_generator() -> None:
    grid = make_grid()
    first, second = (grid.random_cells(1000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert int(first.min()) >= 0
    assert int(first.max()) < SIDE**3
    assert len(first.unique()) > 850


def test_extent_is_the_box_of_what_is_opaque() -> None:
    grid = make_grid()
    grid.opacity.zero_()
    torch.testing.assert_close(grid.extent(0.1), torch.tensor([[-1.0] * 3, [1.0] * 3]))
    grid.opacity[4:6, 8:9, 2:12] = 0.5  # z, y, x
    expected = torch.tensor([[2, 8, 4], [12, 9, 6]]) * 2 / SIDE - 1
    torch.testing.assert_close(grid.extent(0.1), expected)


def test_loading_replaces_opacities_and_block_maxima() -> None:
    grid, other = make_grid(), make_grid()
    grid.refresh(lambda points: 50 * points[:, 2], grid.random_cells(SIDE**3), rate=0.7)
    stale = other.coarse.clone()
    other.load_state_dict(grid.state_dict())
    assert torch.equal(other.opacity, grid.opacity)
    assert torch.equal(other.coarse, grid.coarse)
    assert not torch.equal(other.coarse, stale)
