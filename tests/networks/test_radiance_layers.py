"""The layers with written-out gradients against the perceptron in plain PyTorch."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.networks.encodings import FrequencyEncoding
from sightline.networks.radiance_layers import RadianceLayers, evaluate
from sightline.networks.radiance_mlp import RadianceMlp

SWITCHES = [
    {},
    {"skip_order": "input_last"},
    {"skip_input": "raw", "skip_order": "input_last"},
    {"skip_layers": (3, 4)},
    {"skip_layers": ()},
    {"skip_layers": (4,)},
    {"first_activation": False},
    {"feature_activation": True, "feature_width": 40},
    {"feature_width": 40},
    {"direction": None},
    {"direction": None, "skip_input": "raw"},
    {"position": FrequencyEncoding(0)},
]


def make(**settings: Any) -> RadianceMlp:
    torch.manual_seed(0)
    arguments = {
        "position": FrequencyEncoding(4),
        "direction": FrequencyEncoding(2),
        "depth": 4,
        "width": 32,
        "skip_layers": (3,),
        **settings,
    }
    return RadianceMlp(**arguments)


def inputs(network: RadianceMlp) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(600, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(120, 3, generator=generator), dim=-1)
    return points, None if network.direction is None else directions


def gradients(network: RadianceMlp, found: tuple[Tensor, Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    upstream = [torch.randn(value.shape, generator=generator) for value in found]
    parts = [(a * b).sum() for a, b in zip(found, upstream, strict=True)]
    return list(torch.autograd.grad(parts, list(network.parameters())))


@pytest.mark.parametrize("settings", SWITCHES)
def test_in_float32_they_are_the_perceptron(settings: dict) -> None:
    network = make(**settings)
    points, directions = inputs(network)
    expected = network(points, directions)
    found = evaluate(RadianceLayers(network, torch.float32), points, directions)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    names = [name for name, _ in network.named_parameters()]
    pairs = zip(names, gradients(network, found), gradients(network, expected), strict=True)
    for name, a, b in pairs:
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("settings", SWITCHES)
def test_in_bfloat16_they_are_near(settings: dict) -> None:
    network = make(**settings)
    points, directions = inputs(network)
    expected = network(points, directions)
    found = evaluate(RadianceLayers(network, torch.bfloat16), points, directions)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=0.01, rtol=0.01)
    for a, b in zip(gradients(network, found), gradients(network, expected), strict=True):
        # Where rounding moves a value over zero, a ReLU passes another gradient.
        assert float((a - b).norm() / b.norm()) < 0.15


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_points_find_their_direction_by_its_number(dtype: torch.dtype) -> None:
    network = make()
    points, directions = inputs(network)
    assert directions is not None
    rays = torch.randint(len(directions), (len(points),), generator=torch.Generator().manual_seed(3))
    layers = RadianceLayers(network, dtype)
    found, expected = evaluate(layers, points, directions, rays), evaluate(layers, points, directions[rays])
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(gradients(network, found), gradients(network, expected), strict=True):
        torch.testing.assert_close(a, b, atol=1e-2 if dtype == torch.bfloat16 else 1e-4, rtol=1e-2)
    plain = network(points, directions, rays)
    for a, b in zip(plain, network(points, directions[rays]), strict=True):
        assert torch.equal(a, b)
    network.chunk = 100
    with torch.no_grad():
        for a, b in zip(network(points, directions, rays), plain, strict=True):
            torch.testing.assert_close(a, b)


def test_density_alone_is_the_same_and_teaches_the_trunk() -> None:
    network = make()
    points, directions = inputs(network)
    layers = RadianceLayers(network, torch.float32)
    alone = evaluate(layers, points, colours=False)
    assert alone[1].shape == (0, 3)
    assert torch.equal(alone[0], evaluate(layers, points, directions)[0])
    alone[0].sum().backward()
    found = {name for name, p in network.named_parameters() if p.grad is not None}
    expected = {f"trunk.{k}.{kind}" for k in range(4) for kind in ("weight", "bias")}
    assert found == expected | {"density.weight", "density.bias"}


def test_frozen_parameters_get_no_gradient() -> None:
    network = make()
    network.density.requires_grad_(False)
    points, directions = inputs(network)
    density, colour = evaluate(RadianceLayers(network, torch.float32), points, directions)
    (density.sum() + colour.sum()).backward()
    assert network.density.weight.grad is None
    assert network.colour.weight.grad is not None


def test_there_is_no_second_derivative() -> None:
    network = make()
    density, _ = evaluate(RadianceLayers(network, torch.float32), *inputs(network))
    with pytest.raises(InputError, match="first derivatives only"):
        torch.autograd.grad(density.sum(), network.density.weight, create_graph=True)


def test_copies_of_parameters_follow_them() -> None:
    network = make(layer_precision="bfloat16")
    points, directions = inputs(network)
    before = network(points, directions)[0].detach()
    assert torch.equal(network(points, directions)[0], before)
    with torch.no_grad():
        network.density.bias += 1
    torch.testing.assert_close(network(points, directions)[0].detach(), before + 1)
    network.load_state_dict(make().state_dict())
    assert torch.equal(network(points, directions)[0].detach(), before)
