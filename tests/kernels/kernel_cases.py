"""Inputs that several kernel tests share, and the switch between the backends."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sightline.kernels import hash_encoding
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.packed import Intervals, Samples, indices_from_offsets, offsets_from_counts


def force_backend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the public functions run the reference or the compiled kernels."""
    if name == "reference":
        monkeypatch.setenv("SIGHTLINE_KERNELS", "reference")
    else:
        monkeypatch.delenv("SIGHTLINE_KERNELS", raising=False)


def by_both_backends(monkeypatch: pytest.MonkeyPatch, function: Callable, *arguments):
    """What a function gives with the compiled kernels, and with the reference."""
    results = []
    for name in ("compiled", "reference"):
        force_backend(monkeypatch, name)
        results.append(function(*arguments))
    force_backend(monkeypatch, "compiled")
    return results


def uniform(generator: torch.Generator, *shape: int, low=0.0, high=1.0, dtype=torch.float32) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=dtype)


def packed_counts(generator: torch.Generator, rays: int, most: int) -> Tensor:
    """How many elements each ray has; some have none."""
    counts = torch.randint(0, most + 1, (rays,), generator=generator)
    counts[0], counts[-1] = 0, 0
    return counts


def random_bins(generator: torch.Generator, counts: Tensor) -> Intervals:
    """Bins in order along each ray, with gaps between some of them."""
    offsets, total = offsets_from_counts(counts), int(counts.sum())
    pieces = uniform(generator, total, 2, low=0.05, high=0.5)
    pieces[:, 0] *= torch.rand(total, generator=generator) > 0.5
    edges = pieces.double().view(-1).cumsum(0).view(-1, 2)
    return Intervals(offsets, edges[:, 0].float(), edges[:, 1].float())


def random_samples(generator: torch.Generator, counts: Tensor, dtype=torch.float32) -> Samples:
    """Samples in order of distance along each ray."""
    offsets, total = offsets_from_counts(counts), int(counts.sum())
    lengths = uniform(generator, total, low=0.05, high=0.4, dtype=dtype)
    indices = indices_from_offsets(offsets)
    ends = lengths.cumsum(0)
    before = torch.cat([ends.new_zeros(1), ends])[offsets[:-1]][indices]
    return Samples(offsets, 0.5 + ends - before - lengths / 2, lengths, indices)


def empty_samples(rays: int, dtype=torch.float32) -> Samples:
    return random_samples(torch.Generator(), torch.zeros(rays, dtype=torch.int64), dtype)


def encoding_sum(seed: int = 3, count: int = 3000) -> float:
    """A number that depends on every output and table gradient of an encoding, for any process."""
    generator = torch.Generator().manual_seed(seed)
    levels = HashLevels(levels=4, features=2, log2_entries=9, coarsest=4, finest=20)
    table = uniform(generator, levels.entries, 2, low=-1).requires_grad_()
    out = hash_encoding.encode(uniform(generator, count, 3), table, levels)
    (out * uniform(generator, *out.shape)).sum().backward()
    assert table.grad is not None
    return math.fsum(out.detach().flatten().tolist()) + math.fsum(table.grad.abs().flatten().tolist())
