import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from kernel_cases import by_both_backends, empty_samples, force_backend, random_samples, uniform

from sightline.kernels import parallel
from sightline.kernels.marching import MarchSettings, contract, locate, march, uncontract
from sightline.kernels.occupancy import coarsen


def settings(**changes) -> MarchSettings:
    usual = {"contracted": False, "step": 0.25, "near": 0.0, "far": 10.0, "threshold": 0.01, "max_bins": 64}
    return MarchSettings(**{**usual, **changes})


def march_one(origin, direction, grid, **changes):
    """The bins (start, end) of one ray, and the opacities in them."""
    bins, opacities = march(
        torch.tensor([origin]), torch.tensor([direction]), grid, None, settings(**changes)
    )
    assert bins.offsets.tolist() == [0, len(bins)]
    return list(zip(bins.starts.tolist(), bins.ends.tolist(), strict=True)), opacities.tolist()


def edges_of(bins):
    """Edges of bins without gaps between them."""
    starts, ends = zip(*bins, strict=True)
    assert starts[1:] == ends[:-1]
    return [*starts, ends[-1]]


X, Z = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
FULL = torch.full((8, 8, 8), 0.5)


def test_bins_with_matter_by_hand(backend):
    # Cells are 0.25 wide; y = z = 0.1 lies in cells 4.
    grid = torch.zeros(8, 8, 8)
    grid[4, 4, 2], grid[4, 4, 5] = 0.5, 0.75
    grid[4, 3, 3] = 1
    bins, opacities = march_one([-3.0, 0.1, 0.1], X, grid)
    assert bins == [(2.5, 2.75), (3.25, 3.5)]
    assert opacities == [0.5, 0.75]


def test_axes_of_the_grid(backend):
    # The grid is indexed [z, y, x].
    grid = torch.zeros(8, 8, 8)
    grid[1, 2, 3] = 1
    middle = (torch.tensor([3.0, 2.0, 1.0]) + 0.5) / 4 - 1
    for axis in range(3):
        origin, direction = middle.clone(), torch.zeros(3)
        origin[axis], direction[axis] = -1, 1
        bins, _ = march_one(origin.tolist(), direction.tolist(), grid)
        assert bins == [(float(middle[axis]) + 0.875, float(middle[axis]) + 1.125)]


def test_the_last_bin_ends_with_the_box(backend):
    bins, opacities = march_one([-3.0, 0.1, 0.1], X, FULL, step=0.3)
    assert edges_of(bins) == pytest.approx([2, 2.3, 2.6, 2.9, 3.2, 3.5, 3.8, 4.0], abs=1e-6)
    assert opacities == [0.5] * 7


def test_rays_that_start_inside(backend):
    bins, _ = march_one([0.5, 0.1, 0.1], X, FULL)
    assert edges_of(bins) == [0.0, 0.25, 0.5]


def test_no_bin_begins_before_near(backend):
    bins, _ = march_one([0.25, 0.1, 0.1], X, FULL, near=0.3)
    assert edges_of(bins) == pytest.approx([0.3, 0.55, 0.75], abs=1e-6)
    bins, _ = march_one([-3.0, 0.1, 0.1], X, FULL, near=0.3)
    assert bins[0] == (2.0, 2.25)


@pytest.mark.parametrize(
    ("origin", "direction"),
    [
        ([-3.0, 1.5, 0.1], X),  # beside the box, parallel to it
        ([3.0, 0.1, 0.1], X),  # looking away
        ([-3.0, 0.0, 0.0], [math.sqrt(0.5), math.sqrt(0.5), 0.0]),  # passing by
        ([0.1, 0.1, -3.0], [0.0, 0.0, -1.0]),
    ],
)
def test_rays_that_miss(backend, origin, direction):
    assert march_one(origin, direction, FULL) == ([], [])


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_rays_parallel_to_the_axes(backend, zero):
    for origin in (0.3, -0.3, 0.0):
        bins, _ = march_one([origin, origin, -2.0], [zero, zero, 1.0], FULL)
        assert edges_of(bins) == [1 + 0.25 * k for k in range(9)]


