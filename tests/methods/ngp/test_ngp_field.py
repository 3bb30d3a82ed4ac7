"""The hash field: ranges of what it gives, and gradients."""

import math

import pytest
import torch
from ngp_cases import SMALL

from sightline.kernels.photometric import truncated_exp
from sightline.methods.ngp.field import HashField
from sightline.networks.encodings import spherical_harmonics


@pytest.fixture
def field() -> HashField:
    torch.manual_seed(0)
    field = HashField(SMALL)
    with torch.no_grad():
        field.table.normal_()
    return field


def ask(field: HashField, count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    cube = torch.rand(count, 3, generator=generator)
    directions = torch.nn.functional.normalize(torch.randn(4, 3, generator=generator), dim=-1)
    rays = torch.arange(4).repeat_interleave(count // 4)
    return field(cube, spherical_harmonics(directions), rays)


def test_densities_are_positive_and_bounded_and_colours_are_colours(field: HashField) -> None:
    with torch.no_grad():
        field.density_network[-1] *= 100
        field.colour_network[-1] *= 3
    with torch.no_grad():
        sigmas, colours = ask(field)
    assert float(sigmas.min()) >= math.exp(-11.01)
    assert float(sigmas.max()) <= math.exp(11.01)
    assert float(sigmas.std()) > 1000
    assert colours.shape == (400, 3)
    assert float(colours.min()) >= 0
    assert float(colours.max()) <= 1
    assert float(colours.std()) > 0.1


def test_density_alone_is_the_density_of_the_whole(field: HashField) -> None:
    cube = torch.rand(400, 3, generator=torch.Generator().manual_seed(1))
    sigmas, _ = ask(field)
    torch.testing.assert_close(field.density(cube), sigmas)


def test_a_fresh_field_is_thin_grey_fog() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        sigmas, colours = ask(HashField(SMALL))
    torch.testing.assert_close(sigmas, torch.ones(400), atol=0.01, rtol=0)
    assert float(colours.mean()) == pytest.approx(0.5, abs=0.25)


def test_gradients_reach_all_parameters(field: HashField) -> None:
    sigmas, colours = ask(field)
    (sigmas.log().sum() + colours.square().sum()).backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_truncated_exp_keeps_its_gradient_beyond_its_limits() -> None:
    x = torch.tensor([-20.0, 0.0, 2.0, 30.0], requires_grad=True)
    value = truncated_exp(x, 11.0)
    expected = torch.tensor([-11.0, 0.0, 2.0, 11.0]).exp()
    torch.testing.assert_close(value, expected)
    value.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, expected)
