from dataclasses import replace

import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.foundation.errors import InputError
from sightline.kernels import parallel
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.marching import MarchSettings
from sightline.kernels.mlp import uses_bfloat16
from sightline.kernels.photometric import PhotometricRays, PhotometricSettings, photometric_step
from sightline.kernels.sampling import SamplerSettings

RAYS = 700


def make_settings(contracted: bool = False, features: int = 4, narrow: bool = False) -> PhotometricSettings:
    return PhotometricSettings(
        levels=HashLevels(levels=3, features=features, log2_entries=9, coarsest=4, finest=16),
        marching=MarchSettings(contracted, step=0.1, near=0.05, far=8.0, threshold=0.3, largest=0.9),
        sampling=SamplerSettings(samples=6, per_bin=3, floor=0.3),
        seed=11,
        least_weight=0.04,
        largest_log_density=11.0,
        narrow=narrow,
    )


class Field:
    """A field with random parameters, and rays through it."""

    def __init__(self, generator: torch.Generator, settings: PhotometricSettings, hidden: int = 16):
        def matrix(rows: int, columns: int) -> torch.Tensor:
            return uniform(generator, rows, columns, low=-1).mul_(1.5 / columns**0.5).requires_grad_()

        levels = settings.levels
        self.settings = settings
        self.table = uniform(generator, levels.entries, levels.features, low=-1).requires_grad_()
        self.density = [matrix(hidden, levels.width), matrix(8, hidden)]
        self.colour = [matrix(hidden, 8 + 5), matrix(hidden, hidden), matrix(3, hidden)]
        self.rays = PhotometricRays(
            origins=uniform(generator, RAYS, 3, low=-1.5, high=1.5),
            directions=torch.nn.functional.normalize(uniform(generator, RAYS, 3, low=-1), dim=-1),
            features=uniform(generator, RAYS, 5, low=-1),
            target=uniform(generator, RAYS, 3),
            behind=uniform(generator, RAYS, 3),
        )
        self.grid = uniform(generator, 16, 16, 16)

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [self.table, *self.density, *self.colour]

    def loss(self) -> float:
        """The loss alone."""
        grid, settings = self.grid, self.settings
        step = photometric_step(self.table, self.density, self.colour, self.rays, grid, None, None, settings)
        return float(step.loss.detach())

    def step(self, settings: PhotometricSettings | None = None):
        """The step, and the gradients to all parameters."""
        result = photometric_step(
            self.table, self.density, self.colour, self.rays, self.grid, None, None, settings or self.settings
        )
        return result, torch.autograd.grad(result.loss, self.parameters)


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("features", [2, 3, 4])
def test_compiled_is_the_definition(contracted, features, generator, monkeypatch):
    field = Field(generator, make_settings(contracted, features))
    (ours, gradients), (expected, others) = by_both_backends(monkeypatch, field.step)
    assert ours.samples == expected.samples
    # Some samples are dropped, most are not.
    assert 0.3 * len(expected.points) < expected.samples < len(expected.points)
    torch.testing.assert_close(ours.loss, expected.loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours.points, expected.points, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.sigmas, expected.sigmas, rtol=2e-3, atol=1e-4)
    for mine, other in zip(gradients, others, strict=True):
        assert float(other.abs().max()) > 0
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=2e-4 * float(other.abs().max()))


def test_gradients_are_slopes_of_the_loss(generator):
    # Without dropping, and with jitter fixed by the seed, the loss is a smooth function of the parameters.
    field = Field(generator, replace(make_settings(), least_weight=-1.0))
    _, gradients = field.step()
    for parameter, gradient in zip(field.parameters, gradients, strict=True):
        way = gradient / gradient.norm()
        size = 2e-2 * float(parameter.detach().norm()) / parameter.numel() ** 0.5
        with torch.no_grad():
            parameter += size * way
            after = field.loss()
            parameter -= 2 * size * way
            before = field.loss()
            parameter += size * way
        assert (after - before) / (2 * size) == pytest.approx(float(gradient.norm()), rel=0.05)


def test_threads_change_nothing(generator):
    field = Field(generator, make_settings())
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        step, gradients = field.step()
        results.append((step.loss, step.points, step.sigmas, *gradients))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.skipif(not uses_bfloat16(), reason="this processor has no vector instructions for bfloat16")
def test_narrow_products_are_close(generator):
    field = Field(generator, make_settings(), hidden=64)
    (wide, gradients), (narrow, others) = field.step(), field.step(make_settings(narrow=True))
    assert float(narrow.loss) != float(wide.loss)
    assert float(narrow.loss) == pytest.approx(float(wide.loss), rel=1e-2)
    for mine, other in zip(others, gradients, strict=True):
        assert float((mine - other).norm() / other.norm()) < 0.05


def test_a_loss_is_scaled(generator):
    field = Field(generator, make_settings())
    result, gradients = field.step()
    result = photometric_step(
        field.table, field.density, field.colour, field.rays, field.grid, None, None, field.settings
    )
    tripled = torch.autograd.grad(3 * result.loss, field.parameters)
    for mine, other in zip(tripled, gradients, strict=True):
        torch.testing.assert_close(mine, 3 * other)


def test_rays_that_meet_nothing_show_what_is_behind(generator, backend):
    field = Field(generator, make_settings())
    field.grid.zero_()
    result, gradients = field.step()
    expected = (field.rays.behind - field.rays.target).square().mean()
    torch.testing.assert_close(result.loss.detach(), expected)
    assert (result.samples, len(result.points), len(result.sigmas)) == (0, 0, 0)
    assert all(gradient.count_nonzero() == 0 for gradient in gradients)


def test_there_is_no_second_derivative(generator):
    field = Field(generator, make_settings())
    result = photometric_step(
        field.table, field.density, field.colour, field.rays, field.grid, None, None, field.settings
    )
    with pytest.raises(InputError, match="first derivatives only"):
        torch.autograd.grad(result.loss, field.table, create_graph=True)
