import itertools

import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.kernels import parallel
from sightline.kernels.mlp import perceptron


def random_weights(generator, widths, dtype=torch.float64):
    """Matrices (out, in) between layers of the given widths."""
    return [uniform(generator, outs, ins, low=-1, dtype=dtype) for ins, outs in itertools.pairwise(widths)]


def value_and_gradients(inputs, weights, upstream, per_ray=None, ray_indices=None):
    inputs, weights = inputs.clone().requires_grad_(), [w.clone().requires_grad_() for w in weights]
    out = perceptron(inputs, weights, per_ray, ray_indices)
    return out.detach(), *torch.autograd.grad(out, [inputs, *weights], upstream)


def test_two_layers_by_hand(backend):
    first = torch.tensor([[1.0, -1.0], [2.0, 1.0]], requires_grad=True)
    second = torch.tensor([[1.0, 1.0]], requires_grad=True)
    inputs = torch.tensor([[1.0, 3.0]], requires_grad=True)
    out = perceptron(inputs, [first, second])
    # The hidden layer is (1 - 3, 2 + 3), of which ReLU leaves (0, 5).
    assert out.tolist() == [[5.0]]
    out.backward()
    for tensor, expected in (
        (inputs, [[2.0, 1.0]]),
        (first, [[0.0, 0.0], [1.0, 3.0]]),
        (second, [[0.0, 5.0]]),
    ):
        assert tensor.grad is not None
        assert tensor.grad.tolist() == expected


def test_nothing_after_the_last_layer(backend):
    assert perceptron(torch.tensor([[1.0]]), [torch.tensor([[-3.0]])]).tolist() == [[-3.0]]


def test_features_shared_by_a_ray_by_hand(backend):
    weight = torch.tensor([[1.0, 10.0, 100.0]])
    inputs = torch.tensor([[1.0], [2.0], [3.0]])
    per_ray = torch.tensor([[4.0, 5.0], [6.0, 7.0]])
    out = perceptron(inputs, [weight], per_ray, torch.tensor([0, 0, 1]))
    assert out.tolist() == [[541.0], [542.0], [763.0]]


# Widths that are no multiples of four; sample counts around the kernels' blocks, and none.
@pytest.mark.parametrize("samples", [0, 1, 255, 700, 1537])
@pytest.mark.parametrize("widths", [[7, 13, 5, 3], [16, 64, 16], [5, 1]])
def test_compiled_is_the_reference(widths, samples, generator, monkeypatch):
    case = (
        uniform(generator, samples, widths[0], low=-1, dtype=torch.float64),
        random_weights(generator, widths),
        uniform(generator, samples, widths[-1], low=-1, dtype=torch.float64),
    )
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shared", [3, 16])
def test_compiled_is_the_reference_with_shared_features(shared, generator, monkeypatch):
    indices = torch.randint(0, 40, (700,), generator=generator).sort().values
    case = (
        uniform(generator, 700, 6, low=-1, dtype=torch.float64),
        random_weights(generator, [6 + shared, 18, 3]),
        uniform(generator, 700, 3, low=-1, dtype=torch.float64),
        uniform(generator, 40, shared, low=-1, dtype=torch.float64),
        indices,
    )
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-11)


def test_compiled_is_the_reference_in_single_precision(generator, monkeypatch):
    case = (
        uniform(generator, 2000, 16, low=-1),
        random_weights(generator, [16, 64, 64, 3], torch.float32),
        uniform(generator, 2000, 3, low=-1),
    )
    compiled, reference = by_both_backends(monkeypatch, value_and_gradients, *case)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("shared", [0, 2])
def test_gradients_are_those_of_the_values(backend, generator, shared):
    inputs = uniform(generator, 5, 3, low=-1, dtype=torch.float64).requires_grad_()
    weights = [w.requires_grad_() for w in random_weights(generator, [3 + shared, 6, 5, 2])]
    rays = (uniform(generator, 3, shared, dtype=torch.float64), torch.tensor([0, 0, 1, 2, 2]))
    extra = rays if shared else (None, None)
    assert torch.autograd.gradcheck(lambda x, *w: perceptron(x, list(w), *extra), (inputs, *weights))


def test_same_threads_same_bits(generator):
    case = (
        uniform(generator, 3000, 16, low=-1),
        random_weights(generator, [16, 64, 3], torch.float32),
        uniform(generator, 3000, 3, low=-1),
    )
    by_threads = []
    for threads in (1, 2, 3):
        parallel.set_thread_count(threads)
        results = [value_and_gradients(*case) for _ in range(3)]
        for other in results[1:]:
            for ours, expected in zip(other, results[0], strict=True):
                assert torch.equal(ours, expected)
        by_threads.append(results[0])
    for other in by_threads[1:]:
        # What belongs to a sample is the same for any number of threads; sums over samples are nearly so.
        assert torch.equal(other[0], by_threads[0][0])
        assert torch.equal(other[1], by_threads[0][1])
        for ours, expected in zip(other[2:], by_threads[0][2:], strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)


def test_layout_of_the_inputs_does_not_matter(generator):
    weights = random_weights(generator, [8, 16, 3], torch.float32)
    inputs, upstream = uniform(generator, 600, 8), uniform(generator, 600, 3)
    expected = value_and_gradients(inputs, weights, upstream)
    # Features as the slow axis, as the hash encoding leaves them, and every second row of a larger tensor.
    spread = torch.stack([inputs, inputs], 1).view(1200, 8)[::2]
    for view in (inputs.T.contiguous().T, spread):
        for ours, first in zip(
            value_and_gradients(view, weights, upstream.T.contiguous().T), expected, strict=True
        ):
            assert torch.equal(ours, first)


def test_a_broken_input_shows_in_its_own_sample_only(backend, generator):
    inputs = uniform(generator, 300, 4)
    weights = random_weights(generator, [4, 8, 2], torch.float32)
    expected = perceptron(inputs, weights)
    inputs[17, 2] = torch.nan
    out = perceptron(inputs, weights)
    assert out[17].isnan().all()
    assert torch.equal(out[:17], expected[:17])
    assert torch.equal(out[18:], expected[18:])
