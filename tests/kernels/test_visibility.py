import math

import pytest
import torch
from kernel_cases import (
    by_both_backends,
    empty_samples,
    packed_counts,
    random_bins,
    random_samples,
    uniform,
)

from sightline.kernels import parallel
from sightline.kernels.compositing import composite
from sightline.kernels.packed import Intervals
from sightline.kernels.visibility import bin_weights, drop_invisible


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


def test_samples_that_cannot_be_seen_are_dropped(backend):
    samples = random_samples(torch.Generator().manual_seed(0), torch.tensor([0, 4, 1, 1]))
    # Opacities 0.5, 0.01, 0.9 and 0.9 give weights of 0.5, 0.005, 0.4455 and 0.045; then one thick and one
    # empty ray.
    opacities = [0.5, 0.01, 0.9, 0.9, 0.7, 0.0]
    sigmas = torch.tensor([-math.log(1 - a) for a in opacities]) / samples.lengths
    kept, indices = drop_invisible(samples, sigmas, 0.046)
    assert indices.tolist() == [0, 2, 4]
    assert kept.offsets.tolist() == [0, 0, 2, 3, 3]
    assert kept.ray_indices.tolist() == [1, 1, 2]
    assert torch.equal(kept.distances, samples.distances[indices])
    assert torch.equal(kept.lengths, samples.lengths[indices])
    assert drop_invisible(samples, sigmas, 0.044)[1].tolist() == [0, 2, 3, 4]
    # A weight of nothing is never kept, all others are where nothing is asked of them.
    assert drop_invisible(samples, sigmas, 0.0)[1].tolist() == [0, 1, 2, 3, 4]


def test_dropping_from_nothing(backend):
    kept, indices = drop_invisible(empty_samples(3), torch.empty(0), 0.1)
    assert (len(kept), kept.rays, indices.shape) == (0, 3, (0,))


def test_dropping_takes_the_weights_of_compositing(generator, monkeypatch):
    samples = random_samples(generator, packed_counts(generator, 900, 12))
    sigmas = uniform(generator, len(samples), high=12)
    weights = composite(sigmas, torch.zeros(len(samples), 3), samples).weights
    parallel.set_thread_count(3)
    compiled, reference = by_both_backends(monkeypatch, drop_invisible, samples, sigmas, 0.05)
    clear = (weights - 0.05).abs() > 1e-5
    for kept, indices in (compiled, reference):
        mask = torch.zeros(len(samples), dtype=torch.bool)
        mask[indices] = True
        assert torch.equal(mask[clear], weights[clear] > 0.05)
        assert torch.equal(kept.ray_indices, samples.ray_indices[indices])
        counts = torch.zeros(900, dtype=torch.int64).index_add(0, kept.ray_indices, torch.ones_like(indices))
        assert torch.equal(kept.offsets[1:] - kept.offsets[:-1], counts)


def test_dropping_is_precise_behind_thick_rays(backend):
    # A sum over all rays must not swallow the thin sample of the last one.
    samples = random_samples(torch.Generator().manual_seed(0), torch.tensor([3, 1]))
    sigmas = torch.tensor([1e9, 1e9, 1e9, 0.2]) / samples.lengths
    assert drop_invisible(samples, sigmas, 0.18)[1].tolist() == [0, 3]
    assert drop_invisible(samples, sigmas, 0.19)[1].tolist() == [0]
