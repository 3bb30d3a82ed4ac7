"""pixelNeRF in plain float32 PyTorch, as its documentation would have it written.

It shares nothing with the package but settings: the yardstick that `benchmarks.pixelnerf_speed` measures
against. Encoder, perceptrons, sampling, loss and training step are those of Yu et al. 2021 and of the program
published with it. Parameters have the published names, so that weights of either can be loaded.

Rows of points are in the order objects, source views, points; those of rays in the order objects, rays.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.foundation.errors import InputError
from sightline.methods.pixelnerf.config import PixelNerfConfig

CHUNK = 100_000
"""points that the published program asks the perceptrons about at a time"""
_CHANNELS = (64, 128, 256, 512)
_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
# Switches that no published experiment uses.
_USUAL_ONLY = (
    *("use_encoder", "feature_scale", "upsampling", "feature_sampling", "feature_padding", "mirror_behind"),
    *("global_width", "freeze_encoder", "use_positions", "use_code", "code_input", "use_directions"),
    *("code_directions", "softplus", "spade", "noise", "schedule_at"),
)


class Views(NamedTuple):
    """Source views of some objects."""

    images: Tensor
    """(objects, views, 3, height, width) in [-1, 1]"""
    c2w: Tensor
    """(objects, views, 3, 4), cameras looking along -z"""
    focal: Tensor
    """(objects, views, 2) in pixels"""
    centre: Tensor
    """(objects, views, 2) in pixels"""


class Seen(NamedTuple):
    """Encoded source views."""

    maps: Tensor
    """(objects · views, channels, h, w)"""
    rotation: Tensor
    """(objects, views, 3, 3), world to camera"""
    translation: Tensor
    """(objects, views, 3, 1)"""
    focal: Tensor
    """(objects, views, 1, 2), downwards negative"""
    centre: Tensor
    """(objects, views, 1, 2)"""
    size: tuple[int, int]
    """width and height of the pictures"""


class Noise(NamedTuple):
    """Random numbers of some rays, in the order in which the published program draws them."""

    coarse: Tensor
    """(rays, coarse samples) in [0, 1)"""
    places: Tensor
    """(rays, importance samples) in [0, 1): which bin"""
    within: Tensor
    """(rays, importance samples) in [0, 1): where in it"""
    depth: Tensor
    """(rays, samples around the depth), unit normal"""


class Pass(NamedTuple):
    """What rays found in one pass."""

    colours: Tensor
    """(rays, 3)"""
    depths: Tensor
    """(rays): sum of weight times distance"""
    weights: Tensor
    """(rays, samples)"""
    t: Tensor
    """(rays, samples)"""


class Block(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(y)).add_(shortcut), inplace=True)


class ResNet(nn.Module):
    """ResNet-34 or -18 without its classifier; gives the maps of its first stages."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.levels, self.first_pool = config.levels, config.first_pool
        self.conv1 = nn.Conv2d(3, _CHANNELS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS[0])
        inputs = _CHANNELS[0]
        for stage, (outputs, count) in enumerate(zip(_CHANNELS, _BLOCKS[config.backbone], strict=True)):
            first = Block(inputs, outputs, 2 if stage else 1)
            layer = nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(count - 1)))
            setattr(self, f"layer{stage + 1}", layer.requires_grad_(stage + 1 < config.levels))
            inputs = outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        """From pictures (n, 3, height, width) to maps of half, a quarter (or half), … of their size."""
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        maps = [x]
        if self.first_pool:
            x = functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.levels):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps


