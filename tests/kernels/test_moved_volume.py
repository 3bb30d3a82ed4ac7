"""The compiled moving of volumes against its definition, and what it promises beyond."""

import math

import pytest
import torch
from kernel_cases import by_both_backends, uniform

from sightline.foundation.errors import InputError
from sightline.kernels import parallel
from sightline.kernels.moved_volume import move

SHAPE = (3, 5, 6, 7, 8)


def make_motions(generator, count: int, shift: float = 0.4):
    """Turns about all axes, and shifts that leave part of the volume outside."""
    turns = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator)).Q
    return torch.cat([turns, uniform(generator, count, 3, 1, low=-shift, high=shift)], 2)


def make_volumes(generator, dtype=torch.float32, shape=SHAPE):
    return uniform(generator, *shape, low=-1).to(dtype).requires_grad_()


def moved_and_gradient(volumes, motions, upstream):
    moved = move(volumes, motions)
    (gradient,) = torch.autograd.grad(moved, volumes, upstream.to(moved.dtype))
    return moved, gradient


def test_compiled_is_the_definition(generator, monkeypatch):
    volumes, motions = make_volumes(generator), make_motions(generator, 3)
    results = by_both_backends(monkeypatch, moved_and_gradient, volumes, motions, uniform(generator, *SHAPE))
    (moved, gradient), (truth, slope) = results
    outside = (truth == 0).all(1).float().mean()
    assert 0.05 < outside < 0.7
    torch.testing.assert_close(moved, truth, rtol=0, atol=3e-6)
    torch.testing.assert_close(gradient, slope, rtol=0, atol=2e-5)


def test_narrow_volumes_are_rounded_once(generator, monkeypatch):
    volumes, motions = make_volumes(generator, torch.bfloat16), make_motions(generator, 3)
    upstream = uniform(generator, *SHAPE).bfloat16()
    results = by_both_backends(monkeypatch, moved_and_gradient, volumes, motions, upstream)
    (moved, gradient), (truth, slope) = results
    assert moved.dtype == gradient.dtype == torch.bfloat16
    torch.testing.assert_close(moved.float(), truth.float(), rtol=2**-8, atol=1e-5)
    torch.testing.assert_close(gradient.float(), slope.float(), rtol=2**-7, atol=1e-4)


def test_one_volume_serves_all_motions(generator, backend):
    volume, motions = make_volumes(generator, shape=(1, *SHAPE[1:])), make_motions(generator, 4)
    upstream = uniform(generator, 4, *SHAPE[1:])
    moved, gradient = moved_and_gradient(volume, motions, upstream)
    each, gradients = moved_and_gradient(
        volume.detach().repeat(4, 1, 1, 1, 1).requires_grad_(), motions, upstream
    )
    assert torch.equal(moved, each)
    torch.testing.assert_close(gradient, gradients.sum(0, keepdim=True))


def test_a_volume_that_rests_stays_as_it_is(generator, backend):
    volumes = make_volumes(generator)
    moved = move(volumes, torch.eye(3, 4).repeat(3, 1, 1))
    torch.testing.assert_close(moved, volumes, rtol=0, atol=2e-6)


def test_axes(generator, backend):
    volumes = make_volumes(generator, shape=(1, 2, 4, 4, 4))
    # A shift by one voxel of four is half of a half width; places move, so that content goes the other way.
    for axis in range(3):
        motion = torch.eye(3, 4)[None].clone()
        motion[0, axis, 3] = 0.5
        moved = move(volumes, motion)
        expected = torch.zeros_like(moved)
        expected.narrow(2 + axis, 0, 3).copy_(volumes.detach().narrow(2 + axis, 1, 3))
        torch.testing.assert_close(moved, expected, rtol=0, atol=2e-6)
    # A quarter turn that reads the second axis where the first was.
    motion = torch.tensor([[[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0]]])
    moved = move(volumes, motion)
    torch.testing.assert_close(moved, volumes.transpose(2, 3).flip(2), rtol=0, atol=2e-6)


def test_far_and_broken_places_are_empty(generator, backend):
    volumes = make_volumes(generator, shape=(1, 2, 4, 4, 4))
    far = torch.eye(3, 4)[None].clone()
    far[0, 1, 3] = 1e30
    assert move(volumes, far).count_nonzero() == 0
    if backend == "compiled":
        assert move(volumes, far * math.nan).count_nonzero() == 0


def test_threads_change_nothing(generator):
    volumes, motions = make_volumes(generator), make_motions(generator, 3)
    upstream = uniform(generator, *SHAPE)
    results = []
    for threads in (1, 2, 5):
        parallel.set_thread_count(threads)
        results.append(moved_and_gradient(volumes, motions, upstream))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def test_there_is_no_second_derivative(generator):
    volumes, motions = make_volumes(generator), make_motions(generator, 3)
    with pytest.raises(InputError, match="first derivatives only"):
        torch.autograd.grad(move(volumes, motions).sum(), volumes, create_graph=True)


def test_motions_that_are_learnt_have_gradients(generator):
    motions = make_motions(generator, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(move(make_volumes(generator), motions).square().sum(), motions)
    assert gradient.count_nonzero() == gradient.numel()
