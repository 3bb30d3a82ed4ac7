"""Structural similarity with the two windows in use, which give different numbers and are named apart.

`gaussian`: 11x11, sigma 1.5, population covariance (Wang et al. 2004; scikit-image with
`gaussian_weights=True, sigma=1.5, use_sample_covariance=False`). `uniform`: 7x7 box, sample covariance
(scikit-image's defaults). Both use K1 = 0.01, K2 = 0.03, only the positions where the window lies wholly
inside the picture, and the mean over channels.
"""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor

Window = Literal["gaussian", "uniform"]
WINDOW_SIZES = {"gaussian": 11, "uniform": 7}
"""pixels on a side; smaller pictures have no SSIM"""

_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def ssim(
    prediction: Float[Tensor, "*batch height width channels"],
    truth: Float[Tensor, "*batch height width channels"],
    window: Window = "gaussian",
    data_range: float | int = 1.0,
    sample_covariance: bool | None = None,
) -> Float[Tensor, "*batch"]:
    """Mean structural similarity of each picture, in float64; differentiable.

    Args:
        window: `gaussian` or `uniform`, as the module says.
        data_range: the largest difference that values can have: 1 for pictures in [0, 1].
        sample_covariance: whether (co)variances are unbiased, n / (n - 1) times larger; where not given, they
            are for `uniform` and are not for `gaussian`.

    Raises:
        ValueError: the picture is smaller than the window.
    """
    size = WINDOW_SIZES[window]
    if min(prediction.shape[-3:-1]) < size:
        raise ValueError(f"SSIM needs {size}x{size} pixels or more, not {tuple(prediction.shape[-3:-1])}")
    return ssim_map(prediction, truth, window, data_range, sample_covariance).mean((-3, -2, -1))


def ssim_map(
    prediction: Float[Tensor, "*batch height width channels"],
    truth: Float[Tensor, "*batch height width channels"],
    window: Window = "gaussian",
    data_range: float | int = 1.0,
    sample_covariance: bool | None = None,
) -> Float[Tensor, "*batch inner_height inner_width channels"]:
    """Structural similarity around each pixel whose window lies inside (Wang et al. 2004, eq. 13)."""
    x, y = prediction.double(), truth.double()
    weights = _weights(window)
    mean_x, mean_y = _filter(x, weights), _filter(y, weights)
    unbiased = window == "uniform" if sample_covariance is None else sample_covariance
    samples = len(weights) ** 2
    factor = samples / (samples - 1) if unbiased else 1.0
    variance_x = factor * (_filter(x * x, weights) - mean_x * mean_x)
    variance_y = factor * (_filter(y * y, weights) - mean_y * mean_y)
    covariance = factor * (_filter(x * y, weights) - mean_x * mean_y)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance * structure


def _weights(window: Window) -> list[float]:
    size = WINDOW_SIZES[window]
    if window == "uniform":
        return [1 / size] * size
    falls = [math.exp(-0.5 * ((i - size // 2) / _SIGMA) ** 2) for i in range(size)]
    return [fall / sum(falls) for fall in falls]


def _filter(image: Tensor, weights: list[float]) -> Tensor:
    # Shifted sums along one axis, then the other: PyTorch's float64 convolution unfolds the picture in memory
    # instead.
    for axis in (-3, -2):
        length = image.shape[axis] - len(weights) + 1
        total = image.narrow(axis, 0, length) * weights[0]
        for shift, weight in enumerate(weights[1:], start=1):
            total.add_(image.narrow(axis, shift, length), alpha=weight)
        image = total
    return image
