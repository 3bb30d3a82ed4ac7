import math

import pytest
import torch
from kernel_cases import by_both_backends, empty_samples, packed_counts, random_samples, uniform

from sightline.kernels import parallel
from sightline.kernels.compositing import composite
from sightline.kernels.packed import Samples, indices_from_offsets


def samples_of(distances, lengths, *, counts=None, dtype=torch.float64) -> Samples:
    """Samples of one ray, or of several with the given counts."""
    counts = [len(distances)] if counts is None else counts
    offsets = torch.tensor([0, *counts]).cumsum(0)
    values = [torch.tensor(v, dtype=dtype) for v in (distances, lengths)]
    return Samples(offsets, *values, indices_from_offsets(offsets))


def random_case(generator, rays=200, most=12, dtype=torch.float64, densest=8.0):
    counts = packed_counts(generator, rays, most)
    samples = random_samples(generator, counts, dtype)
    sigmas = uniform(generator, len(samples), high=densest, dtype=dtype)
    colours = uniform(generator, len(samples), 3, dtype=dtype)
    # A metric of its own for the distortion, in order like the distances.
    warped = samples.distances / (1 + samples.distances), samples.lengths / 5
    return sigmas, colours, samples, warped


def value_and_gradients(sigmas, colours, samples, warped, upstream):
    sigmas, colours = sigmas.clone().requires_grad_(), colours.clone().requires_grad_()
    seen = composite(sigmas, colours, samples, warped)
    outs = [seen.colour, seen.opacity, seen.depth_sum, seen.distortion]
    if warped is None:
        # The reference's zeros do not depend on anything.
        outs, upstream = outs[:3], upstream[:3]
    gradients = torch.autograd.grad(outs, [sigmas, colours], list(upstream))
    return *(v.detach() for v in outs), seen.weights, *gradients


def upstream_of(generator, rays, dtype=torch.float64):
    return (
        uniform(generator, rays, 3, low=-1, dtype=dtype),
        *(uniform(generator, rays, low=-1, dtype=dtype) for _ in range(3)),
    )


def test_one_opaque_sample_by_hand(backend):
    colour = [[0.2, 0.4, 0.6]]
    seen = composite(
        torch.tensor([1000.0]), torch.tensor(colour), samples_of([3.0], [1.0], dtype=torch.float32)
    )
    assert torch.equal(seen.colour, torch.tensor(colour))
    assert (seen.opacity.item(), seen.depth_sum.item(), seen.weights.item()) == (1, 3, 1)
    assert seen.distortion.item() == 0


def test_two_half_transparent_samples_by_hand(backend):
    half = torch.tensor([math.log(2) / 0.5, math.log(2) / 2], dtype=torch.float64)
    colours = torch.tensor([[1.0, 0.0, 0.4], [0.0, 1.0, 0.8]], dtype=torch.float64)
    seen = composite(half, colours, samples_of([1.0, 2.0], [0.5, 2.0]))
    torch.testing.assert_close(seen.weights, torch.tensor([0.5, 0.25], dtype=torch.float64))
    torch.testing.assert_close(seen.colour, torch.tensor([[0.5, 0.25, 0.4]], dtype=torch.float64))
    assert seen.opacity.item() == pytest.approx(0.75)
    assert seen.depth_sum.item() == pytest.approx(0.5 * 1 + 0.25 * 2)


def test_gradients_by_hand(backend):
    # One sample: opacity 1 - exp(-2 sigma), of which the derivative is 2 exp(-2 sigma).
    sigmas = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    colours = torch.tensor([[0.5, 0.25, 1.0]], dtype=torch.float64, requires_grad=True)
    seen = composite(sigmas, colours, samples_of([4.0], [2.0]))
    through = math.exp(-0.6)
    (seen.colour.sum() + 3 * seen.opacity.sum() + 5 * seen.depth_sum.sum()).backward()
    assert sigmas.grad is not None
    assert colours.grad is not None
    assert sigmas.grad.item() == pytest.approx(2 * through * (1.75 + 3 + 5 * 4))
    assert colours.grad[0].tolist() == pytest.approx([1 - through] * 3)


def test_distortion_by_hand(backend):
    half = torch.tensor([math.log(2)] * 2, dtype=torch.float64)
    warped = torch.tensor([0.1, 0.4], dtype=torch.float64), torch.tensor([0.2, 0.3], dtype=torch.float64)
    seen = composite(half, torch.zeros(2, 3, dtype=torch.float64), samples_of([1.0, 2.0], [1.0, 1.0]), warped)
    # Weights 0.5 and 0.25: both orders of the pair, and a third of each square times its length.
    expected = 2 * 0.5 * 0.25 * 0.3 + (0.25 * 0.2 + 0.0625 * 0.3) / 3
    assert seen.distortion.item() == pytest.approx(expected)


def test_distortion_is_the_sum_over_all_pairs(backend, generator):
    sigmas, colours, samples, warped = random_case(generator, rays=40)
    seen = composite(sigmas, colours, samples, warped)
    # Equation 15 of mip-NeRF 360 as it stands.
    expected = torch.zeros(40, dtype=torch.float64)
    for ray in range(40):
        own = slice(int(samples.offsets[ray]), int(samples.offsets[ray + 1]))
        w, s, d = seen.weights[own], warped[0][own], warped[1][own]
        pairs = w[:, None] * w[None, :] * (s[:, None] - s[None, :]).abs()
        expected[ray] = pairs.sum() + (w**2 * d).sum() / 3
    torch.testing.assert_close(seen.distortion, expected, rtol=1e-10, atol=1e-12)


