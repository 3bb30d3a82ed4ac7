import pytest
import torch
from kernel_cases import by_both_backends, packed_counts, random_bins, uniform

from sightline.kernels import parallel
from sightline.kernels.packed import Intervals
from sightline.kernels.visibility import bin_weights


def bins_of(*counts: int) -> Intervals:
    generator = torch.Generator().manual_seed(0)
    return random_bins(generator, torch.tensor(counts))


def test_weights_by_hand(backend):
    weights, totals = bin_weights(bins_of(3), torch.tensor([0.5, 0.5, 1.0]), largest=0.9)
    # The last one is capped: 0.25 * 0.9.
    assert weights.tolist() == pytest.approx([0.5, 0.25, 0.225])
    assert totals.tolist() == pytest.approx([0.975])


def test_the_floor_is_shared_evenly(backend):
    weights, totals = bin_weights(bins_of(3), torch.tensor([0.5, 0.5, 1.0]), largest=0.9, floor=0.3)
    assert weights.tolist() == pytest.approx([0.5 + 0.0975, 0.25 + 0.0975, 0.225 + 0.0975])
    assert totals.tolist() == pytest.approx([0.975])


def test_hidden_bins_get_nothing(backend):
    # The light that reaches the bins is 1, 0.5, 0.25 and 0.125; the last two are hidden.
    weights, totals = bin_weights(bins_of(4), torch.full((4,), 0.5), 0.9, least_transmittance=0.3, floor=0.2)
    assert weights.tolist() == pytest.approx([0.5 + 0.075, 0.25 + 0.075, 0, 0])
    assert weights[2:].tolist() == [0, 0]
    assert totals.tolist() == pytest.approx([0.75])


def test_rays_are_apart_and_may_be_empty(backend):
    weights, totals = bin_weights(bins_of(0, 2, 0, 1, 0), torch.tensor([0.8, 0.5, 0.25]))
    assert weights.tolist() == pytest.approx([0.8, 0.1, 0.25])
    assert totals.tolist() == pytest.approx([0, 0.9, 0, 0.25, 0])


def test_no_bins_at_all(backend):
    weights, totals = bin_weights(bins_of(0, 0), torch.empty(0), floor=0.1, least_transmittance=0.1)
    assert weights.shape == (0,)
    assert totals.tolist() == [0, 0]


@pytest.mark.parametrize("least", [0.0, 1e-3])
def test_compiled_is_the_reference(least, generator, monkeypatch):
    counts = packed_counts(generator, 1000, 40)
    bins = random_bins(generator, counts)
    opacities = uniform(generator, int(counts.sum())) ** 3
    parallel.set_thread_count(3)
    compiled, reference = by_both_backends(monkeypatch, bin_weights, bins, opacities, 0.95, least, 0.05)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_weights_and_what_gets_through_make_one(generator):
    counts = packed_counts(generator, 300, 30)
    opacities = uniform(generator, int(counts.sum()))
    bins = random_bins(generator, counts)
    weights, totals = bin_weights(bins, opacities, largest=0.99)
    through = torch.ones(300)
    through.scatter_reduce_(0, bins.ray_indices, 1 - opacities.clamp(max=0.99), "prod")
    torch.testing.assert_close(totals + through, torch.ones(300))
    sums = torch.zeros(300).index_add(0, bins.ray_indices, weights)
    torch.testing.assert_close(sums, totals)
