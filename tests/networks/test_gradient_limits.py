"""Gradients are cut before steps."""

import pytest
import torch

from sightline.networks.gradient_limits import limit_gradients


@pytest.mark.parametrize(
    ("norm", "value", "expected"),
    [
        (None, None, [6.0, -8.0]),
        (5.0, None, [3.0, -4.0]),
        (None, 7.0, [6.0, -7.0]),
        (5.0, 6.0, [5 / 2**0.5, -5 / 2**0.5]),
        (20.0, 9.0, [6.0, -8.0]),
    ],
)
def test_steps_see_cut_gradients(norm, value, expected):
    x = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.SGD([x], lr=1.0)
    limit_gradients(optimiser, norm, value)
    x.grad = torch.tensor([6.0, -8.0])
    optimiser.step()
    assert (-x).tolist() == pytest.approx(expected, rel=1e-4)
