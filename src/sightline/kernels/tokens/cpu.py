"""What a transformer layer does between its products in Numba: rows, and groups of few rows, in cache."""

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import FAST_REDUCTION, kernel
from sightline.kernels.formats import as_array, like, load

_ROWS, _GROUPS = 64, 8
"""least numbers of rows and of groups that a thread is given"""


@kernel(
    "void(float32[:,::1], T[:,::1], float32[::1], float32[::1], float32, T[:,::1], int64, int64)",
    FAST_REDUCTION,
)
def _add_and_normalise(state, added, scale, shift, epsilon, active, first, last):
    """Add to rows, bring them to a mean of 0 and a variance of 1, then to a scale and a shift."""
    width = state.shape[1]
    for n in range(first, last):
        row, more, out = state[n], added[n], active[n]
        total = np.float32(0)
        for k in range(width):
            value = row[k] + load(more[k])
            row[k] = value
            total += value
        mean = total / np.float32(width)
        total = np.float32(0)
        for k in range(width):
            apart = row[k] - mean
            total += apart * apart
        factor = np.float32(1) / np.sqrt(total / np.float32(width) + epsilon)
        for k in range(width):
            row[k] = (row[k] - mean) * factor * scale[k] + shift[k]
        for k in range(width):
            out[k] = like(out[k], row[k])


@kernel("void(T[:,::1], T[:,::1], boolean[:,::1], boolean, int64, T[:,::1], int64, int64)", FAST_REDUCTION)
def _attend(entered, keys, seen, masked, tokens, out, first, last):
    """Attend within groups; logits have their scale already."""
    width = keys.shape[1]
    query, own, value = (
        np.empty((tokens, width), np.float32),
        np.empty((tokens, width), np.float32),
        np.empty((tokens, width), np.float32),
    )
    share, mixed = np.empty(tokens, np.float32), np.empty(width, np.float32)
    for group in range(first, last):
        begin = group * tokens
        for i in range(tokens):
            given, key = entered[begin + i], keys[begin + i]
            a, b, c = query[i], own[i], value[i]
            for k in range(width):
                a[k] = load(given[k])
            for k in range(width):
                b[k] = load(key[k])
            rest = given[width:]
            for k in range(width):
                c[k] = load(rest[k])
        for i in range(tokens):
            a = query[i]
            greatest = np.float32(-np.inf)
            for j in range(tokens):
                b, total = own[j], np.float32(0)
                for k in range(width):
                    total += a[k] * b[k]
                if masked and not seen[group, j]:
                    total = np.float32(-1e9)
                share[j] = total
                greatest = max(greatest, total)
            whole = np.float32(0)
            for j in range(tokens):
                share[j] = np.exp(share[j] - greatest)
                whole += share[j]
            for k in range(width):
                mixed[k] = np.float32(0)
            for j in range(tokens):
                part, c = share[j] / whole, value[j]
                for k in range(width):
                    mixed[k] += part * c[k]
            to = out[begin + i]
            for k in range(width):
                to[k] = like(to[k], mixed[k])


def add_and_normalise(
    state: Tensor, added: Tensor, scale: Tensor, shift: Tensor, epsilon: float, active: Tensor
) -> None:
    """Write state (n, width) float32 and active (n, width)."""
    added_, active_ = as_array(added), as_array(active)
    limits = scale.detach().numpy(), shift.detach().numpy(), np.float32(epsilon)
    work = _add_and_normalise.compiled(added_.dtype)
    parallel.over_ranges(work, len(state), state.numpy(), added_, *limits, active_, least=_ROWS)


def attend(entered: Tensor, keys: Tensor, seen: Tensor | None, tokens: int, out: Tensor) -> None:
    """Write out (groups · tokens, width)."""
    groups, masked = len(keys) // tokens, seen is not None
    mask = np.ones((0, tokens), np.bool_) if seen is None else seen.contiguous().numpy()
    arrays = as_array(entered), as_array(keys), mask, masked, tokens, as_array(out)
    parallel.over_ranges(_attend.compiled(arrays[0].dtype), groups, *arrays, least=_GROUPS)
