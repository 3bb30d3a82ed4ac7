import numpy as np
import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.kernels import parallel
from sightline.kernels.hash_encoding import HashLevels, encode

# Two dense levels of 4 and 6 cells, two hashed ones of 11 and 20.
MIXED = {"levels": 4, "log2_entries": 9, "coarsest": 4, "finest": 20}


def single_level(cells: int, log2_entries: int, features: int = 1) -> HashLevels:
    return HashLevels(levels=1, features=features, log2_entries=log2_entries, coarsest=cells, finest=cells)


def numbered_table(levels: HashLevels, dtype=torch.float32) -> torch.Tensor:
    """A table whose entries hold their own number."""
    return torch.arange(levels.entries, dtype=dtype)[:, None].repeat(1, levels.features)


def value_and_gradients(positions, table, levels, upstream):
    positions, table = positions.clone().requires_grad_(), table.clone().requires_grad_()
    out = encode(positions, table, levels)
    return out.detach(), *torch.autograd.grad(out, [table, positions], upstream)


def test_levels_grow_geometrically_and_follow_each_other_in_the_table():
    levels = HashLevels(levels=3, features=2, log2_entries=8, coarsest=4, finest=16)
    assert levels.resolutions.tolist() == [4, 8, 16]
    assert levels.dense.tolist() == [True, False, False]
    assert levels.sizes.tolist() == [125, 256, 256]
    assert levels.offsets.tolist() == [0, 125, 381]
    assert (levels.entries, levels.width) == (637, 6)
    # Equations 2 and 3 of the paper: b = exp(ln(512 / 16) / 15) = 1.25992.
    wide = HashLevels(levels=16, features=2, log2_entries=19, coarsest=16, finest=512)
    assert wide.resolutions.tolist() == [
        16,
        20,
        25,
        32,
        40,
        50,
        64,
        80,
        101,
        128,
        161,
        203,
        256,
        322,
        406,
        512,
    ]


def test_a_level_is_dense_only_where_all_its_vertices_fit():
    assert single_level(3, 6).dense.tolist() == [True]
    assert single_level(4, 6).dense.tolist() == [False]
    assert single_level(3, 6).sizes.tolist() == [64]


def test_interpolation_by_hand(backend):
    levels = single_level(2, 5)
    position = torch.tensor([[0.25, 0.5, 0.875]])
    # On the numbered table the value is x + 3y + 9z at the scaled position (0.5, 1, 1.75).
    assert encode(position, numbered_table(levels), levels).tolist() == [[0.5 + 3 + 15.75]]
    # One vertex alone, (1, 1, 2), has the weight 0.5 * (1 - 0) * 0.75.
    table = torch.zeros(levels.entries, 1)
    table[1 + 3 * 1 + 9 * 2] = 1
    assert encode(position, table, levels).tolist() == [[0.375]]


def test_gradients_by_hand(backend):
    levels = single_level(2, 5)
    position = torch.tensor([[0.25, 0.5, 0.875]], requires_grad=True)
    table = numbered_table(levels).requires_grad_()
    encode(position, table, levels).backward(torch.tensor([[2.0]]))
    assert table.grad is not None
    assert position.grad is not None
    # x + 3y + 9z in scaled coordinates, which are twice the position, times the upstream 2.
    assert position.grad.tolist() == [[4.0, 12.0, 36.0]]
    expected = torch.zeros(3, 3, 3)
    expected[1, 1, 0], expected[1, 1, 1] = 2 * 0.5 * 0.25, 2 * 0.5 * 0.25
    expected[2, 1, 0], expected[2, 1, 1] = 2 * 0.5 * 0.75, 2 * 0.5 * 0.75
    assert torch.equal(table.grad.view(3, 3, 3), expected)


def test_dense_index_by_hand(backend):
    # Vertex (3, 1, 2) of a level of 4 cells: 3 + 5 * (1 + 5 * 2) = 58.
    levels = single_level(4, 7)
    vertex = torch.tensor([[3.0, 1.0, 2.0]]) / 4
    assert encode(vertex, numbered_table(levels), levels).item() == 58


def test_hashed_index_by_hand(backend):
    # Vertex (3, 5, 7): 5 * 2654435761 = 387276917 and 7 * 805459861 = 1343251731 modulo 2^32, whose last nine
    # bits are 117 and 275; 3 xor 117 xor 275 = 357.
    levels = single_level(8, 9)
    vertex = torch.tensor([[3.0, 5.0, 7.0]]) / 8
    assert encode(vertex, numbered_table(levels), levels).item() == 357


def test_features_are_level_major(backend):
    levels = HashLevels(levels=2, features=2, log2_entries=7, coarsest=2, finest=4)
    table = torch.zeros(levels.entries, 2)
    table[:27] = torch.tensor([1.0, 2.0])
    table[27:] = torch.tensor([3.0, 4.0])
    encoded = encode(torch.tensor([[0.3, 0.6, 0.9]]), table, levels)
    torch.testing.assert_close(encoded, torch.tensor([[1.0, 2.0, 3.0, 4.0]]))