def test_weights_are_those_of_the_quadrature(backend, generator):
    sigmas, colours, samples, _ = random_case(generator, rays=30)
    seen = composite(sigmas, colours, samples)
    for ray in range(30):
        own = slice(int(samples.offsets[ray]), int(samples.offsets[ray + 1]))
        alphas = 1 - torch.exp(-sigmas[own] * samples.lengths[own])
        through = torch.cumprod(torch.cat([torch.ones(1, dtype=torch.float64), 1 - alphas]), 0)
        torch.testing.assert_close(seen.weights[own], through[:-1] * alphas)
        torch.testing.assert_close(1 - seen.opacity[ray], through[-1])
    assert not seen.weights.requires_grad


def test_rays_without_samples(backend):
    samples = samples_of([1.0], [1.0], counts=[0, 1, 0])
    sigmas = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    seen = composite(sigmas, torch.ones(1, 3, dtype=torch.float64), samples)
    opacity = 1 - math.exp(-1)
    assert seen.opacity.tolist() == pytest.approx([0, opacity, 0])
    assert seen.colour.sum(1).tolist() == pytest.approx([0, 3 * opacity, 0])
    assert seen.depth_sum.tolist() == pytest.approx([0, opacity, 0])
    seen.opacity.sum().backward()
    assert sigmas.grad is not None
    assert sigmas.grad.item() == pytest.approx(math.exp(-1))


def test_no_samples_at_all(backend):
    sigmas, colours = torch.empty(0, requires_grad=True), torch.empty(0, 3, requires_grad=True)
    seen = composite(sigmas, colours, empty_samples(3))
    assert seen.colour.tolist() == [[0, 0, 0]] * 3
    assert seen.opacity.tolist() == [0, 0, 0]
    (seen.colour.sum() + seen.opacity.sum()).backward()
    assert sigmas.grad is not None
    assert sigmas.grad.shape == (0,)


@pytest.mark.parametrize("distort", [False, True])
def test_compiled_is_the_reference(distort, generator, monkeypatch):
    sigmas, colours, samples, warped = random_case(generator, rays=900)
    sigmas[::7] = 0
    case = sigmas, colours, samples, warped if distort else None, upstream_of(generator, 900)
    parallel.set_thread_count(3)
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("distort", [False, True])
def test_gradients_are_those_of_the_values(backend, distort, generator):
    samples = random_samples(generator, torch.tensor([3, 0, 4, 1]), torch.float64)
    sigmas = uniform(generator, 8, high=4, dtype=torch.float64).requires_grad_()
    colours = uniform(generator, 8, 3, dtype=torch.float64).requires_grad_()
    warped = (samples.distances / 3, samples.lengths / 3) if distort else None

    def sums(sigmas, colours):
        seen = composite(sigmas, colours, samples, warped)
        return seen.colour, seen.opacity, seen.depth_sum, *([seen.distortion] if distort else [])

    assert torch.autograd.gradcheck(sums, (sigmas, colours))


def test_layout_of_the_inputs_does_not_matter(backend, generator):
    sigmas, colours, samples, warped = random_case(generator, rays=20, dtype=torch.float32)
    upstream = upstream_of(generator, 20, torch.float32)
    expected = value_and_gradients(sigmas, colours, samples, warped, upstream)
    # A column of the network's outputs, and colours with the channels slow.
    column = torch.stack([sigmas, sigmas], 1).requires_grad_()
    slow = colours.T.contiguous().requires_grad_()
    seen = composite(column[:, 0], slow.T, samples, warped)
    outs = [seen.colour, seen.opacity, seen.depth_sum, seen.distortion]
    for ours, other in zip(outs, expected, strict=False):
        assert torch.equal(ours, other)
    to_column, to_slow = torch.autograd.grad(outs, [column, slow], list(upstream))
    assert torch.equal(to_column[:, 0], expected[5])
    assert not to_column[:, 1].any()
    assert torch.equal(to_slow.T, expected[6])


def test_single_precision_is_near_double(backend, generator):
    sigmas, colours, samples, warped = random_case(generator, rays=3000)
    upstream = upstream_of(generator, 3000)
    expected = value_and_gradients(sigmas, colours, samples, warped, upstream)
    small = Samples(samples.offsets, samples.distances.float(), samples.lengths.float(), samples.ray_indices)
    narrow = [v.float() for v in warped], [v.float() for v in upstream]
    single = value_and_gradients(sigmas.float(), colours.float(), small, *narrow)
    for ours, wide in zip(single, expected, strict=True):
        torch.testing.assert_close(ours.double(), wide, rtol=1e-4, atol=1e-5)


def thick_case(dtype):
    """Two rays that end in very thick matter (a long bin far away), each behind a thin first sample."""
    samples = samples_of([1.0, 900.0, 1.0, 900.0], [0.5, 2000.0, 0.5, 2000.0], counts=[2, 2], dtype=dtype)
    sigmas = torch.tensor([0.4, 50000.0, 0.8, 50000.0], dtype=dtype)
    colours = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.8, 0.3]] * 2, dtype=dtype)
    upstream = torch.ones(2, 3, dtype=dtype), *(torch.ones(2, dtype=dtype) for _ in range(3))
    return sigmas, colours, samples, None, upstream


def test_thick_matter_leaves_thin_matter_its_precision(backend):
    single = value_and_gradients(*thick_case(torch.float32))
    double = value_and_gradients(*thick_case(torch.float64))
    for ours, expected in zip(single, double, strict=True):
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-6)
