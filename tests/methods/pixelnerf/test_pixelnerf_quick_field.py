"""The field that rendering asks against the network that training asks."""

import pytest
import torch
from pixelnerf_cases import ball_capture, small_config

from sightline.methods.pixelnerf.frame import published_frame
from sightline.methods.pixelnerf.network import PixelNerfNetwork
from sightline.methods.pixelnerf.quick_field import POINTS, QuickField
from sightline.methods.pixelnerf.views import as_sources, load_views


def make_network(views: int, **changes):
    """A network with weights of no meaning, what it sees, and points with directions."""
    torch.manual_seed(4)
    config = small_config(**changes)
    network = PixelNerfNetwork(config).eval()
    for name, parameter in network.named_parameters():
        if name.startswith("mlp"):
            parameter.data += 0.1 * torch.randn_like(parameter)
    capture = ball_capture(1)
    pictures = load_views(capture, range(views), config, published_frame(config).to_model)
    with torch.no_grad():
        encoded = network.encode(as_sources([pictures]))
    points = 1.2 * torch.rand(1, POINTS + 300, 3) - 0.6
    # Some are behind the cameras.
    points[0, :50] *= 6
    directions = torch.nn.functional.normalize(torch.randn(1, POINTS + 300, 3), dim=-1)
    return config, network, encoded, points, directions


@pytest.mark.parametrize(
    ("views", "changes"),
    [
        (1, {}),
        (3, {}),
        (2, {"feature_padding": "zeros"}),
        (2, {"mirror_behind": False}),
        (2, {"combination": "max"}),
        (2, {"combine_layer": 2}),
        (1, {"fine_network": "coarse"}),
        (1, {"use_directions": False}),
        (1, {"use_positions": False}),
        (2, {"use_encoder": False}),
    ],
)
def test_it_is_the_network(views, changes):
    config, network, encoded, points, directions = make_network(views, **changes)
    assert QuickField.serves(network, encoded, config)
    quick = QuickField(network, encoded, config)
    for fine in (False, True):
        with torch.no_grad():
            colours, sigmas = network(encoded, points, directions, fine)
        found, densities = quick(points, directions, fine)
        assert float(sigmas.max()) > 0.1
        torch.testing.assert_close(found, colours, rtol=0, atol=1e-4)
        torch.testing.assert_close(densities, sigmas, rtol=1e-3, atol=1e-4)


def test_narrow_products_are_close():
    _, network, encoded, points, directions = make_network(2)
    quick = QuickField(network, encoded, small_config(layer_precision="bfloat16"))
    with torch.no_grad():
        colours, sigmas = network(encoded, points, directions, True)
    found, densities = quick(points, directions, True)
    assert 1e-5 < float((found - colours).abs().mean()) < 5e-3
    assert float((densities - sigmas).abs().mean()) < 0.02 * float(sigmas.mean())


@pytest.mark.parametrize(
    "changes", [{"global_width": 8}, {"softplus": 1.0}, {"spade": True}, {"feature_sampling": "nearest"}]
)
def test_other_networks_are_left_to_the_definition(changes):
    config, network, encoded, *_ = make_network(1, **changes)
    assert not QuickField.serves(network, encoded, config)


@pytest.mark.parametrize("changes", [{}, {"combination": "max"}, {"freeze_encoder": True}])
def test_gradients_are_those_of_the_definition(changes, monkeypatch):
    """Training takes maps through the layers for features before points read them."""
    _, network, _, points, directions = make_network(2, **changes)
    sources = as_sources(
        [load_views(ball_capture(1), range(2), network.config, published_frame(network.config).to_model)]
    )
    found = []
    for kernels in ("", "reference"):
        monkeypatch.setenv("SIGHTLINE_KERNELS", kernels)
        network.zero_grad()
        # Fine samples lie around the coarse depth, whose gradient goes through the points.
        given = points[:, :500].clone().requires_grad_()
        colours, sigmas = network(network.encode(sources), given, directions[:, :500])
        (colours.square().sum() + sigmas.sum()).backward()
        found.append({name: value.grad for name, value in network.named_parameters()} | {"": given.grad})
    ours, truth = found
    assert (truth["encoder.model.conv1.weight"] is None) == ("freeze_encoder" in changes)
    for name, gradient in truth.items():
        if gradient is None:
            assert ours[name] is None
        else:
            close = 1e-4 * float(gradient.abs().max()) + 1e-7
            torch.testing.assert_close(ours[name], gradient, rtol=0, atol=close)
