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
    """Attend within groups; logits have their scale already.

    Keys and values are met four at a time: so sums do not wait for each other. There may be some of zeros.
    """
    width = keys.shape[1]
    filled = -(-tokens // 4) * 4
    query, own = np.empty((tokens, width), np.float32), np.zeros((filled, width), np.float32)
    value = np.zeros((filled, width), np.float32)
    share, mixed = np.zeros(filled, np.float32), np.empty(width, np.float32)
    for group in range(first, last):
        begin = group * tokens
        for i in range(tokens):
            given, key = entered[begin + i], keys[begin + i]
            rest = given[width:]
            a, b, c = query[i], own[i], value[i]
            for k in range(width):
                a[k] = load(given[k])
            for k in range(width):
                b[k] = load(key[k])
            for k in range(width):
                c[k] = load(rest[k])
        for i in range(tokens):
            a = query[i]
            for j in range(0, filled, 4):
                b0, b1, b2, b3 = own[j], own[j + 1], own[j + 2], own[j + 3]
                t0, t1, t2, t3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for k in range(width):
                    t0 += a[k] * b0[k]
                    t1 += a[k] * b1[k]
                    t2 += a[k] * b2[k]
                    t3 += a[k] * b3[k]
                share[j], share[j + 1], share[j + 2], share[j + 3] = t0, t1, t2, t3
            greatest, whole = np.float32(-np.inf), np.float32(0)
            for j in range(tokens):
                if masked and not seen[group, j]:
                    share[j] = np.float32(-1e9)
                greatest = max(greatest, share[j])
            for j in range(tokens):
                share[j] = np.exp(share[j] - greatest)
                whole += share[j]
            for j in range(tokens, filled):
                share[j] = np.float32(0)
            for k in range(width):
                mixed[k] = np.float32(0)
            for j in range(0, filled, 4):
                c0, c1, c2, c3 = value[j], value[j + 1], value[j + 2], value[j + 3]
                s0, s1 = share[j] / whole, share[j + 1] / whole
                s2, s3 = share[j + 2] / whole, share[j + 3] / whole
                for k in range(width):
                    mixed[k] += (s0 * c0[k] + s1 * c1[k]) + (s2 * c2[k] + s3 * c3[k])
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