def test_no_more_bins_than_asked_for(backend):
    bins, _ = march_one([-3.0, 0.1, 0.1], X, FULL, max_bins=3)
    assert edges_of(bins) == [2.0, 2.25, 2.5, 2.75]


def test_the_threshold_itself_is_skipped(backend):
    assert march_one([-3.0, 0.1, 0.1], X, FULL, threshold=0.5) == ([], [])
    assert len(march_one([-3.0, 0.1, 0.1], X, FULL, threshold=0.49)[0]) == 8


def test_a_ray_ends_where_too_little_light_is_left(backend):
    # Each bin lets half of the light through: 0.125 is left for the fourth bin, 0.0625 for the fifth.
    ray = [-3.0, 0.1, 0.1], X, FULL
    assert len(march_one(*ray, least_transmittance=0.125)[0]) == 4
    assert len(march_one(*ray, least_transmittance=0.126)[0]) == 3
    # With a cap of 0.25 on what a bin hides, 0.75^7 = 0.133 is left for the eighth and last one.
    assert len(march_one(*ray, least_transmittance=0.13, largest=0.25)[0]) == 8
    assert len(march_one(*ray, least_transmittance=0.14, largest=0.25)[0]) == 7


def test_bins_that_are_skipped_hide_nothing(backend):
    grid = FULL.clone()
    grid[4, 4, 1:7] = 0.05
    ray = [-3.0, 0.1, 0.1], X, grid
    bins, _ = march_one(*ray, threshold=0.1, least_transmittance=0.4)
    assert bins == [(2.0, 2.25), (3.75, 4.0)]


@pytest.mark.parametrize("step", [0.06, 0.05, 0.03])
def test_empty_blocks_do_not_move_the_bins(backend, step):
    # 32 cells in 4 blocks along each axis; matter only in the last cell but one.
    grid = torch.zeros(32, 32, 32)
    grid[17, 17, 30] = 0.5
    bins, _ = march_one([-2.0, 0.1, 0.1], X, grid, step=step, max_bins=200)
    # The cell reaches from 2.875 to 2.9375 along the ray; bins belong to the cell of their middles.
    edges = [1 + step * k for k in range(200)]
    expected = [
        (a, min(a + step, 3)) for a in edges if a < 3 and 2.875 <= (a + min(a + step, 3)) / 2 < 2.9375
    ]
    assert expected
    assert [v for pair in bins for v in pair] == pytest.approx(
        [v for pair in expected for v in pair], abs=1e-5
    )


def test_bins_of_contracted_space_by_hand(backend):
    # From the centre: 0.5 long while the radius r is at most 1, then 0.5 r^2, the last one cut at 10.
    expected = [0, 0.5, 1, 1.5, 1.5 + 0.5 * 1.5**2, 2.625 + 0.5 * 2.625**2, 10]
    bins, _ = march_one([0.0, 0.0, 0.0], X, FULL, contracted=True, step=0.5)
    assert edges_of(bins) == expected
    # Cell 7 of 8 along x holds what is farther than 2: the bins with their middles at 2.06, 4.3 and 8.0.
    grid = torch.zeros(8, 8, 8)
    grid[4, 4, 7] = 1
    bins, _ = march_one([0.0, 0.0, 0.0], X, grid, contracted=True, step=0.5)
    assert edges_of(bins) == expected[3:]


def test_contracted_rays_from_outside_enter_at_the_far_cube(backend):
    bins, _ = march_one([0.0, 0.0, -20.0], Z, FULL, contracted=True, step=0.05, far=10.0)
    assert bins[0][0] == 10.0
    assert bins[0][1] == pytest.approx(10 + 0.05 * 100, rel=1e-6)


def test_many_rays_keep_their_order(backend):
    origins = torch.tensor([[-3.0, 0.1, 0.1], [-3.0, 5.0, 0.1], [0.5, 0.1, 0.1]]).repeat(80, 1)
    bins, opacities = march(origins, torch.tensor([X]).repeat(240, 1), FULL, None, settings())
    assert bins.counts.tolist() == [8, 0, 2] * 80
    assert len(opacities) == len(bins) == 800
    assert bins.starts[:10].tolist() == [2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 3.75, 0, 0.25]


