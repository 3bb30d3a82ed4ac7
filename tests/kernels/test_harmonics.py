import math

import pytest
import torch
from kernel_cases import by_both_backends

from sightline.kernels.harmonics import evaluate


def directions(generator: torch.Generator, count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)


def test_compiled_is_the_reference(generator, monkeypatch):
    ours, expected = by_both_backends(monkeypatch, evaluate, directions(generator, 20_000))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_they_are_orthonormal(backend, generator):
    # Mean over the sphere times its area, with an error of one over the square root of the number.
    found = evaluate(directions(generator, 400_000)).double()
    products = found.T @ found / len(found) * 4 * math.pi
    torch.testing.assert_close(products, torch.eye(16, dtype=torch.float64), rtol=0, atol=0.02)


def test_at_the_poles_by_hand(backend):
    up = evaluate(torch.tensor([[0.0, 0.0, 1.0]]))[0]
    # Only the orders 0 do not vanish there: sqrt((2l + 1) / 4π).
    expected = [math.sqrt((2 * degree + 1) / (4 * math.pi)) for degree in range(4)]
    assert up[[0, 2, 6, 12]].tolist() == pytest.approx(expected, rel=1e-6)
    assert up.count_nonzero() == 4


def test_gradients_pass():
    at = torch.tensor([[0.6, 0.0, 0.8]], requires_grad=True)
    (slope,) = torch.autograd.grad(evaluate(at)[0, 3], at)
    assert slope[0].tolist() == pytest.approx([-0.48860251190291987, 0, 0])
