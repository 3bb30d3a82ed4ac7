"""Residual networks for pictures (He et al. 2016) without classifier, with torchvision's parameter names.

ImageNet weights are torchvision's published ones, found locally or downloaded as `foundation.cache` says.
"""

from collections.abc import Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.foundation.cache import Asset, fetch
from sightline.foundation.errors import InputError
from sightline.foundation.tensors import read_tensors

ResNetName = Literal["resnet18", "resnet34"]
STAGES = 4
CHANNELS = (64, 128, 256, 512)
"""of the four stages; the first convolution has as many as the first of them"""
_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_TORCH = "https://download.pytorch.org/models"


def _asset(name: str, sha256: str, size: int) -> Asset:
    file = f"{name}-{sha256[:8]}.pth"
    aliases = (f"{name}.pth", f"{name}.safetensors")
    return Asset(name=file, url=f"{_TORCH}/{file}", sha256=sha256, size=size, aliases=aliases)


ASSETS: dict[str, Asset] = {
    "resnet18": _asset(
        "resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 46_830_571
    ),
    "resnet34": _asset(
        "resnet34", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 87_319_819
    ),
}


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut, which is a 1x1 one where sizes change."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "batch c1 h1 w1"]) -> Float[Tensor, "batch c2 h2 w2"]:
        """Apply the block; with stride 2 sides are halved, rounded up."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """The convolutional part of a residual network.

    Args:
        name: `resnet18` or `resnet34`.
    """

    def __init__(self, name: ResNetName = "resnet34"):
        super().__init__()
        self.name = name
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        inputs = CHANNELS[0]
        for stage, (outputs, count) in enumerate(zip(CHANNELS, _BLOCKS[name], strict=True), start=1):
            blocks = [ResidualBlock(inputs, outputs, 1 if stage == 1 else 2)]
            blocks += [ResidualBlock(outputs, outputs, 1) for _ in range(count - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            inputs = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, number: int) -> nn.Module:
        """Give stage 1 to 4."""
        return getattr(self, f"layer{number}")

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], stages: int = STAGES, first_pool: bool = True
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Compute feature maps (batch, channels, h, w), after the first convolution and each stage.

        Args:
            stages: how many of them, at most `STAGES`.
            first_pool: halve the maps after the first convolution, as the published network does.
        """
        x = functional.relu(self.bn1(self.conv1(images)))
        maps = [x]
        if first_pool and stages:
            x = functional.max_pool2d(x, 3, 2, 1)
        for number in range(1, stages + 1):
            x = self.stage(number)(x)
            maps.append(x)
        return maps

    def load_imagenet(self) -> None:
        """Take the published ImageNet weights.

        Raises:
            UnavailableError: they cannot be had; the message says why and what to do.
            InputError: a local file is broken or of another network.
        """
        copy = fetch(ASSETS[self.name])
        self.load_published(read_tensors(copy.path), where=copy.path)

    def load_published(self, weights: Mapping[str, Tensor], where: object = None) -> None:
        """Take weights with torchvision's names; the classifier's are ignored.

        Raises:
            InputError: an entry is missing or has another shape.
        """
        own = self.state_dict()
        for name, value in own.items():
            given = weights.get(name)
            if given is None and name.endswith("num_batches_tracked"):
                # Files from before PyTorch 0.4.1 have no such entries.
                continue
            if given is None or given.shape != value.shape:
                raise InputError(
                    f"These are not the weights of {self.name}: {name} is missing or has another shape",
                    where=where,
                )
            own[name] = given
        self.load_state_dict(own)