def test_no_rays(backend):
    bins, opacities = march(torch.empty(0, 3), torch.empty(0, 3), FULL, None, settings())
    assert (bins.offsets.tolist(), len(bins), len(opacities)) == ([0], 0, 0)


def clear_rays(origins, directions, side, chosen):
    """Rays of which no bin's middle is so near a cell's border that rounding could decide, nor a bin nearly
    empty."""
    full = torch.full((side, side, side), 1.0)
    bins, _ = march(origins, directions, full, None, chosen)
    indices = bins.ray_indices
    middles = (origins[indices] + ((bins.starts + bins.ends) / 2)[:, None] * directions[indices]).double()
    cells = contract(middles, chosen.contracted) * side
    unclear = ((cells - cells.round()).abs() < 2e-3).any(-1) | (bins.ends - bins.starts < 1e-4)
    clear = torch.ones(len(origins), dtype=torch.bool)
    clear[indices[unclear]] = False
    return clear


def kept_bins(bins, opacities, clear):
    mask = clear[bins.ray_indices]
    return bins.counts[clear], bins.starts[mask], bins.ends[mask], opacities[mask]


def random_rays(generator, rays):
    """Rays from in and around the box, some of them parallel to its sides."""
    origins = uniform(generator, rays, 3, low=-1.5, high=1.5)
    directions = torch.nn.functional.normalize(uniform(generator, rays, 3, low=-1), dim=-1)
    directions[::50, 0] = 0
    return origins, directions


