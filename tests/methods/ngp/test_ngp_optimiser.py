"""Adam for hash tables."""

import pytest
import torch

from sightline.kernels.buffers import ZeroedBuffers
from sightline.methods.ngp import optimiser as optimiser_module
from sightline.methods.ngp.optimiser import HashAdam


def gradients(count: int, shape: tuple[int, ...], holes: float = 0.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    made = [torch.randn(shape, generator=generator) for _ in range(count)]
    touched = torch.rand(shape, generator=generator) >= holes
    return [gradient * touched for gradient in made]


def walk(optimiser: torch.optim.Optimizer, parameter: torch.Tensor, steps: list[torch.Tensor]) -> None:
    for gradient in steps:
        parameter.grad = gradient.clone()
        optimiser.step()


def test_touched_entries_move_as_in_torch_and_others_stay() -> None:
    start = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    steps = gradients(6, (300, 2), holes=0.4)
    touched = steps[0] != 0
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    walk(HashAdam([ours], lr=0.03), ours, steps)
    walk(torch.optim.Adam([theirs], lr=0.03, betas=(0.9, 0.99), eps=1e-15), theirs, steps)
    torch.testing.assert_close(ours[touched], theirs[touched], atol=1e-6, rtol=1e-5)
    assert torch.equal(ours[~touched], start[~touched])
    assert not torch.equal(ours[touched], start[touched])


def test_groups_have_their_own_rates() -> None:
    slow, fast = (torch.nn.Parameter(torch.zeros(4)) for _ in range(2))
    optimiser = HashAdam([{"params": [slow]}, {"params": [fast], "lr": 0.5}], lr=0.01)
    slow.grad, fast.grad = torch.ones(4), -torch.ones(4)
    optimiser.step()
    # Adam's first step is the learning rate itself.
    torch.testing.assert_close(slow.detach(), torch.full((4,), -0.01))
    torch.testing.assert_close(fast.detach(), torch.full((4,), 0.5))


def test_gradient_buffers_of_large_tables_come_back_as_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = ZeroedBuffers()
    monkeypatch.setattr(optimiser_module, "zeroed_buffers", buffers)
    table = torch.nn.Parameter(torch.zeros(1 << 17, 2))
    gradient = torch.ones(1 << 17, 2)
    table.grad = gradient
    HashAdam([table], lr=0.01).step()
    assert table.grad is None
    again = buffers.take(table)
    assert again.data_ptr() == gradient.data_ptr()
    assert not again.any()
    # It belongs to its taker alone now.
    assert buffers.take(table).data_ptr() != gradient.data_ptr()


def test_views_into_others_buffers_stay_in_place_and_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = ZeroedBuffers()
    monkeypatch.setattr(optimiser_module, "zeroed_buffers", buffers)
    bucket = torch.ones((1 << 18) + 8)
    table = torch.nn.Parameter(torch.zeros(1 << 18))
    table.grad = bucket[: 1 << 18]
    HashAdam([table], lr=0.01).step()
    assert table.grad is not None
    assert table.grad.data_ptr() == bucket.data_ptr()
    assert bucket.sum() == 8


def test_a_loaded_state_goes_on_identically() -> None:
    start, steps = torch.ones(50, 2), gradients(8, (50, 2), holes=0.2)
    through, first = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    walk(HashAdam([through], lr=0.02), through, steps)
    before = HashAdam([first], lr=0.02)
    walk(before, first, steps[:5])
    second = torch.nn.Parameter(first.detach().clone())
    after = HashAdam([second], lr=0.7)
    after.load_state_dict(before.state_dict())
    walk(after, second, steps[5:])
    assert torch.equal(second, through)
