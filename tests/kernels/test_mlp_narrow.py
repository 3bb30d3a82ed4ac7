"""Products in bfloat16, where the processor has them."""

import itertools

import pytest
import torch
from kernel_cases import force_backend, uniform

from sightline.kernels import parallel
from sightline.kernels.mlp import perceptron, uses_bfloat16

needs_bfloat16 = pytest.mark.skipif(not uses_bfloat16(), reason="this processor has no bfloat16 products")


def whole_numbers(generator, *shape, low, high):
    return torch.randint(low, high + 1, shape, generator=generator).float()


def value_and_gradients(inputs, weights, upstream, *rays, narrow=True):
    inputs, weights = inputs.clone().requires_grad_(), [w.clone().requires_grad_() for w in weights]
    out = perceptron(inputs, weights, *rays, narrow=narrow)
    return out.detach(), *torch.autograd.grad(out, [inputs, *weights], upstream)


def exact_case(generator, samples, widths, shared):
    """Whole numbers so small that bfloat16 holds all factors, and float32 all sums."""
    weights = [
        whole_numbers(generator, outs, ins, low=-1, high=1) for ins, outs in itertools.pairwise(widths)
    ]
    inputs = whole_numbers(generator, samples, widths[0] - shared, low=-2, high=2)
    upstream = whole_numbers(generator, samples, widths[-1], low=-2, high=2)
    rays = ()
    if shared:
        indices = torch.randint(0, 30, (samples,), generator=generator)
        rays = (whole_numbers(generator, 30, shared, low=-2, high=2), indices)
    return inputs, weights, upstream, *rays


# Sample counts around the kernels' blocks and vectors; widths that are no multiples of four.
@needs_bfloat16
@pytest.mark.parametrize("samples", [0, 1, 15, 511, 513, 2100])
@pytest.mark.parametrize(
    ("widths", "shared"), [([6, 9, 3], 0), ([16, 12, 16], 0), ([9, 8, 7, 3], 4), ([5, 1], 2)]
)
def test_it_is_exact_where_nothing_is_rounded(generator, monkeypatch, samples, widths, shared):
    case = exact_case(generator, samples, widths, shared)
    parallel.set_thread_count(2)
    ours = value_and_gradients(*case)
    force_backend(monkeypatch, "reference")
    for mine, expected in zip(ours, value_and_gradients(*case), strict=True):
        assert torch.equal(mine, expected)


@needs_bfloat16
def test_factors_are_rounded_to_the_nearest_and_sums_are_not(generator):
    # 1 + 2^-8 lies between two bfloat16 numbers, and is rounded to the even one, 1; 1 + 3 * 2^-9 to 1 + 2^-7.
    inputs = torch.tensor([[1 + 2**-8, 1 + 3 * 2**-9, 256.0]])
    out = perceptron(inputs, [torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 1.0]])], narrow=True)
    assert out.tolist() == [[1.0, 1 + 2**-7, 258 + 2**-7]]


def rounded(values):
    return values.to(torch.bfloat16).double()


def with_rounded_factors(inputs, weights, upstream):
    """The perceptron and its gradients in double precision, but for the factors of products."""
    hidden, results = [rounded(inputs)], []
    for weight in weights:
        results.append(hidden[-1] @ rounded(weight).T)
        hidden.append(rounded(results[-1].relu().float()))
    above, to_weights = upstream, []
    for layer in reversed(range(len(weights))):
        above = rounded(above.float())
        to_weights.insert(0, above.T @ hidden[layer])
        above = above @ rounded(weights[layer])
        if layer:
            above = above * (hidden[layer] > 0)
    return results[-1], above, *to_weights


@needs_bfloat16
def test_only_factors_are_rounded(generator):
    widths = [32, 64, 64, 3]
    inputs, upstream = uniform(generator, 3000, 32, low=-1), uniform(generator, 3000, 3, low=-1)
    weights = [
        uniform(generator, outs, ins, low=-1) * (3 / ins) ** 0.5 for ins, outs in itertools.pairwise(widths)
    ]
    narrow = value_and_gradients(inputs, weights, upstream)
    for ours, expected in zip(narrow, with_rounded_factors(inputs, weights, upstream), strict=True):
        assert ours.dtype == torch.float32
        # A sum at the border between two roundings may go either way, which few of them are.
        assert (ours - expected).norm() <= 1e-3 * expected.norm()
    wide = value_and_gradients(inputs, weights, upstream, narrow=False)
    for ours, expected in zip(narrow, wide, strict=True):
        assert 1e-4 * expected.norm() < (ours - expected).norm() < 0.1 * expected.norm()


@needs_bfloat16
def test_a_broken_input_shows(generator):
    weights = [uniform(generator, 8, 4, low=-1), uniform(generator, 2, 8, low=-1)]
    inputs = uniform(generator, 40, 4)
    expected = perceptron(inputs, weights, narrow=True)
    inputs[17, 2] = torch.nan
    out = perceptron(inputs, weights, narrow=True)
    assert out[17].isnan().all()
    others = torch.arange(40) != 17
    assert torch.equal(out[others], expected[others])


@needs_bfloat16
def test_same_threads_same_bits(generator):
    inputs, upstream = uniform(generator, 3000, 16, low=-1), uniform(generator, 3000, 3, low=-1)
    weights = [uniform(generator, 64, 16, low=-1), uniform(generator, 3, 64, low=-1)]
    for threads in (1, 2, 3):
        parallel.set_thread_count(threads)
        first, second = (value_and_gradients(inputs, weights, upstream) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_double_precision_is_never_narrowed(generator):
    inputs = uniform(generator, 10, 4, dtype=torch.float64)
    weights = [uniform(generator, 3, 4, dtype=torch.float64)]
    torch.testing.assert_close(
        perceptron(inputs, weights, narrow=True), inputs @ weights[0].T, rtol=1e-12, atol=0
    )


def test_it_is_plain_where_the_processor_has_no_such_products(generator, monkeypatch):
    monkeypatch.setattr("sightline.kernels.mlp.uses_bfloat16", lambda: False)
    inputs, weights = uniform(generator, 10, 4), [uniform(generator, 3, 4)]
    assert torch.equal(perceptron(inputs, weights, narrow=True), perceptron(inputs, weights))
