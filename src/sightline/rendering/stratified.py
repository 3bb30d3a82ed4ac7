"""Depths at which rays are sampled: evenly spread, moved at random, and drawn from a histogram of weights.

Notation, fixed for all functions: t (rays, samples) are sample depths in rising order; edges are limits of
histogram bins; weights belong to the bins between edges and need not sum to 1. NeRF calls the two steps
stratified and hierarchical sampling (Mildenhall et al. 2020, eq. 2 and section 5.2).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Guard = Literal["add", "clip"]

_LEAST_SHARE = 1e-5
"""bins with less of the weight than this are not interpolated in, only begun"""


def spread_depths(
    near: Float[Tensor, "rays"], far: Float[Tensor, "rays"], count: int, disparity: bool = False
) -> Float[Tensor, "rays {count}"]:
    """Spread depths evenly from near to far, both included, in depth or (`disparity`) in its inverse."""
    s = torch.linspace(0, 1, count, dtype=near.dtype, device=near.device)
    near, far = near[:, None], far[:, None]
    if disparity:
        return 1 / ((1 - s) / near + s / far)
    return near * (1 - s) + far * s


def midpoints(t: Float[Tensor, "rays n"]) -> Float[Tensor, "rays n-1"]:
    """Give the middles of neighbouring depths."""
    return (t[:, 1:] + t[:, :-1]) / 2


def jitter_in_strata(
    t: Float[Tensor, "rays n"], uniform: Float[Tensor, "rays n"], magnitude: float = 1.0
) -> Float[Tensor, "rays n"]:
    """Move each depth within its stratum, which reaches half-way to its neighbours.

    Args:
        uniform: random numbers in [0, 1).
        magnitude: part of the stratum, from its lower end, that a depth may move to.
    """
    middle = midpoints(t)
    lower = torch.cat([t[:, :1], middle], -1)
    upper = torch.cat([middle, t[:, -1:]], -1)
    return lower + (upper - lower) * (magnitude * uniform)


def jitter_onwards(
    t: Float[Tensor, "rays n"], uniform: Float[Tensor, "rays n"], magnitude: float = 1.0
) -> Float[Tensor, "rays n"]:
    """Move each depth onwards by a random part of range / count, as the smallest NeRF programs do."""
    step = (t[:, -1:] - t[:, :1]) / t.shape[1]
    return t + magnitude * uniform * step


def even_places(like: Float[Tensor, "rays bins"], count: int) -> Float[Tensor, "rays {count}"]:
    """Give places 0 to 1, both included, at which every ray's distribution is inverted without chance."""
    places = torch.linspace(0, 1, count, dtype=like.dtype, device=like.device)
    return places.expand(len(like), count)


def invert_histogram(
    edges: Float[Tensor, "rays n"],
    weights: Float[Tensor, "rays n-1"],
    places: Float[Tensor, "rays m"],
    guard: Guard = "add",
    epsilon: float = 1e-5,
) -> Float[Tensor, "rays m"]:
    """Find the depths below which the parts `places` of a histogram's weight lie (inverse transform).

    The cumulative weight ends at exactly 1. In the published programs it ends where rounding leaves it, so
    that a place of 1 may fall one bin short.

    Args:
        places: numbers in [0, 1].
        guard: what keeps empty histograms defined: `epsilon` is added to every weight, or is the least one.

    Returns:
        Depths between the first and the last edge, in the order of `places`, without gradient to the weights.
    """
    weights = weights.detach()
    weights = weights + epsilon if guard == "add" else weights.clamp_min(epsilon)
    share = weights / weights.sum(-1, keepdim=True)
    cumulative = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(-1)], -1)
    cumulative[:, -1] = 1
    last = edges.shape[1] - 1
    found = torch.searchsorted(cumulative, places.contiguous(), right=True)
    below, above = (found - 1).clamp(0, last), found.clamp(0, last)
    low, high = torch.gather(cumulative, 1, below), torch.gather(cumulative, 1, above)
    within = high - low
    within = torch.where(within < _LEAST_SHARE, torch.ones_like(within), within)
    start, end = torch.gather(edges, 1, below), torch.gather(edges, 1, above)
    return start + (places - low) / within * (end - start)
