"""The compiled normalisation against PyTorch's, and what it promises beyond."""

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import force_backend, uniform

from sightline.foundation.errors import InputError
from sightline.kernels import parallel
from sightline.kernels.group_norm import normalise

# Pictures and volumes: few and many of them, of one and of several blocks of places, the last one not full.
SHAPES = [(1, 8, 40, 41), (5, 12, 3, 5), (1, 16, 11, 9, 13), (6, 6, 4, 4, 4), (2, 4, 1, 1)]


def make_case(generator, shape, offset=0.0, dtype=torch.float32):
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x = (uniform(generator, *shape, low=-2) + offset).to(dtype).contiguous(memory_format=layout)
    weight, bias = uniform(generator, shape[1], low=0.5, high=2), uniform(generator, shape[1], low=-0.5)
    upstream = uniform(generator, *shape, low=-1).to(dtype)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), upstream


def run(x, weight, bias, upstream, groups=2):
    y = normalise(x, weight, bias, groups, 0.2)
    return y, torch.autograd.grad(y, (x, weight, bias), upstream)


def expected(x, weight, bias, upstream, groups=2):
    """In float64."""
    wide = [value.detach().double().requires_grad_() for value in (x, weight, bias)]
    y = F.leaky_relu(F.group_norm(wide[0], groups, *wide[1:], 1e-5), 0.2)
    return y, torch.autograd.grad(y, wide, upstream.double())


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_is_the_definition(shape, generator, backend):
    case = make_case(generator, shape)
    y, gradients = run(*case)
    truth, slopes = expected(*case)
    torch.testing.assert_close(y.double(), truth, rtol=1e-5, atol=1e-5)
    for ours, other in zip(gradients, slopes, strict=True):
        # Differences of large sums are lost where there are few places.
        torch.testing.assert_close(ours.double(), other, rtol=1e-4, atol=2e-5 * float(1 + other.abs().max()))


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_bfloat16_is_rounded_once(shape, generator):
    case = make_case(generator, shape, dtype=torch.bfloat16)
    y, gradients = run(*case)
    truth, slopes = expected(*case)
    y, truth = y.detach(), truth.detach()
    assert y.dtype == gradients[0].dtype == torch.bfloat16
    assert gradients[1].dtype == torch.float32
    # The nearest of 8 binary digits, but for a last digit where float32 itself is a hair off.
    assert float((y.double() - truth).abs().max()) <= float(truth.abs().max()) * 2**-8
    assert (y == truth.bfloat16()).float().mean() > 0.99
    for ours, other in zip(gradients, slopes, strict=True):
        torch.testing.assert_close(ours.double(), other, rtol=2**-7, atol=1e-3 * float(1 + other.abs().max()))


def test_a_large_mean_costs_no_digits(generator):
    case = make_case(generator, (4, 8, 30, 30), offset=1000.0)
    truth, slopes = expected(*case)
    y, gradients = run(*case)
    # What float32 holds of 1000 ± 1 is good to 6e-5; squares of 1000 would leave 0.06.
    torch.testing.assert_close(y.double(), truth, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(gradients[1].double(), slopes[1], rtol=1e-2, atol=1e-1)


def test_it_lies_as_it_was_given(generator):
    x, weight, bias, upstream = make_case(generator, (3, 8, 6, 7))
    assert normalise(x, weight, bias, 4, 0.2).is_contiguous(memory_format=torch.channels_last)
    # Gradients may come in another layout: they are read by place.
    gradients = [
        torch.autograd.grad(normalise(x, weight, bias, 4, 0.2), x, given)[0]
        for given in (upstream.contiguous(), upstream.contiguous(memory_format=torch.channels_last))
    ]
    assert torch.equal(*gradients)
    flat = x.detach().contiguous()
    torch.testing.assert_close(normalise(flat, weight, bias, 4, 0.2), normalise(x, weight, bias, 4, 0.2))


@pytest.mark.parametrize("shape", [(1, 8, 70, 71), (5, 12, 30, 31)])
def test_threads_change_nothing(shape, generator):
    case = make_case(generator, shape)
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        y, gradients = run(*case)
        results.append((y, *gradients))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def test_what_is_no_number_is_shown(generator):
    for dtype in (torch.float32, torch.bfloat16):
        x, weight, bias, _ = make_case(generator, (2, 8, 6, 7), dtype=dtype)
        with torch.no_grad():
            x[0, 1, 2, 3] = torch.nan
        y = normalise(x, weight, bias, 4, 0.2)
        assert y[0, :2].isnan().all()
        assert y[0, 2:].isfinite().all()
        assert y[1].isfinite().all()


def test_there_is_no_second_derivative(generator):
    x, weight, bias, _ = make_case(generator, (2, 8, 6, 7))
    with pytest.raises(InputError, match="first derivatives only"):
        torch.autograd.grad(normalise(x, weight, bias, 4, 0.2).sum(), x, create_graph=True)


def test_other_formats_are_served_by_the_definition(generator, monkeypatch):
    x, weight, bias, _ = (value.detach().double() for value in make_case(generator, (2, 8, 6, 7)))
    wide = normalise(x, weight, bias, 4, 0.2)
    assert wide.dtype == torch.float64
    force_backend(monkeypatch, "reference")
    torch.testing.assert_close(normalise(x, weight, bias, 4, 0.2), wide, rtol=0, atol=0)
