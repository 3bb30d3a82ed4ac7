"""What pixels and what is around them look like: patch embeddings (GPNR, Suhail et al. 2022, section 3.2)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.networks.attention import lecun

# Mean and deviation of ImageNet's colours (He et al. 2016).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PatchFeatures(nn.Module):
    """Convolutions whose outputs, and the colour itself, describe each pixel.

    Args:
        channels: of the convolutions, one after the other.
        side: of their windows, odd.
        imagenet_colours: bring colours to ImageNet's mean and deviation first.
    """

    def __init__(self, channels: Sequence[int], side: int, imagenet_colours: bool):
        super().__init__()
        inputs = (3, *channels)
        self.convolutions = nn.ModuleList(
            lecun(nn.Conv2d(before, count, side)) for before, count in zip(inputs, channels, strict=False)
        )
        self.width = sum(channels) + 3
        self.reach = side // 2
        self.imagenet_colours = imagenet_colours

    def forward(self, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n features h w"]:
        """Describe the pixels of pictures in [0, 1].

        Beyond its border a picture is zero, and the convolutions go on there as far as later ones see.
        """
        x = pictures
        if self.imagenet_colours:
            x = (x - x.new_tensor(_MEAN)[:, None, None]) / x.new_tensor(_DEVIATION)[:, None, None]
        left = self.reach * len(self.convolutions)
        described, layer = [], functional.pad(x, (left,) * 4)
        for convolution in self.convolutions:
            layer = convolution(layer).relu()
            left -= self.reach
            described.append(layer[..., left : layer.shape[-2] - left, left : layer.shape[-1] - left])
        return torch.cat([*described, x], 1)

    def colours(self, features: Float[Tensor, "*n features"]) -> Float[Tensor, "*n 3"]:
        """Give the colours in [0, 1] that are part of features."""
        colours = features[..., -3:]
        if not self.imagenet_colours:
            return colours
        return (colours * colours.new_tensor(_DEVIATION) + colours.new_tensor(_MEAN)).clamp(0, 1)
