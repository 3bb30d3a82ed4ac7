"""Photometric steps with gradients to photos' colours and to rays."""

from dataclasses import replace

import pytest
import torch
from kernel_cases import by_both_backends, force_backend, uniform
from test_photometric import RAYS, Field, make_settings

from sightline.kernels import parallel
from sightline.kernels.marching import contract
from sightline.kernels.mlp import uses_bfloat16
from sightline.kernels.photometric import PhotometricRays, photometric_step

PHOTOS = 5


class RefinedField(Field):
    """A field whose rays belong to photos that change colours, and may move."""

    def __init__(self, generator, settings, hidden=16, move=True, dtype=torch.float32):
        super().__init__(generator, settings, hidden)
        changes = uniform(generator, PHOTOS, 3, 4, low=-0.3, high=0.3)
        transforms = (torch.eye(3, 4) + changes).to(dtype).requires_grad_()
        self.table = self.table.detach().to(dtype).requires_grad_()
        self.density = [w.detach().to(dtype).requires_grad_() for w in self.density]
        self.colour = [w.detach().to(dtype).requires_grad_() for w in self.colour]
        columns = {name: value.to(dtype) for name, value in vars(self.rays).items() if value is not None}
        if move:
            columns |= {
                name: columns[name].requires_grad_() for name in ("origins", "directions", "features")
            }
        views = torch.randint(PHOTOS, (RAYS,), generator=generator)
        self.rays = PhotometricRays(**columns, views=views, transforms=transforms)
        self.grid = self.grid.to(dtype)

    @property
    def refined(self) -> list[torch.Tensor]:
        rays = self.rays
        columns = (rays.transforms, rays.origins, rays.directions, rays.features)
        return [column for column in columns if column is not None and column.requires_grad]

    def step(self, settings=None):
        result = photometric_step(
            self.table, self.density, self.colour, self.rays, self.grid, None, None, settings or self.settings
        )
        return result, torch.autograd.grad(result.loss, [*self.parameters, *self.refined])


def assert_close(ours, expected):
    """All gradients but those of few rays, of which rounding puts a sample on the other side of an edge."""
    for mine, other in zip(ours, expected, strict=True):
        largest = float(other.abs().max())
        assert largest > 0
        close = torch.isclose(mine, other, rtol=1e-3, atol=2e-4 * largest)
        assert float(close.float().mean()) > (0.995 if len(other) == RAYS else 0.9999)
        assert float((mine - other).abs().max()) < 0.05 * largest


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("features", [2, 3, 4])
def test_compiled_is_the_definition(contracted, features, generator, monkeypatch):
    field = RefinedField(generator, make_settings(contracted, features))
    (ours, gradients), (expected, others) = by_both_backends(monkeypatch, field.step)
    assert ours.samples == expected.samples
    torch.testing.assert_close(ours.loss, expected.loss, rtol=1e-5, atol=0)
    assert len(gradients) == len(field.parameters) + 4
    assert_close(gradients, others)


def test_shares_of_levels_are_the_definition(generator, monkeypatch):
    settings = replace(make_settings(), position_shares=(1.0, 0.25, 0.0))
    field = RefinedField(generator, settings)
    (_, gradients), (_, others) = by_both_backends(monkeypatch, field.step)
    assert_close(gradients, others)
    # Parameters of the field, colours and directions' features do not notice; positions do.
    _, whole = field.step(make_settings())
    same = [torch.allclose(a, b, rtol=1e-4, atol=1e-9) for a, b in zip(gradients, whole, strict=True)]
    assert same == [True] * (len(field.parameters) + 1) + [False, False, True]


def test_gradients_of_the_definition_are_slopes_in_double_precision(generator, monkeypatch):
    force_backend(monkeypatch, "reference")
    field = RefinedField(generator, replace(make_settings(), least_weight=-1.0), dtype=torch.float64)
    _, gradients = field.step()
    transforms = field.rays.transforms
    assert transforms is not None
    to_transforms = gradients[len(field.parameters)]
    direction = uniform(generator, PHOTOS, 3, 4, low=-1, dtype=torch.float64)
    losses = []
    for sign in (1, -1):
        moved = replace(field.rays, transforms=(transforms + sign * 1e-5 * direction).detach())
        step = photometric_step(
            field.table, field.density, field.colour, moved, field.grid, None, None, field.settings
        )
        losses.append(float(step.loss.detach()))
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(float((to_transforms * direction).sum()), rel=1e-6)


def test_an_identity_changes_nothing(generator):
    settings = make_settings()
    field = RefinedField(generator, settings, move=False)
    plain = replace(field.rays, transforms=None, views=None)
    identity = torch.eye(3, 4).repeat(PHOTOS, 1, 1).requires_grad_()
    results = []
    for rays in (plain, replace(field.rays, transforms=identity)):
        field.rays = rays
        results.append(Field.step(field))
    torch.testing.assert_close(results[1][0].loss, results[0][0].loss, rtol=1e-6, atol=0)
    assert torch.equal(results[1][0].sigmas, results[0][0].sigmas)
    for mine, other in zip(results[1][1], results[0][1], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()))


def test_what_shows_behind_is_not_changed(generator, backend):
    field = RefinedField(generator, make_settings())
    field.grid.zero_()
    result = photometric_step(
        field.table, field.density, field.colour, field.rays, field.grid, None, None, field.settings
    )
    expected = (field.rays.behind - field.rays.target).square().mean()
    torch.testing.assert_close(result.loss.detach(), expected)
    gradients = torch.autograd.grad(result.loss, field.refined, allow_unused=True, materialize_grads=True)
    assert all(gradient.count_nonzero() == 0 for gradient in gradients)


def test_threads_change_nothing(generator):
    field = RefinedField(generator, make_settings(True))
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        step, gradients = field.step()
        results.append((step.loss, *gradients))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.skipif(not uses_bfloat16(), reason="this processor has no vector instructions for bfloat16")
def test_narrow_products_are_close(generator):
    field = RefinedField(generator, make_settings(), hidden=64)
    (wide, gradients), (narrow, others) = field.step(), field.step(make_settings(narrow=True))
    assert float(narrow.loss.detach()) == pytest.approx(float(wide.loss.detach()), rel=1e-2)
    for mine, other in zip(others, gradients, strict=True):
        assert float((mine - other).norm() / other.norm()) < 0.1


@pytest.mark.parametrize("contracted", [False, True])
def test_the_way_back_through_the_contraction(contracted, generator):
    from sightline.kernels.compiling import inline
    from sightline.kernels.marching.cpu import from_cube_gradient

    points = uniform(generator, 60, 3, low=-5, high=5, dtype=torch.float64).requires_grad_()
    upstream = uniform(generator, 60, 3, low=-1, dtype=torch.float64)
    (expected,) = torch.autograd.grad(contract(points, contracted), points, upstream)
    call = inline(lambda p, g, c: from_cube_gradient(p[0], p[1], p[2], g[0], g[1], g[2], c))
    arrays = zip(points.detach().float().numpy(), upstream.float().numpy(), strict=True)
    found = torch.tensor([call(p, g, contracted) for p, g in arrays])
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-6)
    assert torch.autograd.gradcheck(lambda p: contract(p, contracted), (points,))
