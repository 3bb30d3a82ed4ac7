"""Changing the colours of a scene at random, in all of its views alike (Yu et al. 2021, B.2.3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class ColourChange:
    """One change; all zeros and ones leave colours as they are."""

    hue: float = 0.0
    """turn of the colour circle, 1 is all of it"""
    saturation: float = 1.0
    brightness: float = 1.0
    contrast: float = 1.0

    @classmethod
    def draw(cls, strength: float, generator: torch.Generator) -> "ColourChange":
        """Draw each number from an interval of half-width `strength` around no change."""
        hue, *others = ((2 * torch.rand(4, generator=generator) - 1) * strength).tolist()
        return cls(hue, *(1 + change for change in others))

    def __call__(
        self, images: Float[Tensor, "views 3 height width"]
    ) -> Float[Tensor, "views 3 height width"]:
        """Change pictures in [-1, 1]: saturation, hue, contrast, then brightness."""
        rgb = images * 0.5 + 0.5
        rgb = _blend(rgb, _grey(rgb), self.saturation)
        rgb = _turn_hue(rgb, self.hue)
        rgb = _blend(rgb, _grey(rgb).mean((-3, -2, -1), keepdim=True), self.contrast)
        rgb = _blend(rgb, torch.zeros_like(rgb), self.brightness)
        return (rgb - 0.5) / 0.5


def _blend(first: Tensor, second: Tensor, share: float) -> Tensor:
    return (share * first + (1 - share) * second).clamp(0, 1)


def _grey(rgb: Tensor) -> Tensor:
    red, green, blue = rgb.unbind(-3)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).unsqueeze(-3)


def _turn_hue(rgb: Tensor, turn: float) -> Tensor:
    """Turn the hue of the hexagonal colour model (Smith 1978), keeping saturation and value."""
    value, least = rgb.amax(-3), rgb.amin(-3)
    chroma = value - least
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    red, green, blue = rgb.unbind(-3)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sector = torch.where(chroma == 0, torch.zeros_like(sector), sector)
    hue = (sector / 6 + turn) % 1.0 * 6
    # Each channel rises and falls between `least` and `value` around the circle.
    offsets = torch.tensor([5.0, 3.0, 1.0], dtype=rgb.dtype, device=rgb.device).view(3, 1, 1)
    k = (offsets + hue.unsqueeze(-3)) % 6
    weight = torch.minimum(k, 4 - k).clamp(0, 1)
    return value.unsqueeze(-3) - chroma.unsqueeze(-3) * weight
