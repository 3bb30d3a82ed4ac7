"""The radiance perceptron: its switches by hand, and that saving memory changes nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.kernels.mlp import uses_bfloat16
from sightline.networks.encodings import FrequencyEncoding
from sightline.networks.radiance_mlp import RadianceMlp


def make(seed: int = 0, **settings: Any) -> RadianceMlp:
    torch.manual_seed(seed)
    arguments = {
        "position": FrequencyEncoding(3),
        "direction": FrequencyEncoding(2),
        "depth": 4,
        "width": 16,
        "skip_layers": (3,),
        **settings,
    }
    return RadianceMlp(**arguments)


def inputs(count: int = 50) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(count, 3, generator=generator) * 2 - 1
    return points, nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)


def layer(network: RadianceMlp, name: str, x: Tensor) -> Tensor:
    found = network.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return x @ found.weight.T + found.bias


@pytest.mark.parametrize("order", ["input_first", "input_last"])
@pytest.mark.parametrize("again", ["encoded", "raw"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("feature", [True, False])
def test_the_switches_do_what_they_say(order: str, again: str, first: bool, feature: bool) -> None:
    network = make(
        skip_order=order,
        skip_input=again,
        first_activation=first,
        feature_activation=feature,
        feature_width=9,
    )
    points, directions = inputs()
    encoded = FrequencyEncoding(3)(points)
    h = layer(network, "trunk.0", encoded)
    h = h.relu() if first else h
    h = layer(network, "trunk.1", h).relu()
    skip = encoded if again == "encoded" else points
    h = torch.cat([skip, h] if order == "input_first" else [h, skip], -1)
    h = layer(network, "trunk.3", layer(network, "trunk.2", h).relu()).relu()
    f = layer(network, "feature", h)
    assert f.shape == (50, 9)
    f = f.relu() if feature else f
    v = layer(network, "view", torch.cat([f, FrequencyEncoding(2)(directions)], -1)).relu()
    density, colour = network(points, directions)
    torch.testing.assert_close(density, layer(network, "density", h))
    torch.testing.assert_close(colour, layer(network, "colour", v))
    torch.testing.assert_close(network.raw_density(points), density)


def test_without_directions_colours_come_from_the_trunk() -> None:
    network = make(direction=None)
    points, directions = inputs()
    assert {name for name, _ in network.named_children()} == {"trunk", "density", "colour"}
    density, colour = network(points)
    torch.testing.assert_close(network(points, directions)[1], colour)
    assert (density.shape, colour.shape) == ((50, 1), (50, 3))
    with pytest.raises(ValueError, match="needs directions"):
        make()(points)


def gradients(network: RadianceMlp) -> list[Tensor]:
    density, colour = network(*inputs())
    (density.square().sum() + (colour**3).sum()).backward()
    found = []
    for parameter in network.parameters():
        assert parameter.grad is not None
        found.append(parameter.grad)
    return found


def test_computing_layers_again_changes_no_gradient() -> None:
    plain, again = make(), make(rematerialise=True, chunk=7)
    for a, b in zip(gradients(plain), gradients(again), strict=True):
        torch.testing.assert_close(a, b)


def test_chunks_change_nothing() -> None:
    network = make()
    network.chunk = 7
    points, directions = inputs()
    expected = network(points, directions)
    with torch.no_grad():
        for a, b in zip(network(points, directions), expected, strict=True):
            torch.testing.assert_close(a, b)
        torch.testing.assert_close(network.raw_density(points), expected[0])
        empty = network(points[:0], directions[:0])
    assert (empty[0].shape, empty[1].shape) == ((0, 1), (0, 3))


def test_products_in_bfloat16_give_float32_results_near_the_exact_ones() -> None:
    exact, low = make(), make(layer_precision="bfloat16")
    points, directions = inputs()
    for a, b in zip(exact(points, directions), low(points, directions), strict=True):
        assert b.dtype == torch.float32
        error = float((a - b).detach().abs().max())
        assert 1e-5 < error < 0.05
    for gradient in gradients(low):
        assert gradient.dtype == torch.float32


def test_automatic_precision_is_bfloat16_where_it_is_fast_and_wanted() -> None:
    points, directions = inputs()
    exact = make()(points, directions)[0]
    automatic = make(layer_precision="auto")
    found = automatic(points, directions)[0]
    if uses_bfloat16():
        assert torch.equal(found, make(layer_precision="bfloat16")(points, directions)[0])
    else:
        assert torch.equal(found, exact)
    # Double precision stays what it is, and gradients of points are there.
    doubles = make(layer_precision="auto").double()
    torch.testing.assert_close(doubles(points.double(), directions.double())[0].float(), exact)
    points.requires_grad_()
    automatic(points, directions)[0].sum().backward()
    assert points.grad is not None


def test_a_direction_serves_the_points_that_follow_each_other() -> None:
    points, directions = inputs(60)
    for precision in ("float32", "bfloat16"):
        network = make(layer_precision=precision, chunk=17)
        each = directions[:12].repeat_interleave(5, 0)
        with torch.no_grad():
            found, expected = network(points, directions[:12]), network(points, each)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)


def test_an_autocast_around_it_stays_on() -> None:
    points, directions = inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = make()(points, directions)[0]
    assert found.dtype == torch.float32
    assert not torch.equal(found, make()(points, directions)[0])


def test_initialisations_have_their_spread() -> None:
    weights = {}
    for name in ("torch", "glorot", "lecun"):
        network = make(width=256, initialisation=name)
        weight = network.trunk[1].weight.detach()
        weights[name] = float(weight.std())
        zero = bool((network.trunk[1].bias == 0).all())
        assert zero == (name != "torch")
    # Uniform to 1 / 16; variance 2 / (in + out); variance 1 / in.
    assert weights["torch"] == pytest.approx(1 / 16 / 3**0.5, rel=0.02)
    assert weights["glorot"] == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert weights["lecun"] == pytest.approx(1 / 16, rel=0.02)


def test_frequencies_by_hand() -> None:
    x = torch.tensor([[0.3, -0.7, 1.1]])
    encoding = FrequencyEncoding(2)
    expected = torch.cat([x, x.sin(), x.cos(), (2 * x).sin(), (2 * x).cos()], -1)
    torch.testing.assert_close(encoding(x), expected)
    assert encoding.width() == 15
    bare = FrequencyEncoding(3, log_spaced=False, include_input=False)
    expected = torch.cat([f(k * x) for k in (1, 2.5, 4) for f in (torch.sin, torch.cos)], -1)
    torch.testing.assert_close(bare(x), expected)
    assert bare.width() == 18
    assert torch.equal(FrequencyEncoding(0)(x), x)
    torch.testing.assert_close(FrequencyEncoding(1, log_spaced=False)(x), FrequencyEncoding(1)(x))
