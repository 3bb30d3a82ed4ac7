"""What pixels and what is around them look like: patch embeddings (GPNR, Suhail et al. 2022, section 3.2)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

from sightline.methods.gpnr.epipolar import Places
from sightline.networks.attention import lecun

# Mean and deviation of ImageNet's colours (He et al. 2016).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Describe = Callable[[Places], Float[Tensor, "views rays samples features"]]
"""gives the features of pixels of the source views"""


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

    def forward(self, picture: Num[Tensor, "h w 3"]) -> Float[Tensor, "h w features"]:
        """Describe all pixels of a picture.

        Beyond its border a picture is zero, and the convolutions go on there as far as later ones see.

        Args:
            picture: in [0, 1], or uint8.
        """
        x = self._normalised(_to_float(picture)).permute(2, 0, 1)
        left = self.reach * len(self.convolutions)
        described, layer = [], functional.pad(x, (left,) * 4)[None]
        for convolution in self.convolutions:
            layer = convolution(layer).relu()
            left -= self.reach
            described.append(layer[0, :, left : layer.shape[-2] - left, left : layer.shape[-1] - left])
        # The features of a pixel lie side by side, as they are asked for.
        return torch.cat([*described, x]).permute(1, 2, 0).contiguous()

    def colours(self, features: Float[Tensor, "*n features"]) -> Float[Tensor, "*n 3"]:
        """Give the colours in [0, 1] that are part of features."""
        colours = features[..., -3:]
        if not self.imagenet_colours:
            return colours
        return (colours * colours.new_tensor(_DEVIATION) + colours.new_tensor(_MEAN)).clamp(0, 1)

    def serves_few(self, pictures: Sequence[Num[Tensor, "_ _ 3"]], places: int) -> bool:
        """Say whether `cut` computes less than maps of the pictures do, for so many pixels altogether."""
        convolved = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
        return len(self.convolutions) == 1 and places < convolved

    def cut(self, pictures: Sequence[Num[Tensor, "_ _ 3"]]) -> Describe:
        """Describe pixels by their patches alone: a convolution is a product with them.

        Args:
            pictures: as `forward` takes them; their sizes may differ.
        """
        (convolution,) = self.convolutions
        assert isinstance(convolution, nn.Conv2d)
        side, reach = 2 * self.reach + 1, self.reach
        weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)
        windows = []
        for picture in pictures:
            # Bytes stay bytes until their patches are cut.
            x = self._normalised(_to_float(picture)) if self.imagenet_colours else picture
            padded = functional.pad(x, (0, 0, reach, reach, reach, reach))
            windows.append(padded.unfold(0, side, 1).unfold(1, side, 1).permute(0, 1, 3, 4, 2))

        def describe(places: Places) -> Tensor:
            patches = torch.stack(
                [
                    window[rows, columns]
                    for window, rows, columns in zip(windows, places.rows, places.columns, strict=True)
                ]
            )
            # The scale of bytes is left to the few weights.
            scale = 1 / 255 if patches.dtype == torch.uint8 else 1.0
            values = patches.flatten(-3).float()
            layer = functional.linear(values, weight * scale, convolution.bias).relu()
            return torch.cat([layer, _to_float(patches[..., reach, reach, :])], -1)

        return describe

    def _normalised(self, colours: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        if not self.imagenet_colours:
            return colours
        return (colours - colours.new_tensor(_MEAN)) / colours.new_tensor(_DEVIATION)


def from_maps(maps: Sequence[Float[Tensor, "_ _ features"]]) -> Describe:
    """Look features up in what `PatchFeatures` gave for each view."""

    def describe(places: Places) -> Tensor:
        found = [
            features[rows, columns]
            for features, rows, columns in zip(maps, places.rows, places.columns, strict=True)
        ]
        return torch.stack(found)

    return describe


def _to_float(colours: Tensor) -> Tensor:
    return colours.float() / 255 if colours.dtype == torch.uint8 else colours
