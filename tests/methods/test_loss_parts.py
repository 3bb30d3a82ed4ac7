"""Gradients that are summed over parts of a batch."""

import pytest
import torch
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.methods.loss_parts import sum_over_parts
from sightline.methods.nerf.config import INFO
from sightline.methods.nerf.optimisation import build_optimiser


def problem() -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    used = torch.randn(4, generator=generator).requires_grad_()
    frozen = torch.randn(4, generator=generator)
    unused = torch.randn(2, generator=generator).requires_grad_()
    values, truth = torch.randn(23, 4, generator=generator), torch.randn(23, generator=generator)
    return [used, frozen, unused], values, truth


@pytest.mark.parametrize("size", [None, 5, 23, 100])
def test_parts_give_the_gradient_of_the_whole(size: int | None) -> None:
    parameters, values, truth = problem()
    used, frozen, unused = parameters

    def look(part: slice) -> tuple[Tensor, int]:
        found = values[part] @ (used * frozen)
        return (found - truth[part]).square().sum() / len(truth), len(found)

    loss, counts = sum_over_parts(look, len(truth), size, parameters)
    assert sum(counts) == 23
    assert len(counts) == (1 if size is None else -(-23 // size))
    whole, _ = look(slice(0, 23))
    torch.testing.assert_close(loss, whole)
    (found,) = torch.autograd.grad(3 * loss, [used], retain_graph=True)
    (expected,) = torch.autograd.grad(3 * whole, [used])
    torch.testing.assert_close(found, expected)
    if size is not None:
        loss.backward()
        assert frozen.grad is None
        assert unused.grad is not None
        assert not unused.grad.any()
        loss, _ = sum_over_parts(look, len(truth), size, parameters)
        with pytest.raises(InputError, match="first derivatives only"):
            torch.autograd.grad(loss, used, create_graph=True)


@pytest.mark.parametrize("size", [None, 5])
def test_what_is_computed_once_for_all_parts_gets_its_gradient(size: int | None) -> None:
    (used, *_), values, truth = problem()

    def look(part: slice, doubled: Tensor) -> tuple[Tensor, int]:
        return (values[part] @ (doubled + used) - truth[part]).square().sum(), len(truth[part])

    doubled = 2 * used
    loss, counts = sum_over_parts(look, len(truth), size, [used], [doubled])
    assert sum(counts) == 23
    (found,) = torch.autograd.grad(loss, [used])
    whole = (values @ (3 * used) - truth).square().sum()
    torch.testing.assert_close(loss, whole)
    torch.testing.assert_close(found, torch.autograd.grad(whole, [used])[0])


def test_without_gradients_a_batch_is_one_part() -> None:
    parameters, values, _ = problem()
    with torch.no_grad():
        _, counts = sum_over_parts(lambda part: (values[part].sum(), part), 23, 5, parameters)
    assert counts == [slice(0, 23)]


def test_the_fused_optimiser_says_that_it_changed_parameters() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimiser = build_optimiser(INFO.build_config(), [parameter])
    parameter.sum().backward()
    before = parameter._version
    optimiser.step()
    assert parameter._version > before
