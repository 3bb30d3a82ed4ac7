import pytest
import torch
from torch import nn

from sightline.foundation.errors import InputError
from sightline.runs.weights import apply_matching


def two_layers(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.Linear(width, 2))


def test_tensors_of_the_same_name_and_shape_are_taken(caplog):
    source, target = two_layers(4), two_layers(5)
    kept = target[0].weight.detach().clone()
    tensors = {**source.state_dict(), "2.weight": torch.zeros(1)}
    del tensors["1.weight"]
    apply_matching(target, tensors, where="old")
    assert torch.equal(target[1].bias, source[1].bias)
    assert torch.equal(target[0].weight, kept)
    (message,) = caplog.messages
    assert "1 of 4 tensors are taken" in message
    assert "missing: 1.weight" in message
    assert "not known: 2.weight" in message
    assert "of another shape: 0.weight (4, 3) instead of (5, 3), 0.bias (4,) instead of (5,)" in message


def test_nothing_is_said_where_all_match(caplog):
    source, target = two_layers(4), two_layers(4)
    apply_matching(target, source.state_dict(), where="old")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    assert caplog.messages == []


def test_weights_of_something_else_are_refused():
    with pytest.raises(InputError, match="None of the weights to start from fits"):
        apply_matching(two_layers(4), {"other": torch.zeros(2)}, where="old")