class Encoder(nn.Module):
    """All maps at the size of the first one."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.model = ResNet(config)

    def forward(self, images: Tensor) -> Tensor:
        """From pictures (n, 3, height, width) to features (n, channels, h, w)."""
        first, *others = self.model(images)
        size = first.shape[-2:]
        resized = [functional.interpolate(x, size, mode="bilinear", align_corners=True) for x in others]
        return torch.cat([first, *resized], 1)


class Residual(nn.Module):
    """x and what two linear layers add to it."""

    def __init__(self, width: int):
        super().__init__()
        self.fc_0, self.fc_1 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        return self.fc_1(functional.relu(self.fc_0(functional.relu(x)), inplace=True)).add_(x)


class Perceptron(nn.Module):
    """ResnetFC: residual blocks, the first of them with features of each view, the others of all views."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.config = config
        width, features = config.hidden_width, sum((_CHANNELS[0], *_CHANNELS)[: config.levels])
        self.lin_in = nn.Linear(3 * (2 * config.code_frequencies + 1) + 3, width)
        self.lin_out = nn.Linear(width, 4)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(config.blocks))
        joined = min(config.combine_layer, config.blocks)
        self.lin_z = nn.ModuleList(nn.Linear(features, width) for _ in range(joined))

    def forward(self, inputs: Tensor, features: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Give (objects, points, 4) for rows of `shape` objects, views and points."""
        h = self.lin_in(inputs)
        for number, block in enumerate(self.blocks):
            if number == self.config.combine_layer:
                h = self.join(h, shape)
            if number < len(self.lin_z):
                h = self.lin_z[number](features).add_(h)
            h = block(h)
        if self.config.combine_layer >= len(self.blocks):
            h = self.join(h, shape)
        return self.lin_out(functional.relu(h)).view(shape[0], shape[2], 4)

    def join(self, h: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Join views; of one there is nothing to join."""
        if shape[1] == 1:
            return h
        views = h.view(*shape, -1)
        joined = views.mean(1) if self.config.combination == "average" else views.amax(1)
        return joined.flatten(0, 1)


def encode_positions(x: Tensor, config: PixelNerfConfig) -> Tensor:
    """Sines of coordinates (n, 3) at rising frequencies, after the coordinates themselves."""
    parts = [x]
    for octave in range(config.code_frequencies):
        wave = x * (config.code_factor * 2**octave)
        parts += [torch.sin(wave), torch.sin(wave + math.pi / 2)]
    return torch.cat(parts, -1)


class PlainNetwork(nn.Module):
    """Encoder and perceptrons."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.mlp_coarse = Perceptron(config)
        self.mlp_fine = Perceptron(config) if config.fine_network == "own" else None
        if self.mlp_fine is not None and not config.fine_samples:
            self.mlp_fine.requires_grad_(False)

    def encode(self, views: Views) -> Seen:
        """Encode source views."""
        height, width = views.images.shape[-2:]
        rotation = views.c2w[..., :3].transpose(-1, -2)
        return Seen(
            self.encoder(views.images.flatten(0, 1)),
            rotation,
            -(rotation @ views.c2w[..., 3:]),
            (views.focal * views.focal.new_tensor([1, -1]))[:, :, None],
            views.centre[:, :, None],
            (width, height),
        )

    def describe(self, seen: Seen, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Give inputs (rows, n) and features (rows, channels) of points and directions (objects, n, 3)."""
        turned = points[:, None] @ seen.rotation.transpose(-1, -2)
        facing = directions[:, None] @ seen.rotation.transpose(-1, -2)
        moved = turned + seen.translation.transpose(-1, -2)
        pixels = -seen.focal * moved[..., :2] / moved[..., 2:] + seen.centre
        cells = [seen.maps.shape[-1], seen.maps.shape[-2]]
        scale = [2 / (n - 1) * n / side for n, side in zip(cells, seen.size, strict=True)]
        grid = pixels.flatten(0, 1)[:, :, None] * pixels.new_tensor(scale) - 1
        found = functional.grid_sample(seen.maps, grid, padding_mode="border", align_corners=True)
        position = turned if self.config.rotate_only else moved
        inputs = torch.cat([encode_positions(position, self.config), facing], -1).flatten(0, 2)
        return inputs, found[..., 0].transpose(1, 2).reshape(len(inputs), -1)

    def ask(self, seen: Seen, points: Tensor, directions: Tensor, fine: bool) -> Tensor:
        """Give colours and densities before their activations (objects, n, 4)."""
        perceptron = self.mlp_fine if fine and self.mlp_fine is not None else self.mlp_coarse
        inputs, features = self.describe(seen, points, directions)
        return perceptron(inputs, features, (len(points), seen.rotation.shape[1], points.shape[1]))


class Plain:
    """The method with weights: what rays see, and training with Adam.

    Args:
        state: weights by their published names.
        chunk: points that the perceptrons are asked about at a time.

    Raises:
        InputError: the configuration uses a switch that no published experiment does.
    """

    def __init__(self, config: PixelNerfConfig, state: Mapping[str, Tensor], *, chunk: int = CHUNK):
        for name in _USUAL_ONLY:
            if getattr(config, name) != getattr(PixelNerfConfig(), name):
                raise InputError(f"The plain implementation has no {name} but the usual one")
        self.config, self.chunk = config, chunk
        self.network = PlainNetwork(config)
        self.network.load_state_dict(state)
        self.network.eval()
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        # Of PyTorch's three ways the fastest.
        self.optimiser = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)

    def draw(self, rays: int, generator: torch.Generator | None = None) -> Noise:
        """Draw the random numbers of some rays; from PyTorch's own generator where none is given."""
        config = self.config
        around = min(config.depth_samples, config.fine_samples)
        importance = config.fine_samples - around
        return Noise(
            torch.rand(rays, config.coarse_samples, generator=generator),
            torch.rand(rays, importance, generator=generator),
            torch.rand(rays, importance, generator=generator),
            torch.randn(rays, around, generator=generator),
        )

    def trace(self, seen: Seen, rays: Tensor, noise: Noise) -> list[Pass]:
        """Trace rays (objects, n, 8: origin, direction, near, far); the coarse pass, and the fine one."""
        config = self.config
        near, far = rays[..., 6:].flatten(0, 1).split(1, -1)

        def place(s: Tensor) -> Tensor:
            if config.disparity:
                return 1 / (1 / near * (1 - s) + 1 / far * s)
            return near * (1 - s) + far * s

        bins = config.coarse_samples
        t = place((torch.arange(bins) + noise.coarse) / bins)
        coarse = self.look(seen, rays, t, far, False)
        if not config.fine_samples:
            return [coarse]
        added = [t]
        if noise.places.shape[1]:
            share = coarse.weights.detach() + 1e-5
            limits = functional.pad((share / share.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
            found = torch.searchsorted(limits, noise.places, right=True) - 1
            added.append(place((found.clamp(0, bins - 1) + noise.within) / bins))
        if noise.depth.shape[1]:
            around = coarse.depths[:, None] + config.depth_spread * noise.depth
            added.append(torch.minimum(torch.maximum(around, near), far))
        fine = self.look(seen, rays, torch.cat(added, -1).sort(-1).values, far, True)
        return [coarse, fine]

    def look(self, seen: Seen, rays: Tensor, t: Tensor, far: Tensor, fine: bool) -> Pass:
        """Ask and composite at distances t (objects · n, samples)."""
        steps = t.view(*rays.shape[:2], -1, 1)
        points = rays[:, :, None, :3] + steps * rays[:, :, None, 3:6]
        directions = rays[:, :, None, 3:6].expand_as(points)
        columns = [x.flatten(1, 2).split(math.ceil(self.chunk / len(rays)), 1) for x in (points, directions)]
        parts = [self.network.ask(seen, where, to, fine) for where, to in zip(*columns, strict=True)]
        raw = torch.cat(parts, 1).view(*t.shape, 4)
        deltas = torch.cat([t[:, 1:] - t[:, :-1], far - t[:, -1:]], -1).clamp_min(0)
        alphas = 1 - torch.exp(-deltas * functional.relu(raw[..., 3]))
        passed = torch.cumprod(1 - alphas + 1e-10, -1)
        weights = alphas * functional.pad(passed[:, :-1], (1, 0), value=1.0)
        colours = (weights[..., None] * torch.sigmoid(raw[..., :3])).sum(1)
        if self.config.background == "white":
            colours = colours + 1 - weights.sum(-1, keepdim=True)
        return Pass(colours, (weights * t).sum(-1), weights, t)

    @torch.no_grad()
    def encode(self, views: Views) -> Seen:
        """Encode source views, to render from them."""
        return self.network.eval().encode(views)

    @torch.no_grad()
    def render(self, seen: Seen, rays: Tensor, noise: Noise) -> Tensor:
        """Give colours (objects · n, 3) of rays (objects, n, 8)."""
        return self.trace(seen, rays, noise)[-1].colours

    def loss(self, views: Views, rays: Tensor, truth: Tensor, noise: Noise) -> Tensor:
        """Mean squared errors of both passes against truth (objects · n, 3), added by their weights."""
        config = self.config
        passes = self.trace(self.network.encode(views), rays, noise)
        errors = [functional.mse_loss(found.colours, truth) for found in passes]
        if len(errors) == 1:
            return (config.coarse_weight if config.weigh_lone_coarse else 1.0) * errors[0]
        return config.coarse_weight * errors[0] + config.fine_weight * errors[1]

    def step(self, views: Views, rays: Tensor, truth: Tensor, noise: Noise | None = None) -> float:
        """Take one training step; gives its loss."""
        self.network.train()
        self.network.encoder.train(self.config.batch_statistics)
        found = self.loss(views, rays, truth, noise or self.draw(len(truth)))
        self.optimiser.zero_grad()
        found.backward()
        self.optimiser.step()
        return found.item()
