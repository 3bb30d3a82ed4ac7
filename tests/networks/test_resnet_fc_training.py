"""Gradients of a `ResnetFC` that is computed part by part, against autograd through its definition."""

import pytest
import torch
from torch import Tensor

from sightline.kernels.feature_maps import locate, read
from sightline.networks import resnet_fc_training
from sightline.networks.resnet_fc import ResnetFC
from sightline.networks.resnet_fc_training import evaluate, serves

GROUPS, POINTS, HEIGHT, WIDTH = 2, 45, 4, 6


class Case:
    """A network with points, maps and places; the leaves are those that gradients are asked of."""

    def __init__(self, views: int, features: int = 20, **changes):
        generator = torch.Generator().manual_seed(3)
        self.network = ResnetFC(11, features, **{"width": 32, "blocks": 4, "combine_layer": 2, **changes})
        for parameter in self.network.parameters():
            # Biases and second layers begin with zeros.
            parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        rows = GROUPS * views * POINTS
        self.x = torch.randn(GROUPS, views, POINTS, 11, generator=generator).requires_grad_()
        self.maps = torch.randn(GROUPS * views, HEIGHT * WIDTH, max(1, features), generator=generator)
        self.maps.requires_grad_()
        self.places = (
            torch.rand(rows, 2, generator=generator) * torch.tensor([7.0, 5.0]) - 1
        ).requires_grad_()
        self.upstream = torch.randn(GROUPS, POINTS, 4, generator=generator)
        self.features = features

    def definition(self) -> Tensor:
        z = None
        if self.features:
            found = read(self.maps, *locate(self.places, HEIGHT, WIDTH, True))
            z = found.view(*self.x.shape[:3], -1)
        return self.network(self.x, z)

    def parts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        layers = self.network.projection()
        if layers is None:
            return evaluate(self.network, dtype, self.x, None, None)
        maps = torch.nn.functional.linear(self.maps, layers[0])
        return evaluate(self.network, dtype, self.x, maps, locate(self.places, HEIGHT, WIDTH, True))

    def gradients(self, out: Tensor) -> dict[str, Tensor]:
        leaves = {"x": self.x, **dict(self.network.named_parameters())}
        if self.features:
            leaves |= {"maps": self.maps, "places": self.places}
        found = torch.autograd.grad((out * self.upstream).sum(), list(leaves.values()))
        return dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("rows", [4096, 32])
@pytest.mark.parametrize(
    ("views", "changes"),
    [(1, {}), (3, {}), (2, {"combine_layer": 4}), (2, {"combine_layer": 9}), (2, {"features": 0})],
)
def test_outputs_and_gradients_are_those_of_the_definition(views, changes, rows, monkeypatch):
    monkeypatch.setattr(resnet_fc_training, "_ROWS", rows)
    case = Case(views, **changes)
    assert serves(case.network, case.x)
    truth, found = case.definition(), case.parts()
    torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-5)
    expected, gradients = case.gradients(truth), case.gradients(found)
    for name, value in expected.items():
        assert value.abs().max() > 1e-3, name
        torch.testing.assert_close(gradients[name], value, rtol=1e-4, atol=1e-4, msg=name)


def test_bfloat16_is_near():
    case = Case(2)
    truth, found = case.definition(), case.parts(torch.bfloat16)
    assert (found - truth).norm() < 0.02 * truth.norm()
    expected, gradients = case.gradients(truth), case.gradients(found)
    for name, value in expected.items():
        # Activations near zero may fall on their other side, and a few of 1,440 weigh much.
        assert (gradients[name] - value).norm() < 0.3 * value.norm(), name


def test_frozen_parameters_have_no_gradients():
    case = Case(1)
    case.network.lin_in.requires_grad_(False)
    case.parts().sum().backward()
    assert case.network.lin_in.weight.grad is None
    assert case.network.lin_out.weight.grad is not None


@pytest.mark.parametrize("changes", [{"beta": 1.0}, {"spade": True}, {"combination": "max"}])
def test_other_networks_are_left_to_their_definition(changes):
    case = Case(1, **changes)
    assert not serves(case.network, case.x)
    assert not serves(Case(1).network, case.x.double())
