import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import by_both_backends, packed_counts, random_bins, uniform

from sightline.kernels import parallel
from sightline.kernels.importance import resample
from sightline.kernels.packed import Intervals


def one_ray(starts, ends) -> Intervals:
    return Intervals(torch.tensor([0, len(starts)]), torch.tensor(starts), torch.tensor(ends))


# Weight 1 on [0, 1] and weight 3 on [2, 4].
TWO_BINS = one_ray([0.0, 2.0], [1.0, 4.0])
TWO_WEIGHTS = torch.tensor([1.0, 3.0])


def test_middles_of_the_shares_by_hand(backend):
    samples = resample(TWO_BINS, TWO_WEIGHTS, torch.tensor([4]), torch.full((4,), 0.5))
    # Each share is one unit of weight: the first bin, and the thirds of the second.
    assert samples.distances.tolist() == pytest.approx([0.5, 2 + 1 / 3, 3, 4 - 1 / 3])
    assert samples.lengths.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])
    assert samples.offsets.tolist() == [0, 4]
    assert samples.ray_indices.tolist() == [0, 0, 0, 0]


def test_a_share_across_a_gap_by_hand(backend):
    samples = resample(TWO_BINS, TWO_WEIGHTS, torch.tensor([2]), torch.tensor([0.75, 0.5]))
    # Shares of two: the first bin and a third of the second, 1 + 2/3 long without the gap; then the rest.
    assert samples.distances.tolist() == pytest.approx([2 + 2 * (0.5 / 3), 2 + 2 * (2 / 3)])
    assert samples.lengths.tolist() == pytest.approx([1 + 2 / 3, 4 / 3])


def test_jitter_of_zero_and_one(backend):
    counts = torch.tensor([4])
    first = resample(TWO_BINS, TWO_WEIGHTS, counts, torch.zeros(4)).distances.tolist()
    last = resample(TWO_BINS, TWO_WEIGHTS, counts, torch.ones(4)).distances.tolist()
    # At the edge between shares, where the bins have a gap, the nearer bin's end is taken.
    assert first == pytest.approx([0, 1, 2 + 2 / 3, 2 + 4 / 3])
    assert last == pytest.approx([1, 2 + 2 / 3, 2 + 4 / 3, 4])


def test_rays_have_counts_of_their_own(backend):
    bins = Intervals(
        torch.tensor([0, 0, 1, 2, 2]), starts=torch.tensor([1.0, 5.0]), ends=torch.tensor([2.0, 7.0])
    )
    counts = torch.tensor([0, 2, 1, 0])
    samples = resample(bins, torch.tensor([0.3, 9.0]), counts, torch.full((3,), 0.5))
    assert samples.offsets.tolist() == [0, 0, 2, 3, 3]
    assert samples.ray_indices.tolist() == [1, 1, 2]
    assert samples.distances.tolist() == pytest.approx([1.25, 1.75, 6])
    assert samples.lengths.tolist() == pytest.approx([0.5, 0.5, 2])


def test_no_samples(backend):
    samples = resample(TWO_BINS, TWO_WEIGHTS, torch.tensor([0]), torch.empty(0))
    assert (len(samples), samples.offsets.tolist()) == (0, [0, 0])


def test_compiled_is_the_reference(generator, monkeypatch):
    bin_counts = packed_counts(generator, 600, 20)
    bins = random_bins(generator, bin_counts)
    weights = uniform(generator, len(bins), low=0.01)
    counts = torch.randint(0, 12, (600,), generator=generator) * (bin_counts > 0)
    jitter = uniform(generator, int(counts.sum()))
    parallel.set_thread_count(2)
    ours, expected = by_both_backends(monkeypatch, resample, bins, weights, counts, jitter)
    assert torch.equal(ours.offsets, expected.offsets)
    assert torch.equal(ours.ray_indices, expected.ray_indices)
    # A bin of weight 0.01 among 20 spreads rounding of the sum, 1e-6, over 0.5 of length.
    torch.testing.assert_close(ours.lengths, expected.lengths, rtol=0, atol=5e-4)
    # A sample at the edge of two bins may fall on either side of the gap between them.
    gap = (ours.distances - expected.distances).abs() > 1e-3
    assert gap.sum() <= 3
    assert (ours.distances - expected.distances).abs().max() <= 0.5


bin_lists = st.lists(
    st.tuples(st.floats(0, 2), st.floats(0.05, 2), st.floats(0.02, 5)), min_size=1, max_size=12
)


def bins_from(pieces) -> tuple[Intervals, torch.Tensor]:
    """One ray's bins from (gap, length, weight)."""
    gaps, sizes, weights = torch.tensor(pieces, dtype=torch.float64).T
    ends = (gaps + sizes).cumsum(0)
    offsets = torch.tensor([0, len(pieces)])
    return Intervals(offsets, (ends - sizes).float(), ends.float()), weights.float()


@settings(max_examples=60, deadline=None)
@given(pieces=bin_lists, seed=st.integers(0, 2**31))
def test_samples_reproduce_the_histogram(pieces, seed):
    bins, weights = bins_from(pieces)
    number = 2000
    jitter = uniform(torch.Generator().manual_seed(seed), number)
    samples = resample(bins, weights, torch.tensor([number]), jitter)
    inside = (samples.distances[:, None] >= bins.starts - 1e-5) & (
        samples.distances[:, None] <= bins.ends + 1e-5
    )
    assert inside.any(1).all()
    # A bin takes the shares of its part of the weight: at most one more or fewer at each of its ends.
    expected = number * weights / weights.sum()
    assert ((inside.sum(0) - expected).abs() <= 2 + 1e-3 * number).all()


@settings(max_examples=60, deadline=None)
@given(
    pieces=bin_lists,
    hidden=st.integers(0, 4),
    number=st.integers(1, 40),
    jitter=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_lengths_sum_to_the_bins_that_have_weight(pieces, hidden, number, jitter):
    seen, weights = bins_from(pieces)
    # Bins behind opaque matter come last and have no weight.
    behind = float(seen.ends[-1]) + torch.arange(hidden) + 0.1
    bins = Intervals(
        torch.tensor([0, len(seen) + hidden]),
        torch.cat([seen.starts, behind]),
        torch.cat([seen.ends, behind + 0.5]),
    )
    weights = torch.cat([weights, torch.zeros(hidden)])
    samples = resample(bins, weights, torch.tensor([number]), torch.full((number,), jitter))
    assert (samples.lengths >= 0).all()
    assert (samples.distances[1:] >= samples.distances[:-1]).all()
    assert samples.distances[-1] <= seen.ends[-1] + 1e-5
    total = float((seen.ends - seen.starts).sum())
    assert float(samples.lengths.sum()) == pytest.approx(total, rel=1e-4)


def test_bins_without_weight_at_the_end_get_no_samples(backend, generator):
    # Rounding of a sum's shares must not step over the last bin that has weight.
    rays, seen = 400, 5
    bins = random_bins(generator, torch.full((rays,), 8))
    weights = uniform(generator, rays, 8, low=0.01)
    weights[:, seen:] = 0
    counts = torch.randint(1, 12, (rays,), generator=generator)
    samples = resample(bins, weights.flatten(), counts, torch.ones(int(counts.sum())))
    sizes = (bins.ends - bins.starts).view(rays, 8)
    sums = torch.zeros(rays).index_add(0, samples.ray_indices, samples.lengths)
    torch.testing.assert_close(sums, sizes[:, :seen].sum(1), rtol=1e-4, atol=1e-4)
    assert (samples.distances <= bins.ends.view(rays, 8)[samples.ray_indices, seen - 1] + 1e-4).all()
