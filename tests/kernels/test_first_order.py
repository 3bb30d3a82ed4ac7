"""Second derivatives: refused by the compiled kernels, there in the definitions."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import force_backend, random_samples, uniform
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.kernels.compositing import composite
from sightline.kernels.hash_encoding import HashLevels, encode
from sightline.kernels.mlp import perceptron

Case = tuple[Callable[..., Tensor], tuple[Tensor, ...]]


def case(name: str, generator: torch.Generator) -> Case:
    """A differentiable kernel and the tensors it is differentiable in."""
    if name == "perceptron":
        shapes = (6, 4), (5, 4), (3, 5)
        tensors = tuple(uniform(generator, *shape, dtype=torch.float64).requires_grad_() for shape in shapes)
        return (lambda inputs, *weights: perceptron(inputs, list(weights))), tensors
    if name == "encode":
        levels = HashLevels(levels=2, features=2, log2_entries=6, coarsest=2, finest=5)
        table = uniform(generator, levels.entries, 2, dtype=torch.float64).requires_grad_()
        positions = uniform(generator, 4, 3, low=0.1, high=0.9, dtype=torch.float64).requires_grad_()
        return (lambda where, entries: encode(where, entries, levels)), (positions, table)
    samples = random_samples(generator, torch.tensor([3, 0, 3]), torch.float64)
    warped = samples.distances / 9, samples.lengths / 9
    tensors = tuple(
        uniform(generator, *shape, dtype=torch.float64).requires_grad_() for shape in ((6,), (6, 3))
    )

    def sums(sigmas: Tensor, colours: Tensor) -> Tensor:
        found = composite(sigmas, colours, samples, warped)
        return torch.cat([found.colour, found.distortion[:, None]], 1)

    return sums, tensors


names = pytest.mark.parametrize("name", ["perceptron", "composite", "encode"])


@names
@pytest.mark.parametrize("upstream", ["constant", "differentiable"])
def test_second_derivatives_are_refused(name, upstream, generator):
    function, tensors = case(name, generator)
    value = function(*tensors)
    loss = value.sum() if upstream == "constant" else value.square().sum()
    with pytest.raises(InputError, match=r"first derivatives only.*create_graph=True.*SIGHTLINE_KERNELS"):
        torch.autograd.grad(loss, tensors, create_graph=True)


@names
def test_first_derivatives_are_given_again_and_again(name, generator):
    function, tensors = case(name, generator)
    loss = function(*tensors).sum()
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    assert all(gradient.count_nonzero() for gradient in first)
    for one, two in zip(first, torch.autograd.grad(loss, tensors), strict=True):
        assert torch.equal(one, two)


@names
def test_the_definitions_have_them(name, generator, monkeypatch):
    force_backend(monkeypatch, "reference")
    function, tensors = case(name, generator)
    assert torch.autograd.gradgradcheck(function, tensors)
