"""The loss of `enr`: mean difference and structural dissimilarity of pictures."""

import math
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def picture_loss(
    pictures: Float[Tensor, "batch 3 h w"],
    truth: Float[Tensor, "batch 3 h w"],
    kind: Literal["l1", "l2"],
    ssim_weight: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare pictures with values in [0, 1].

    Returns:
        Scalars: the loss, the mean absolute (l1) or squared (l2) difference, and 1 - SSIM (0 without weight).
    """
    difference = pictures - truth
    plain = difference.abs().mean() if kind == "l1" else difference.square().mean()
    if not ssim_weight:
        return plain, plain, torch.zeros_like(plain)
    dissimilarity = 1 - mean_ssim(pictures, truth)
    return plain + ssim_weight * dissimilarity, plain, dissimilarity


def mean_ssim(
    a: Float[Tensor, "batch channels h w"], b: Float[Tensor, "batch channels h w"]
) -> Float[Tensor, ""]:
    """Mean structural similarity in float32 (Wang et al. 2004): 11x11 Gaussian, whole windows only.

    `metrics.ssim` is the same in float64, for results; this one is for gradients.
    """
    maps = _blurred(torch.cat([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, aa, bb, ab = maps.chunk(5)
    squares, product = mean_a.square() + mean_b.square(), mean_a * mean_b
    structure = (2 * (ab - product) + _C2) / (aa + bb - squares + _C2)
    return ((2 * product + _C1) / (squares + _C1) * structure).mean()


def _blurred(maps: Tensor) -> Tensor:
    """Blur (n, channels, h, w) where the window is whole: products with banded matrices.

    Convolutions of single planes are 50 times slower.
    """
    rows, columns = (_band(length).to(maps) for length in maps.shape[-2:])
    return rows @ (maps @ columns.mT)


@lru_cache
def _band(length: int) -> Tensor:
    """Matrix (length - 10, length) whose rows are the window at each place."""
    window = torch.tensor(_gaussian())
    return torch.stack([F.pad(window, (k, length - _WINDOW - k)) for k in range(length - _WINDOW + 1)])


@lru_cache
def _gaussian() -> tuple[float, ...]:
    falls = [math.exp(-0.5 * ((k - _WINDOW // 2) / _SIGMA) ** 2) for k in range(_WINDOW)]
    return tuple(fall / sum(falls) for fall in falls)
