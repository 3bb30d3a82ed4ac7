"""Equivariant Neural Rendering in plain float32 PyTorch, as its documentation would have it written.

It shares no code with the package: the yardstick that `benchmarks.enr_speed` measures against. Networks,
moving volume, loss and training step are those of Dupont et al. 2020 and of the program published with it.
Parameters have the published names, so that weights of either can be loaded.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.methods.enr.config import EnrConfig

_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


def normalised(channels: int, kind: str, in_place: bool = True) -> list[nn.Module]:
    """Normalisation, by groups or none, and activation."""
    if kind == "none":
        return [nn.Identity(), nn.LeakyReLU(0.2, in_place)]
    limits = ((8, 1), (32, 2), (64, 4), (128, 8), (256, 16))
    groups = next((groups for below, groups in limits if channels < below), 32)
    return [nn.GroupNorm(groups, channels), nn.LeakyReLU(0.2, inplace=True)]


class Stack(nn.Module):
    """Layers one after the other, under the published name."""

    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.forward_layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all layers."""
        return self.forward_layers(x)


class Residual(nn.Module):
    """x and what three convolutions add to it, each behind normalisation and activation."""

    def __init__(self, dimensions: int, channels: int, kind: str):
        super().__init__()
        convolution = _CONVOLUTIONS[dimensions]
        self.residual_layers = Stack(
            [
                *normalised(channels, kind, in_place=False),
                convolution(channels, channels, 1, bias=False),
                *normalised(channels, kind),
                convolution(channels, channels, 3, padding=1, bias=False),
                *normalised(channels, kind),
                convolution(channels, channels, 1, bias=False),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        return x + self.residual_layers(x)


def res_net(
    dimensions: int,
    inputs: int,
    channels: Sequence[int],
    strides: Sequence[int],
    kind: str,
    outputs: int | None = None,
) -> Stack:
    """A 1x1 convolution, then blocks of stride 1 (residual), 2 (halves sides) or -2 (doubles them)."""
    layers: list[nn.Module] = [_CONVOLUTIONS[dimensions](inputs, channels[0], 1)]
    for before, count, stride in zip((channels[0], *channels), channels, strides, strict=False):
        if stride == 1:
            layers.append(Residual(dimensions, count, kind))
        else:
            changing = (_CONVOLUTIONS if stride == 2 else _TRANSPOSED)[dimensions]
            layers += [changing(before, count, 4, stride=2, padding=1), *normalised(count, kind)]
    if outputs is not None:
        layers.append(_CONVOLUTIONS[dimensions](channels[-1], outputs, 1))
    return Stack(layers)


def projection(inputs: int, channels: Sequence[int], kind: str) -> Stack:
    """1x1 convolutions of pictures; the last is bare."""
    layers: list[nn.Module] = []
    for before, count in zip((inputs, *channels), channels, strict=False):
        layers += [nn.Conv2d(before, count, 1), *normalised(count, kind)]
    return Stack(layers[:-2])


def mirror(channels: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """Lists of the renderer's network from those of the inverse renderer's."""
    back = [-stride if abs(stride) == 2 else 1 for stride in reversed(strides[1:])]
    return [*list(reversed(channels))[1:], channels[0]], [*back, strides[0]]


def sphere(side: int) -> Tensor:
    """Ones (side, side, side) in the ball that touches the outer voxel centres, zeros outside."""
    squares = (torch.arange(side) - (side - 1) / 2) ** 2
    distances = squares[:, None, None] + squares[None, :, None] + squares[None, None, :]
    return (distances <= ((side - 1) / 2) ** 2).float()


def motions(source: Tensor, target: Tensor) -> Tensor:
    """Motions (n, 3, 4) between cameras (n, 5): azimuth and elevation in degrees, x, y and z.

    The moved volume at p is the given one at C_s^T (C_t p + t_t - t_s), with C = Ry(-azimuth) Rz(-elevation).
    """

    def camera(rows: Tensor) -> Tensor:
        azimuth, elevation = torch.deg2rad(-rows[:, 0]), torch.deg2rad(-rows[:, 1])
        zero, one = torch.zeros_like(azimuth), torch.ones_like(azimuth)
        y = [azimuth.cos(), zero, azimuth.sin(), zero, one, zero, -azimuth.sin(), zero, azimuth.cos()]
        z = [elevation.cos(), -elevation.sin(), zero, elevation.sin(), elevation.cos(), zero, zero, zero, one]
        return torch.stack(y, 1).view(-1, 3, 3) @ torch.stack(z, 1).view(-1, 3, 3)

    shift = (target[:, 2:] - source[:, 2:])[:, :, None]
    return camera(source).mT @ torch.cat([camera(target), shift], 2)


def move(volumes: Tensor, motions: Tensor, mode: str = "bilinear") -> Tensor:
    """Resample volumes (n, channels, d, h, w): the value at p is that at turn p + shift, zero outside."""
    # PyTorch has coordinates in the order w, h, d.
    theta = torch.cat([motions[:, :, :3].flip(1, 2), motions[:, :, 3:].flip(1)], 2)
    grid = functional.affine_grid(theta, list(volumes.shape), align_corners=False)
    return functional.grid_sample(volumes, grid, mode=mode, align_corners=False)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004): 11 taps along each axis, one filter per channel."""
    falls = torch.exp(-((torch.arange(11, dtype=a.dtype) - 5) ** 2) / (2 * 1.5**2))
    channels = a.shape[1]
    window = (falls / falls.sum()).to(a.device).expand(channels, 1, 1, 11)

    def blur(x: Tensor) -> Tensor:
        down = functional.conv2d(x, window.transpose(2, 3), groups=channels)
        return functional.conv2d(down, window, groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    squares, product = mean_a**2 + mean_b**2, mean_a * mean_b
    variances = blur(a * a) + blur(b * b) - squares
    covariance = blur(a * b) - product
    structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return ((2 * product + 0.01**2) / (squares + 0.01**2) * structure).mean()


def loss(rendered: Tensor, truth: Tensor, kind: str, ssim_weight: float) -> Tensor:
    """Mean absolute (l1) or squared (l2) difference, and 1 - SSIM by its weight."""
    compare = functional.l1_loss if kind == "l1" else functional.mse_loss
    found = compare(rendered, truth)
    return found + ssim_weight * (1 - ssim(rendered, truth)) if ssim_weight else found


class PlainNetwork(nn.Module):
    """Inverse renderer and renderer."""

    mask: Tensor

    def __init__(self, config: EnrConfig, channels_last: bool):
        super().__init__()
        side, two, three = config.volume_size, config.channels_2d, config.channels_3d
        lifted, kind = config.channels_inverse_projection, config.normalisation
        self.side, self.channels_last = side, channels_last
        self.inv_transform_2d = res_net(2, 3, two, config.strides_2d, kind)
        self.inv_projection = projection(two[-1], lifted, kind)
        self.inv_transform_3d = res_net(3, lifted[-1] // side, three, config.strides_3d, kind)
        channels, strides = mirror(three, config.strides_3d)
        self.transform_3d = res_net(3, three[-1], channels, strides, kind)
        self.projection = projection(channels[-1] * side, config.channels_projection, kind)
        channels, strides = mirror(two, config.strides_2d)
        self.transform_2d = res_net(2, config.channels_projection[-1], channels, strides, kind, 3)
        self.register_buffer("mask", sphere(side), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 2:
                parameter.data = self.lay_out(parameter.data)

    def lay_out(self, x: Tensor) -> Tensor:
        """Pictures, volumes or weights as the convolutions take them."""
        return x.contiguous(memory_format=_FORMATS[x.dim() - 2]) if self.channels_last else x

    def infer(self, pictures: Tensor) -> Tensor:
        """From pictures (n, 3, side, side) to volumes (n, channels, d, h, w)."""
        flat = self.inv_projection(self.inv_transform_2d(self.lay_out(pictures)))
        return self.inv_transform_3d(self.lay_out(flat.unflatten(1, (-1, self.side)))) * self.mask

    def show(self, moved: Tensor) -> Tensor:
        """From moved volumes to pictures."""
        within = self.transform_3d(self.lay_out(moved))
        flat = self.projection(self.lay_out(within.flatten(1, 2)))
        return torch.sigmoid(self.transform_2d(flat))


class Plain:
    """The method with weights: pictures, and training with Adam.

    Args:
        state: weights by their published names.
        channels_last: lay channels out side by side, which is faster on some processors.
    """

    def __init__(self, config: EnrConfig, state: Mapping[str, Tensor], *, channels_last: bool = False):
        self.config = config
        self.mode = "bilinear" if config.interpolation == "trilinear" else "nearest"
        self.network = PlainNetwork(config, channels_last)
        self.network.load_state_dict(state)
        # Of PyTorch's three ways the fastest.
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)

    def infer(self, pictures: Tensor) -> Tensor:
        """From pictures (n, 3, side, side) in [0, 1] to volumes (n, channels, d, h, w)."""
        return self.network.infer(pictures)

    def show(self, volumes: Tensor, motions: Tensor) -> Tensor:
        """From volumes and motions (n, 3, 4) to pictures."""
        return self.network.show(move(volumes, motions, self.mode))

    def loss(self, pictures: Tensor, motions: Tensor) -> Tensor:
        """Compare each picture with what the volume of its partner shows; 2k and 2k + 1 are partners."""
        volumes = self.infer(pictures)
        partners = volumes.view(-1, 2, *volumes.shape[1:]).flip(1).flatten(0, 1)
        return loss(self.show(partners, motions), pictures, self.config.loss, self.config.ssim_weight)

    def step(self, pictures: Tensor, motions: Tensor) -> float:
        """Take one training step; gives its loss."""
        found = self.loss(pictures, motions)
        self.optimiser.zero_grad()
        found.backward()
        self.optimiser.step()
        return found.item()
