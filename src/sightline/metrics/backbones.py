"""VGG-16 and AlexNet up to their last convolution, with the parameter names of torchvision's checkpoints.

A backbone is the list of stages between which LPIPS taps it: each stage ends with a rectified convolution.
Parameters are called `features.N.weight` and `features.N.bias`, where N counts convolutions, rectifiers and
poolings.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

BackboneName = Literal["vgg", "alex"]

_POOL = None
# Output channels of the convolutions, with poolings between (Simonyan and Zisserman 2015, configuration D).
_VGG_16 = [64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL, 512, 512, 512, _POOL, 512, 512, 512]


class Backbone(nn.Module):
    """Convolutional features of a picture, tapped after five of its layers.

    Args:
        layers: `features.0`, `features.1` … in order.
        taps: how many layers each of the five outputs comes after.
        channels: of the five outputs.
        smallest: pixels below which a picture has no features at the last tap.
    """

    def __init__(
        self, layers: list[nn.Module], taps: tuple[int, ...], channels: tuple[int, ...], smallest: int
    ):
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps, self.channels, self.smallest = taps, channels, smallest

    def stages(self) -> Iterator[nn.Module]:
        """The parts between the taps, to be applied one after the other."""
        for start, end in pairwise((0, *self.taps)):
            yield self.features[start:end]

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Compute the features (batch, channels, h, w) at every tap; pictures are normalised for ImageNet."""
        outputs = []
        for stage in self.stages():
            images = stage(images)
            outputs.append(images)
        return outputs


def build_vgg16() -> Backbone:
    """VGG-16: 3x3 convolutions; taps relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in _VGG_16:
        if outputs is _POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
    return Backbone(layers, (4, 9, 16, 23, 30), (64, 128, 256, 512, 512), smallest=16)


def build_alexnet() -> Backbone:
    """AlexNet in its one-column form (Krizhevsky 2014); taps relu1 to relu5."""
    layers = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    return Backbone(layers, (2, 5, 8, 10, 12), (64, 192, 384, 256, 256), smallest=31)


BACKBONES = {"vgg": build_vgg16, "alex": build_alexnet}
