"""Making images smaller, by exact area averaging or as a published system does it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sightline.foundation.errors import InputError

DEFAULT_RULE = "area"


def shrink(image: np.ndarray, width: int, height: int, rule: str | None = None) -> np.ndarray:
    """Make an image smaller; one of the right size is returned as it is.

    Args:
        image: uint8 (h, w), (h, w, 3) or (h, w, 4).
        width: new width in pixels, at most w: enlarging is not for this function.
        height: new height, at most h.
        rule: one of `RESIZE_RULES`, all of which round to 8 bits; `area` where None.
    """
    if image.shape[1] == width and image.shape[0] == height:
        return image
    if width > image.shape[1] or height > image.shape[0]:
        raise ValueError(f"cannot shrink {image.shape[1]}x{image.shape[0]} to {width}x{height}")
    check_resize_rule(rule)
    return RESIZE_RULES[rule or DEFAULT_RULE](image, width, height)


def check_resize_rule(name: str | None) -> None:
    """Refuse a rule that does not exist; InputError lists those that do."""
    if name is not None and name not in RESIZE_RULES:
        raise InputError(
            f"There is no rule of resizing {name!r}",
            where="--resize-rule",
            fix=f"Choose one of: {', '.join(RESIZE_RULES)}",
        )


def area_mean(image: UInt8[np.ndarray, "h w *c"], width: int, height: int) -> Float[np.ndarray, "h2 w2 *c"]:
    """Average by area, each channel for itself and alpha like a colour, without rounding.

    A new pixel is the mean of the old ones under it, parts by share.

    Args:
        image: uint8 (h, w) or (h, w, channels).
        width: new width in pixels.
        height: new height.

    Returns:
        float32 in [0, 1], which bmild, nerf-pytorch and flax_nerf composite as it is.
    """
    return _area_mean(image.astype(np.float32) / np.float32(255), width, height)


def _area(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Average by area; colours of RGBA weighted by alpha: invisible pixels don't bleed into visible ones."""
    if image.ndim == 3 and image.shape[2] == 4:
        values = image.astype(np.float32)
        values[..., :3] *= values[..., 3:]
        values = _area_mean(values, width, height)
        values[..., :3] /= np.maximum(values[..., 3:], 1e-6)
        return _round(values)
    factor = image.shape[1] // width
    if image.shape[1] == width * factor and image.shape[0] == height * factor:
        return np.asarray(Image.fromarray(image).reduce(factor))
    return _round(_area_mean(image.astype(np.float32), width, height))


def _area_straight(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return _round(_area_mean(image.astype(np.float32), width, height))


def _lanczos(image: np.ndarray, width: int, height: int) -> np.ndarray:
    # Pillow weights the colours of RGBA by alpha.
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _box(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def _bilinear(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def pooled_mean(image: Float[np.ndarray, "h w *c"], width: int, height: int) -> Float[np.ndarray, "h2 w2 *c"]:
    """Average all pixels that a new one touches, each with the same weight, as pixelNeRF does.

    At whole factors that is the mean by area; at others, pixels on a border count wholly for both neighbours.

    Args:
        image: (h, w) or (h, w, channels), of any range.
        width: new width in pixels, at most w.
        height: new height, at most h.
    """
    for axis, length in ((0, height), (1, width)):
        old = image.shape[axis]
        if old != length:
            starts = [k * old // length for k in range(length)]
            ends = [-(-(k + 1) * old // length) for k in range(length)]
            rows = [image.take(range(a, b), axis).mean(axis) for a, b in zip(starts, ends, strict=True)]
            image = np.stack(rows, axis)
    return image


def _pooled(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return _round(pooled_mean(image.astype(np.float32), width, height))


RESIZE_RULES: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "area": _area,
    "area-straight": _area_straight,
    "lanczos": _lanczos,
    "box": _box,
    "bilinear": _bilinear,
    "pooled": _pooled,
}
"""rules by name: `area-straight` is of bmild, nerf-pytorch and flax_nerf, `lanczos` of nerf_pl, `pooled` of
pixelNeRF, `bilinear`
(a triangle as wide as the reduction) of Equivariant Neural Rendering"""


def _area_mean(values: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2  # here because importing it takes as long as everything else in this module

    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)


def _round(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
