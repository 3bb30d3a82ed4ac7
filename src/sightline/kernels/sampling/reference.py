"""Placing samples by an opacity grid in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.importance import reference as importance
from sightline.kernels.marching import MarchSettings
from sightline.kernels.marching import reference as marching
from sightline.kernels.packed import Samples
from sightline.kernels.sampling.settings import SamplerSettings
from sightline.kernels.visibility import reference as visibility

_WORD = 0xFFFFFFFF


def jitter(seed: int, indices: Tensor) -> Tensor:
    """Numbers in [0, 1), float32, that depend on `seed` and each index alone, so on no order of work.

    The finaliser of MurmurHash3 (Appleby, public domain) on 32-bit words.
    """
    x = (indices * 0x9E3779B9 + seed) & _WORD
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _WORD
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _WORD
    x = x ^ (x >> 16)
    return (x >> 8).float() * 2.0**-24


def sample(
    origins: Tensor,
    directions: Tensor,
    opacity: Tensor,
    marching_settings: MarchSettings,
    settings: SamplerSettings,
    seed: int | None,
) -> Samples:
    """Place samples along rays; see `sightline.kernels.sampling.sample`."""
    bins, opacities = marching.march(origins, directions, opacity, marching_settings)
    weights, opaque = visibility.bin_weights(
        bins, opacities, marching_settings.largest, marching_settings.least_transmittance, settings.floor
    )
    wanted = torch.ceil(settings.samples * opaque.clamp(max=1)).long()
    counts = torch.minimum(wanted, bins.counts * settings.per_bin)
    if seed is None:
        place = weights.new_full((int(counts.sum()),), 0.5)
    else:
        rays = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        first = (counts.cumsum(0) - counts)[rays]
        within = torch.arange(len(rays), device=counts.device) - first
        place = jitter(seed, rays * settings.samples + within).to(weights.dtype)
    return importance.resample(bins, weights, counts, place)
