"""The frozen layers against `ResnetFC` itself."""

import pytest
import torch
import torch.nn.functional as F

from sightline.kernels.feature_maps import locate
from sightline.networks.resnet_fc import ResnetFC
from sightline.networks.resnet_fc_layers import ResnetFcLayers

HEIGHT, WIDTH, POINTS = 4, 6, 70


def make_network(generator, **changes) -> ResnetFC:
    settings = {"width": 32, "blocks": 4, "combine_layer": 2, **changes}
    network = ResnetFC(11, 20, **settings)
    for parameter in network.parameters():
        # Biases and second layers begin with zeros.
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def both(generator, network: ResnetFC, views: int, dtype=torch.float32, border=True):
    """Outputs of the definition and of the layers."""
    inputs = torch.randn(views * POINTS, 11, generator=generator)
    maps = torch.randn(views, 20, HEIGHT, WIDTH, generator=generator)
    places = 8 * torch.rand(views * POINTS, 2, generator=generator) - 1
    grid = places.view(views, POINTS, 1, 2) / torch.tensor([WIDTH - 1, HEIGHT - 1]) * 2 - 1
    padding = "border" if border else "zeros"
    z = F.grid_sample(maps, grid, padding_mode=padding, align_corners=True)[..., 0].transpose(1, 2)
    truth = network(inputs.view(1, views, POINTS, 11), z[None])[0]
    layers = ResnetFcLayers(network, dtype)
    where = locate(places, HEIGHT, WIDTH, border)
    return truth.detach(), layers(inputs, views, layers.project(maps), where)


@pytest.mark.parametrize(
    ("views", "changes"),
    [
        (1, {}),
        (3, {}),
        (2, {"combination": "max"}),
        (2, {"combine_layer": 4}),
        (2, {"combine_layer": 9}),
    ],
)
@pytest.mark.parametrize("border", [True, False])
def test_layers_are_the_network(views, changes, border):
    generator = torch.Generator().manual_seed(3)
    truth, found = both(generator, make_network(generator, **changes), views, border=border)
    assert truth.std() > 0.1
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("views", "combine_layer"), [(1, 2), (2, 2), (2, 0)])
def test_networks_without_features(views, combine_layer):
    generator = torch.Generator().manual_seed(3)
    network = ResnetFC(11, 0, width=32, blocks=3, combine_layer=combine_layer)
    inputs = torch.randn(views * POINTS, 11, generator=generator)
    truth = network(inputs.view(1, views, POINTS, 11), None)[0]
    found = ResnetFcLayers(network, torch.float32)(inputs, views, None, None)
    torch.testing.assert_close(found, truth.detach(), rtol=1e-4, atol=1e-4)


def test_narrow_layers_are_close():
    generator = torch.Generator().manual_seed(3)
    truth, found = both(generator, make_network(generator), 2, torch.bfloat16)
    error = float((found - truth).norm() / truth.norm())
    assert 1e-5 < error < 0.02


def test_other_networks_are_not_served():
    assert not ResnetFcLayers.serves(ResnetFC(11, 20, width=8, beta=1.0))
    assert not ResnetFcLayers.serves(ResnetFC(11, 20, width=8, spade=True))
