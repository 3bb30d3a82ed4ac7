"""What transformer layers do between their products, against its definition."""

import pytest
import torch

from sightline.kernels import tokens
from sightline.kernels.tokens import reference

WIDTH = 37


def rows(count: int, width: int, seed: int, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def closeness(dtype) -> dict[str, float]:
    # One step of the format apart: both round what is computed in float32.
    return {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 8e-3, "atol": 1e-2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_are_normalised(dtype):
    state, added = rows(150, WIDTH, 0), 2 + rows(150, WIDTH, 1, dtype)
    scale, shift = 1 + rows(1, WIDTH, 2)[0], rows(1, WIDTH, 3)[0]
    expected = state.clone()
    active = reference.add_and_normalise(expected, added, scale, shift, 1e-6)
    found = state.clone()
    mine = tokens.add_and_normalise(found, added, scale, shift, 1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert mine.dtype == dtype
    torch.testing.assert_close(mine.float(), active.float(), **closeness(dtype))
    torch.testing.assert_close(mine, found.to(dtype), rtol=0, atol=0)


def test_a_row_without_variance_is_the_shift():
    state, shift = torch.full((70, WIDTH), 3.0), rows(1, WIDTH, 3)[0]
    tokens.add_and_normalise(state, torch.zeros(70, WIDTH), torch.ones(WIDTH), shift, 1e-6)
    torch.testing.assert_close(state, shift.expand(70, WIDTH), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_few_tokens_attend(dtype, count, masked):
    groups = 30
    entered, keys = (rows(groups * count, width, 4, dtype) for width in (2 * WIDTH, WIDTH))
    seen = None
    if masked:
        seen = rows(groups, count, 5) > 0
        assert count == 1 or 0 < int((~seen.any(1)).sum()) < groups
    expected = reference.attend(entered, keys, seen, count)
    found = tokens.attend(entered, keys, seen, count)
    assert found.dtype == dtype
    assert expected.float().std() > 0.1
    torch.testing.assert_close(found.float(), expected.float(), **closeness(dtype))


def test_all_weigh_the_same_where_none_is_seen():
    entered, keys = rows(6, 2 * WIDTH, 4), rows(6, WIDTH, 5)
    found = tokens.attend(entered, keys, torch.zeros(2, 3, dtype=torch.bool), 3)
    means = entered[:, WIDTH:].view(2, 3, WIDTH).mean(1, keepdim=True).expand(2, 3, WIDTH)
    torch.testing.assert_close(found, means.reshape(6, WIDTH), rtol=1e-5, atol=1e-5)
