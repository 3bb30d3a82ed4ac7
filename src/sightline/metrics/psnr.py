"""Mean squared error and peak signal-to-noise ratio."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mean_squared_error(
    prediction: Float[Tensor, "*batch height width channels"],
    truth: Float[Tensor, "*batch height width channels"],
    counted: Bool[Tensor, "*batch height width"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Average the squared difference over the pixels and channels of each picture, in float64.

    Args:
        counted: the pixels that count; all of them where not given. NaN where a picture has none.
    """
    squares = (prediction.double() - truth.double()).square()
    if counted is None:
        return squares.mean((-3, -2, -1))
    total = torch.where(counted[..., None], squares, 0.0).sum((-3, -2, -1))
    return total / (counted.sum((-2, -1)) * squares.shape[-1])


def psnr_from_mse(mse: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Turn mean squared errors of pictures in [0, 1] into decibels: -10 log10(mse); infinite for zero."""
    return -10 * torch.log10(mse)


def psnr(
    prediction: Float[Tensor, "*batch height width channels"],
    truth: Float[Tensor, "*batch height width channels"],
    counted: Bool[Tensor, "*batch height width"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Peak signal-to-noise ratio of pictures in [0, 1], in dB; infinite for identical pictures.

    Args:
        counted: the pixels that count; all of them where not given.

    Example:
        >>> psnr(torch.full((4, 4, 3), 0.6), torch.full((4, 4, 3), 0.5)).item()  # doctest: +ELLIPSIS
        19.99...
    """
    return psnr_from_mse(mean_squared_error(prediction, truth, counted))
