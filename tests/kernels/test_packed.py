import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.kernels.packed import Intervals, Samples, indices_from_offsets, offsets_from_counts


def test_intervals_by_hand():
    bins = Intervals(torch.tensor([0, 2, 2, 3]), torch.tensor([0.0, 1.0, 5.0]), torch.tensor([1.0, 2.0, 6.0]))
    assert (len(bins), bins.rays) == (3, 3)
    assert bins.counts.tolist() == [2, 0, 1]
    assert bins.ray_indices.tolist() == [0, 0, 2]


def test_samples_by_hand():
    values = torch.tensor([1.0, 2.0])
    samples = Samples(torch.tensor([0, 0, 2]), values, values, torch.tensor([1, 1]))
    assert (len(samples), samples.rays) == (2, 2)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 5), max_size=20))
def test_offsets_and_indices_count_the_same(counts):
    offsets = offsets_from_counts(torch.tensor(counts, dtype=torch.int64))
    assert offsets.tolist() == [sum(counts[:k]) for k in range(len(counts) + 1)]
    assert indices_from_offsets(offsets).tolist() == [ray for ray, n in enumerate(counts) for _ in range(n)]
