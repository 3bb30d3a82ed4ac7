"""Fixtures of the kernel tests: both backends, and the numbers of threads."""

import pytest
import torch
from kernel_cases import force_backend

from sightline.kernels import parallel


@pytest.fixture(autouse=True)
def _threads():
    """PyTorch's threads would only wait for each other at these sizes; kernels have their usual number."""
    with parallel.torch_on_one_thread():
        yield
    parallel.set_thread_count(None)


@pytest.fixture(autouse=True)
def _compiled_unless_asked(monkeypatch):
    monkeypatch.delenv("SIGHTLINE_KERNELS", raising=False)


@pytest.fixture(params=["reference", "compiled"])
def backend(request, monkeypatch) -> str:
    """Run a test with the definition, and again with the compiled kernels."""
    force_backend(monkeypatch, request.param)
    return request.param


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
