"""Reading maps by the compiled kernels against the definition, and that against PyTorch's grid_sample."""

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import by_both_backends, force_backend, uniform

from sightline.kernels import parallel
from sightline.kernels.feature_maps import add_and_rectify, locate, read

HEIGHT, WIDTH, CHANNELS = 5, 7, 40


def make_case(generator, maps: int = 2, points: int = 150, dtype=torch.float32):
    """Maps, and places of which some are outside and some on the rim."""
    given = uniform(generator, maps, HEIGHT * WIDTH, CHANNELS, low=-1).to(dtype).requires_grad_()
    places = uniform(generator, maps * points, 2, low=-2, high=9)
    places[:4] = torch.tensor([[0.0, 0], [WIDTH - 1, HEIGHT - 1], [WIDTH - 1, 0], [2, 1.5]])
    return given, places


@pytest.mark.parametrize("border", [True, False])
def test_reading_is_grid_sample(border, generator, backend):
    maps, places = make_case(generator)
    found = read(maps, *locate(places, HEIGHT, WIDTH, border))
    upstream = uniform(generator, *found.shape)
    (gradient,) = torch.autograd.grad(found, maps, upstream)
    planes = maps.detach().transpose(1, 2).unflatten(2, (HEIGHT, WIDTH)).requires_grad_()
    grid = places.view(2, -1, 1, 2) / torch.tensor([WIDTH - 1, HEIGHT - 1]) * 2 - 1
    mode = "border" if border else "zeros"
    truth = F.grid_sample(planes, grid, padding_mode=mode, align_corners=True)
    flat = truth[..., 0].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(found, flat, rtol=0, atol=2e-6)
    (slope,) = torch.autograd.grad(flat, planes, upstream)
    torch.testing.assert_close(gradient, slope.flatten(2).transpose(1, 2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("border", [True, False])
def test_places_are_learnt_as_by_grid_sample(border, generator, backend):
    maps, places = make_case(generator)
    # Not on the middle of a cell, where slopes change.
    places = (places + 0.013).requires_grad_()
    found = read(maps, *locate(places, HEIGHT, WIDTH, border))
    upstream = uniform(generator, *found.shape)
    (gradient,) = torch.autograd.grad(found, places, upstream)
    planes = maps.detach().transpose(1, 2).unflatten(2, (HEIGHT, WIDTH))
    grid = places.view(2, -1, 1, 2) / torch.tensor([WIDTH - 1, HEIGHT - 1]) * 2 - 1
    truth = F.grid_sample(planes, grid, padding_mode="border" if border else "zeros", align_corners=True)
    (slope,) = torch.autograd.grad(truth[..., 0].transpose(1, 2).flatten(0, 1), places, upstream)
    assert (slope.abs().amax(1) > 0.1).float().mean() > 0.3
    torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-4)


def test_locating_is_the_definition(generator, monkeypatch):
    places = uniform(generator, 500, 2, low=-3, high=10)
    places[7, 0] = torch.nan
    for border in (True, False):
        ours, truth = by_both_backends(monkeypatch, locate, places, HEIGHT, WIDTH, border)
        used = truth[1] != 0
        assert torch.equal(ours[0][used], truth[0][used])
        torch.testing.assert_close(ours[1], truth[1], rtol=0, atol=1e-6, equal_nan=True)
        assert ours[1][7].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_adding_is_the_definition(dtype, begun, mapped, generator, monkeypatch):
    maps, places = make_case(generator, dtype=dtype)
    cells, shares = locate(places, HEIGHT, WIDTH, True)
    added = uniform(generator, len(places), 16, low=-1).to(dtype)
    state = uniform(generator, len(places), 16, low=-1) if begun else None

    def add():
        given = None if state is None else state.clone()
        features = (maps.detach(), (cells, shares), 8) if mapped else ()
        return add_and_rectify(given, added, *features)

    (ours, active), (truth, rectified) = by_both_backends(monkeypatch, add)
    assert (rectified == 0).float().mean() > 0.2
    torch.testing.assert_close(ours, truth, rtol=0, atol=2e-6)
    torch.testing.assert_close(active.float(), rectified.float(), rtol=2**-8, atol=2e-6)


def test_narrow_maps(generator, monkeypatch):
    maps, places = make_case(generator, dtype=torch.bfloat16)
    where = locate(places, HEIGHT, WIDTH, True)
    upstream = uniform(generator, len(places), CHANNELS).bfloat16()
    found = read(maps, *where)
    (gradient,) = torch.autograd.grad(found, maps, upstream)
    force_backend(monkeypatch, "reference")
    wide = maps.detach().float().requires_grad_()
    truth = read(wide, *where)
    (slope,) = torch.autograd.grad(truth, wide, upstream.float())
    assert found.dtype == gradient.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), truth, rtol=2**-8, atol=1e-6)
    torch.testing.assert_close(gradient.float(), slope, rtol=2**-7, atol=1e-4)


def test_threads_change_nothing(generator):
    maps, places = make_case(generator, points=400)
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        found = read(maps, *locate(places, HEIGHT, WIDTH, True))
        results.append((found, *torch.autograd.grad(found.square().sum(), maps)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))
