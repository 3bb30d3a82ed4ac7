"""Residual networks of convolutions in two and three dimensions, with group normalisation or without.

They are those of Equivariant Neural Rendering (Dupont et al. 2020), and parameters keep the names of its
published files: `forward_layers.<i>` counts activations too. Without normalisation, weights begin so that
values keep their size (He et al. 2015, eq. 15) and residual blocks add nothing at first (Zhang et al. 2019:
Fixup Initialization, section 3).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.foundation.errors import InputError
from sightline.kernels import use_compiled
from sightline.kernels.group_norm import normalise

Dimensions = Literal[2, 3]
Normalisation = Literal["group", "none"]
SLOPE = 0.2
"""of the leaky ReLU for negative inputs"""
_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def group_count(channels: int) -> int:
    """Groups of a normalisation over so many channels."""
    for below, groups in ((8, 1), (32, 2), (64, 4), (128, 8), (256, 16)):
        if channels < below:
            return groups
    return 32


class Layers(nn.Module):
    """Layers one after the other, under the published name."""

    forward_layers: nn.Sequential

    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.forward_layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "batch _ ..."]) -> Float[Tensor, "batch _ ..."]:
        """Apply all layers to (batch, channels, *sides)."""
        return self.forward_layers(x)


class ResidualBlock(nn.Module):
    """x + conv1(act(norm(conv3(act(norm(conv1(act(norm(x)))))))): convolutions without bias.

    Args:
        channels: of input and output.
        width: channels of the convolution with a window of 3.
        normalisation: of the inputs of convolutions.
    """

    def __init__(
        self, dimensions: Dimensions, channels: int, width: int, normalisation: Normalisation = "group"
    ):
        super().__init__()
        convolution = _CONVOLUTIONS[dimensions]
        self.residual_layers = Layers(
            [
                *_activation(channels, normalisation, in_place=False),
                _begin(convolution(channels, width, 1, bias=False), normalisation),
                *_activation(width, normalisation),
                _begin(convolution(width, width, 3, padding=1, bias=False), normalisation),
                *_activation(width, normalisation),
                convolution(width, channels, 1, bias=False),
            ]
        )
        if normalisation == "none":
            for parameter in self.residual_layers.forward_layers[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "batch _ ..."]) -> Float[Tensor, "batch _ ..."]:
        """Add what the layers find to (batch, channels, *sides)."""
        return x + self.residual_layers(x)


def residual_network(
    dimensions: Dimensions,
    inputs: int,
    channels: Sequence[int],
    strides: Sequence[int],
    outputs: int | None = None,
    normalisation: Normalisation = "group",
) -> Layers:
    """Build a network: a 1x1 convolution, then for each stride a block: 1 residual, 2 halving, -2 doubling.

    Args:
        dimensions: of the pictures or volumes.
        inputs: channels of the input.
        channels: of each block; a residual block cannot change their number.
        outputs: channels of a last 1x1 convolution; none where not given.
        normalisation: before activations.

    Raises:
        InputError: lists that do not go together.
    """
    if len(channels) != len(strides) or not channels:
        raise InputError(
            f"There are {len(channels)} channels and {len(strides)} strides: a block needs one of each",
            where=f"channels_{dimensions}d and strides_{dimensions}d",
        )
    layers: list[nn.Module] = [_begin(_CONVOLUTIONS[dimensions](inputs, channels[0], 1), normalisation)]
    width = channels[0]
    for position, (count, stride) in enumerate(zip(channels, strides, strict=True)):
        if stride == 1:
            if count != width:
                raise InputError(
                    f"Block {position} has stride 1 and cannot turn {width} channels into {count}",
                    where=f"channels_{dimensions}d",
                    fix="Change the number of channels in blocks of stride 2 or -2 only",
                )
            layers.append(ResidualBlock(dimensions, width, count, normalisation))
        elif stride in (2, -2):
            kind = _CONVOLUTIONS if stride == 2 else _TRANSPOSED
            changing = kind[dimensions](width, count, 4, stride=2, padding=1)
            layers += [_begin(changing, normalisation), *_activation(count, normalisation)]
        else:
            raise InputError(
                f"Block {position} has stride {stride}: it can be 1, 2 or -2",
                where=f"strides_{dimensions}d",
            )
        width = count
    if outputs is not None:
        layers.append(_begin(_CONVOLUTIONS[dimensions](width, outputs, 1), normalisation))
    return Layers(layers)


def pointwise_network(inputs: int, channels: Sequence[int], normalisation: Normalisation = "group") -> Layers:
    """Build 1x1 convolutions of pictures with normalisation and activation between them."""
    layers: list[nn.Module] = []
    for position, count in enumerate(channels):
        layers.append(_begin(nn.Conv2d(inputs, count, 1), normalisation))
        if position < len(channels) - 1:
            layers += _activation(count, normalisation)
        inputs = count
    return Layers(layers)


def mirrored(channels: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the lists of the network that undoes the sizes of another, as the published renderer has them."""
    back = [-stride if abs(stride) == 2 else 1 for stride in reversed(strides[1:])]
    return (*reversed(channels[:-1]), channels[0]), (*back, strides[0])


class NormalisedActivation(nn.GroupNorm):
    """Group normalisation and the leaky ReLU after it, as one operation."""

    def forward(self, input: Float[Tensor, "batch _ ..."]) -> Float[Tensor, "batch _ ..."]:
        """Normalise and activate (batch, channels, *sides)."""
        return normalise(input, self.weight, self.bias, self.num_groups, SLOPE, self.eps)


def _activation(channels: int, normalisation: Normalisation, in_place: bool = True) -> list[nn.Module]:
    # Published files count the activation as a layer of its own.
    if normalisation == "none":
        return [nn.Identity(), nn.LeakyReLU(SLOPE, in_place)]
    return [NormalisedActivation(group_count(channels), channels), nn.Identity()]


def _begin(layer: nn.Module, normalisation: Normalisation) -> nn.Module:
    """Draw weights by which what leaky ReLUs give keeps its size, where no normalisation sees to that."""
    if normalisation == "none":
        assert isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        terms = layer.in_channels * math.prod(layer.kernel_size)
        if layer.transposed:
            terms /= math.prod(layer.stride)
        nn.init.normal_(layer.weight, std=nn.init.calculate_gain("leaky_relu", SLOPE) / math.sqrt(terms))
    return layer


def lay_out(x: Float[Tensor, "batch _ ..."]) -> Float[Tensor, "batch _ ..."]:
    """Lay (batch, channels, *sides) out as the layers that follow are fastest: channels side by side.

    Only PyTorch's own group normalisation in float32 keeps the layout: with channels side by side it finds
    variances as differences of means, and loses ten to sixty times as much in rounding.
    """
    narrow = x.dtype == torch.bfloat16 or torch.is_autocast_enabled(x.device.type)
    return channels_last(x) if narrow or use_compiled(x) else x


def channels_last(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Lay (batch, channels, *sides) out with channels side by side; other shapes stay as they are."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x
