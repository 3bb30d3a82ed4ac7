import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.kernels import adam, parallel

BETAS = (0.9, 0.99)
# Around the groups of entries that are looked at together, and enough for several threads.
SIZES = [1, 15, 16, 17, 100, 2 * 65536 + 21]


def adam_step(parameter, gradient, first, second, number=1, rate=0.01, eps=1e-15):
    corrections = (1 - BETAS[0] ** number, 1 - BETAS[1] ** number)
    adam.step(parameter, gradient, first, second, rate=rate, betas=BETAS, eps=eps, corrections=corrections)


def sparse_gradient(generator, size, part=0.2):
    gradient = uniform(generator, size, low=-1)
    return gradient * (torch.rand(size, generator=generator) < part)


def test_one_step_by_hand(backend):
    parameter, first, second = torch.tensor([5.0, 5.0]), torch.tensor([0.0, 0.3]), torch.tensor([0.0, 0.7])
    gradient = torch.tensor([2.0, 0.0])
    adam_step(parameter, gradient, first, second, rate=0.1)
    # The first step of Adam has the length of the rate.
    assert parameter.tolist() == pytest.approx([4.9, 5.0])
    assert first.tolist() == pytest.approx([0.2, 0.3])
    assert second.tolist() == pytest.approx([0.04, 0.7])
    assert gradient.tolist() == [0, 0]


def test_eps_is_added_to_the_root(backend):
    parameter = torch.tensor([0.0])
    adam_step(parameter, torch.tensor([2.0]), torch.zeros(1), torch.zeros(1), rate=0.1, eps=3.0)
    assert parameter.item() == pytest.approx(-0.1 * 2 / (2 + 3))


@pytest.mark.parametrize("eps", [1e-15, 1e-8, 0.1])
def test_it_is_adam_where_every_entry_is_touched(backend, generator, eps):
    ours = uniform(generator, 35, 2, low=-1)
    theirs = torch.nn.Parameter(ours.clone())
    optimiser = torch.optim.Adam([theirs], lr=0.01, betas=BETAS, eps=eps)
    first, second = torch.zeros_like(ours), torch.zeros_like(ours)
    for number in range(1, 8):
        gradient = uniform(generator, 35, 2, low=-1)
        theirs.grad = gradient.clone()
        optimiser.step()
        adam_step(ours, gradient, first, second, number, eps=eps)
        assert not gradient.any()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)
    state = optimiser.state[theirs]
    torch.testing.assert_close(first, state["exp_avg"], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(second, state["exp_avg_sq"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", SIZES)
def test_untouched_entries_stay(backend, generator, size):
    parallel.set_thread_count(3)
    before = [uniform(generator, size, low=0.1) for _ in range(3)]
    gradient = sparse_gradient(generator, size)
    gradient[-1] = 0.5
    touched = gradient != 0
    after = [t.clone() for t in before]
    adam_step(after[0], gradient, after[1], after[2], number=3)
    for ours, old in zip(after, before, strict=True):
        assert torch.equal(ours[~touched], old[~touched])
        assert (ours[touched] != old[touched]).all()
    assert not gradient.any()


@pytest.mark.parametrize("size", SIZES)
def test_compiled_is_the_reference(generator, monkeypatch, size):
    start = [uniform(generator, size, low=0.1) for _ in range(3)]
    gradients = [sparse_gradient(generator, size) for _ in range(3)]
    parallel.set_thread_count(3)

    def trained():
        tensors = [t.clone() for t in start]
        for number, gradient in enumerate(gradients, 1):
            adam_step(tensors[0], gradient.clone(), *tensors[1:], number)
        return tensors

    compiled, reference = by_both_backends(monkeypatch, trained)
    for ours, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("place", [0, 16, 37, 39])
def test_a_broken_gradient_is_not_skipped(backend, place):
    parameter, first, second = torch.ones(40), torch.zeros(40), torch.zeros(40)
    gradient = torch.zeros(40)
    gradient[place] = torch.nan
    adam_step(parameter, gradient, first, second)
    others = torch.arange(40) != place
    assert parameter[place].isnan()
    assert (parameter[others] == 1).all()
    assert not gradient.any()


def test_negative_zero_touches_nothing(backend):
    parameter, first, second = torch.ones(16), torch.full((16,), 0.5), torch.full((16,), 0.5)
    adam_step(parameter, torch.full((16,), -0.0), first, second)
    assert (parameter == 1).all()
    assert (first == 0.5).all()


def test_tiny_gradients_count(backend):
    # A subnormal number, the square of which is zero.
    parameter, gradient = torch.ones(20), torch.zeros(20)
    gradient[18] = 1e-40
    first, second = torch.zeros(20), torch.zeros(20)
    adam_step(parameter, gradient, first, second)
    assert first[18] != 0
    assert torch.equal(first.nonzero(), torch.tensor([[18]]))
    assert not gradient.any()


def test_double_precision(generator):
    parameter = torch.ones(50, dtype=torch.float64)
    gradient = sparse_gradient(generator, 50).double()
    touched = gradient != 0
    signs = gradient.sign()
    adam_step(parameter, gradient, torch.zeros_like(parameter), torch.zeros_like(parameter), rate=0.1)
    torch.testing.assert_close(parameter[touched], 1 - 0.1 * signs[touched])
    assert (parameter[~touched] == 1).all()


def test_gradients_are_not_recorded(backend):
    parameter = torch.ones(4, requires_grad=True)
    adam_step(parameter, torch.ones(4), torch.zeros(4), torch.zeros(4), rate=0.1)
    assert parameter.is_leaf
    assert parameter.tolist() == pytest.approx([0.9] * 4)
