"""PyTorch's threads would only wait for each other at the sizes of these tests."""

from collections.abc import Iterator

import pytest
from enr_golden import EnrGolden

from sightline.kernels.parallel import torch_on_one_thread


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with torch_on_one_thread():
        yield


@pytest.fixture(scope="session")
def golden(shared) -> EnrGolden:
    return EnrGolden(shared)