def sparse_grid(generator, side):
    """Matter in every third cell of some blocks; the others are empty."""
    grid = uniform(generator, side, side, side)
    grid[grid < 0.7] = 0
    blocks = -(-side // 8)
    empty = torch.rand(blocks, blocks, blocks, generator=generator) < 0.6
    for axis in range(3):
        empty = empty.repeat_interleave(8, axis)
    grid[empty[:side, :side, :side]] = 0
    return grid


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("side", [20, 32])
@pytest.mark.parametrize(("step", "least"), [(0.11, 0.0), (0.031, 0.1)])
def test_compiled_is_the_reference(contracted, side, step, least, generator, monkeypatch):
    origins, directions = random_rays(generator, 3000)
    grid = sparse_grid(generator, side)
    chosen = settings(
        contracted=contracted, step=step, near=0.05, threshold=0.1, least_transmittance=least, max_bins=128
    )
    compiled, reference = by_both_backends(monkeypatch, march, origins, directions, grid, None, chosen)
    force_backend(monkeypatch, "reference")
    clear = clear_rays(origins, directions, side, replace(chosen, least_transmittance=0))
    assert clear.sum() > 800
    ours, expected = (kept_bins(*result, clear) for result in (compiled, reference))
    assert expected[0].sum() > 400
    assert torch.equal(ours[0], expected[0])
    torch.testing.assert_close(ours[1], expected[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[2], expected[2], rtol=1e-5, atol=1e-5)
    assert torch.equal(ours[3], expected[3])


@pytest.mark.parametrize("contracted", [False, True])
def test_bins_do_not_depend_on_the_number_of_threads(contracted, generator):
    origins = uniform(generator, 600, 3, low=-1.5, high=1.5)
    directions = torch.nn.functional.normalize(uniform(generator, 600, 3, low=-1), dim=-1)
    grid = uniform(generator, 16, 16, 16)
    coarse = coarsen(grid)
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        bins, opacities = march(
            origins, directions, grid, coarse, settings(contracted=contracted, threshold=0.8)
        )
        results.append((bins.offsets, bins.starts, bins.ends, opacities))
    for other in results[1:]:
        assert all(torch.equal(ours, first) for ours, first in zip(other, results[0], strict=True))


def test_contraction_by_hand():
    points = torch.tensor([[0.0, 0.5, -1.0], [2.0, 0.0, 0.0], [4.0, 2.0, -1.0], [-3.0, 3.0, 1.5]])
    expected = [
        [0.5, 0.625, 0.25],
        [0.875, 0.5, 0.5],
        [(2 - 1 / 4 + 2) / 4, (0.5 + 2) / 4, (-0.25 + 2) / 4],
        [(-2 + 1 / 3 + 2) / 4, (2 - 1 / 3 + 2) / 4, (0.5 + 2) / 4],
    ]
    torch.testing.assert_close(contract(points, True), torch.tensor(expected))
    assert contract(torch.tensor([[-1.0, 0.0, 1.0]]), False).tolist() == [[0.0, 0.5, 1.0]]
    assert uncontract(torch.tensor([[0.0, 0.5, 1.0]]), False).tolist() == [[-1.0, 0.0, 1.0]]


coordinates = st.floats(-1e4, 1e4, allow_subnormal=False)


@examples(max_examples=60, deadline=None)
@given(point=st.tuples(coordinates, coordinates, coordinates), contracted=st.booleans())
def test_uncontraction_undoes_contraction(point, contracted):
    points = torch.tensor([point], dtype=torch.float64)
    cube = contract(points, contracted)
    if contracted:
        assert ((cube >= 0) & (cube <= 1)).all()
    back = uncontract(cube, contracted)
    # The shell's last 1e-4 holds all from 1e4 on: rounding there is seen 1e8-fold.
    assert (back - points).abs().max() <= 1e-12 * max(1.0, float(points.abs().max()) ** 2)


@examples(max_examples=60, deadline=None)
@given(
    axis=st.integers(0, 2),
    outward=st.floats(0.751, 0.999),
    across=st.tuples(st.floats(0.251, 0.749), st.floats(0.251, 0.749)),
    negative=st.booleans(),
)
def test_contraction_undoes_uncontraction_in_the_shell(axis, outward, across, negative):
    # Only one coordinate is ever in the shell: the cube's edges and corners belong to no point.
    cube = [*across]
    cube.insert(axis, 1 - outward if negative else outward)
    given_cube = torch.tensor([cube], dtype=torch.float64)
    torch.testing.assert_close(contract(uncontract(given_cube, True), True), given_cube, rtol=0, atol=1e-12)


def test_contraction_is_differentiable(generator):
    points = uniform(generator, 6, 3, low=-3, high=3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: contract(p, True), points)


def test_contraction_keeps_lines_straight_within_a_pyramid():
    # All three points lie on one line in the pyramid of +x.
    start, direction = torch.tensor([1.5, 0.2, -0.3]).double(), torch.tensor([1.0, 0.3, 0.2]).double()
    points = torch.stack([start + t * direction for t in (0.0, 0.7, 5.0)])
    a, b, c = contract(points, True)
    assert torch.linalg.cross(b - a, c - a).norm() < 1e-12


def test_locating_samples_by_hand(backend):
    samples = random_samples(torch.Generator().manual_seed(0), torch.tensor([0, 1, 1]))
    origins = torch.tensor([[9.0, 9.0, 9.0], [0.0, 0.0, 0.0], [0.5, -0.5, 0.0]])
    directions = torch.tensor([Z, X, Z])
    t, u = samples.distances.tolist()
    found = locate(origins, directions, samples, False)
    torch.testing.assert_close(found, torch.tensor([[(1 + t) / 2, 0.5, 0.5], [0.75, 0.25, (1 + u) / 2]]))


@pytest.mark.parametrize("contracted", [False, True])
def test_locating_compiled_is_the_reference(contracted, generator, monkeypatch):
    counts = torch.full((300,), 30)
    samples = random_samples(generator, counts)
    origins = uniform(generator, 300, 3, low=-1.5, high=1.5)
    directions = torch.nn.functional.normalize(uniform(generator, 300, 3, low=-1), dim=-1)
    # Rays along the diagonals, where two or three coordinates are equally large.
    origins[:20] = 0
    directions[:10] = 1 / math.sqrt(3)
    directions[10:20] = torch.tensor([1.0, -1.0, 0.0]) / math.sqrt(2)
    ours, expected = by_both_backends(monkeypatch, locate, origins, directions, samples, contracted)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


def test_locating_no_samples(backend):
    assert locate(torch.zeros(4, 3), torch.zeros(4, 3), empty_samples(4), True).shape == (0, 3)