@pytest.mark.parametrize("features", [1, 2, 4])
def test_compiled_is_the_reference(features, generator, monkeypatch):
    levels = HashLevels(features=features, **MIXED)
    table = uniform(generator, levels.entries, features, low=-1, dtype=torch.float64)
    positions = uniform(generator, 300, 3, low=-0.1, high=1.1, dtype=torch.float64)
    upstream = uniform(generator, 300, levels.width, low=-1, dtype=torch.float64)
    upstream[100:150] = 0
    case = positions, table, levels, upstream
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_compiled_is_the_reference_in_single_precision(generator, monkeypatch):
    levels = HashLevels(levels=8, features=2, log2_entries=14, coarsest=16, finest=512)
    table = uniform(generator, levels.entries, 2, low=-1)
    case = uniform(generator, 2000, 3), table, levels, uniform(generator, 2000, 16, low=-1)
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    # A position of rounding error 6e-8 is 3e-5 of a cell at 512 cells, over values of size 1.
    torch.testing.assert_close(compiled[0], reference[0], rtol=0, atol=2e-4)
    torch.testing.assert_close(compiled[1], reference[1], rtol=0, atol=5e-4)
    torch.testing.assert_close(compiled[2], reference[2], rtol=1e-3, atol=0.2)


def test_positions_on_borders_of_cells(backend):
    levels = single_level(4, 7)
    table = numbered_table(levels)
    grid = torch.cartesian_prod(*[torch.arange(5)] * 3).float()
    expected = grid @ torch.tensor([1.0, 5.0, 25.0])
    # Every vertex, those at 1 too, has its own entry's value.
    assert torch.equal(encode(grid / 4, table, levels)[:, 0], expected)


def test_positions_outside_are_clamped_and_have_no_gradient(backend, generator):
    levels = HashLevels(features=2, **MIXED)
    table = uniform(generator, levels.entries, 2, low=-1, dtype=torch.float64)
    positions = torch.tensor(
        [[-0.3, 0.4, 0.55], [0.21, 1.2, 0.7], [0.3, 0.4, -5.0], [1.5, 2.0, -1.0]], dtype=torch.float64
    ).requires_grad_()
    out = encode(positions, table, levels)
    torch.testing.assert_close(out, encode(positions.detach().clamp(0, 1), table, levels), rtol=0, atol=0)
    out.square().sum().backward()
    assert positions.grad is not None
    outside = (positions.detach() < 0) | (positions.detach() > 1)
    assert (positions.grad[outside] == 0).all()
    assert (positions.grad[~outside] != 0).all()


def interior_positions(levels: HashLevels, generator: torch.Generator, count: int) -> torch.Tensor:
    """Positions away from every level's cell borders, where the encoding has kinks."""
    positions = uniform(generator, 4000, 3, dtype=torch.float64)
    cells = torch.from_numpy(levels.resolutions.astype(np.float64))
    fractions = (positions[:, None] * cells[:, None]) % 1
    clear = ((fractions > 0.05) & (fractions < 0.95)).all(-1).all(-1)
    return positions[clear][:count].contiguous()


@pytest.mark.parametrize("features", [1, 2])
def test_gradients_are_those_of_the_values(backend, generator, features):
    levels = HashLevels(levels=2, features=features, log2_entries=5, coarsest=2, finest=5)
    assert levels.dense.tolist() == [True, False]
    table = uniform(generator, levels.entries, features, low=-1, dtype=torch.float64).requires_grad_()
    positions = interior_positions(levels, generator, 4).requires_grad_()
    assert len(positions) == 4
    assert torch.autograd.gradcheck(lambda p, t: encode(p, t, levels), (positions, table))


@pytest.mark.parametrize("features", [1, 2, 4])
def test_results_do_not_depend_on_the_number_of_threads(features, generator):
    levels = HashLevels(features=features, **MIXED)
    table = uniform(generator, levels.entries, features, low=-1)
    case = uniform(generator, 3000, 3), table, levels, uniform(generator, 3000, levels.width, low=-1)
    results = []
    # Seven threads are more than there are levels, so that levels are cut into segments.
    for threads in (1, 2, 3, 7):
        parallel.set_thread_count(threads)
        results.append(value_and_gradients(*case))
    for other in results[1:]:
        for ours, expected in zip(other, results[0], strict=True):
            assert torch.equal(ours, expected)


def test_segments_of_small_levels(generator, monkeypatch):
    # 40 threads for one level of 27 entries: some segments are empty.
    levels = single_level(2, 5, features=2)
    case = (
        uniform(generator, 500, 3, dtype=torch.float64),
        uniform(generator, 27, 2, dtype=torch.float64),
        levels,
        uniform(generator, 500, 2, low=-1, dtype=torch.float64),
    )
    parallel.set_thread_count(40)
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    torch.testing.assert_close(compiled[1], reference[1], rtol=1e-12, atol=1e-12)


def test_two_encodings_in_one_graph_add_their_gradients(generator):
    levels = HashLevels(features=2, **MIXED)
    table = uniform(generator, levels.entries, 2).requires_grad_()
    first, second = uniform(generator, 50, 3), uniform(generator, 60, 3)
    parts = [torch.autograd.grad(encode(p, table, levels).sum(), table)[0] for p in (first, second)]
    both = encode(first, table, levels).sum() + encode(second, table, levels).sum()
    torch.testing.assert_close(torch.autograd.grad(both, table)[0], parts[0] + parts[1])


def test_positions_of_another_type_and_layout(generator):
    levels = HashLevels(features=2, **MIXED)
    table = uniform(generator, levels.entries, 2)
    positions = uniform(generator, 3, 64, dtype=torch.float64).T
    expected = encode(positions.float().contiguous(), table, levels)
    assert torch.equal(encode(positions, table, levels), expected)


def test_no_positions(backend):
    levels = HashLevels(features=2, **MIXED)
    table = torch.ones(levels.entries, 2, requires_grad=True)
    out = encode(torch.empty(0, 3), table, levels)
    assert out.shape == (0, 8)
    out.sum().backward()
    assert table.grad is not None
    assert not table.grad.any()
