"""Generalizable Patch-Based Neural Rendering in plain float32 PyTorch, as its documentation would have it.

It shares no code with the package: the yardstick that `benchmarks.gpnr_speed` measures against. Every token
goes through every layer, as in Suhail et al. 2022 and in the program published with it; attention is written
out. Parameters have the published paths, with dots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.methods.gpnr.config import GpnrConfig


@dataclass(frozen=True)
class Batch:
    """Rays of one picture, and what it is seen from; cameras look along +z with y down."""

    origins: Tensor
    """(rays, 3)"""
    directions: Tensor
    """(rays, 3), unit"""
    target_w2c: Tensor
    """(4, 4)"""
    source_c2w: Tensor
    """(views, 4, 4)"""
    intrinsics: Tensor
    """(3, 3), of all views"""
    pictures: Tensor
    """(views, 3, h, w) in [0, 1]"""
    near: float
    far: float


def code(x: Tensor, degrees: int) -> Tensor:
    """Coordinates, sines at rising frequencies, and the same shifted by a quarter."""
    if not degrees:
        return x
    scaled = torch.cat([x * 2**degree for degree in range(degrees)], -1)
    return torch.cat([x, torch.sin(scaled), torch.sin(scaled + torch.pi / 2)], -1)


def moments(origins: Tensor, directions: Tensor) -> Tensor:
    """Pluecker coordinates."""
    return torch.cat([directions, torch.cross(origins, directions, dim=-1)], -1)


class Attention(nn.Module):
    """Self-attention over the tokens before the last axis."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return self.out((scores.softmax(-1) @ value).transpose(-2, -3).flatten(-2))


class Perceptron(nn.Module):
    """Two layers with GELU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.Dense_0, self.Dense_1 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both."""
        return self.Dense_1(functional.gelu(self.Dense_0(x), approximate="tanh"))


class Layer(nn.Module):
    """Attention and perceptron, each with its sum normalised."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.SelfAttention_0, self.Mlp_0 = Attention(width, heads), Perceptron(width, hidden)
        self.LayerNorm_0, self.LayerNorm_1 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Refine all tokens."""
        y = self.LayerNorm_0(x + self.SelfAttention_0(x))
        return self.LayerNorm_1(y + self.Mlp_0(y))


def stack(count: int, *sizes: int) -> nn.Sequential:
    """So many layers under the published names."""
    layers = nn.Sequential()
    for number in range(count):
        layers.add_module(f"SelfAttentionTransformerLayer_{number}", Layer(*sizes))
    return layers


class PlainNetwork(nn.Module):
    """From rays and source views to colours; the misspelling is that of the published weights."""

    def __init__(self, config: GpnrConfig):
        super().__init__()
        self.config = config
        features, width = config.patch_features, config.width
        ray = 6 * (1 + 2 * config.ray_frequencies)
        key = ray + 3 * (1 + 2 * config.point_frequencies) + sum(features) + 3 + 12
        self.conv_layer = nn.Module()
        for number, (before, count) in enumerate(zip((3, *features), features, strict=False)):
            self.conv_layer.add_module(f"Conv_{number}", nn.Conv2d(before, count, config.patch_size))
        self.query_transform, self.query_transform2 = nn.Linear(ray, width), nn.Linear(ray, width)
        self.key_transform, self.key_transform2 = nn.Linear(key, width), nn.Linear(width, width)
        sizes = width, config.heads, config.hidden_width
        self.vision_transfromer = stack(config.epipolar_layers, *sizes)
        self.epipolar_transformer = stack(config.epipolar_layers, *sizes)
        self.view_transformer = stack(config.view_layers, *sizes)
        self.epipolar_correspondence, self.view_correspondence = (nn.Linear(2 * width, 1) for _ in range(2))
        self.rgb_dense = nn.Linear(width, 3)

    def describe(self, pictures: Tensor) -> Tensor:
        """Features and colours of all pixels (views, features, h, w)."""
        if self.config.imagenet_colours:
            mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
            pictures = (pictures - mean) / deviation
        reach = self.config.patch_size // 2
        border = reach * len(self.config.patch_features)
        layer, found = functional.pad(pictures, (border,) * 4), []
        for convolution in self.conv_layer.children():
            layer = torch.relu(convolution(layer))
            border -= reach
            found.append(
                functional.elu(layer)[
                    :, :, border : layer.shape[2] - border, border : layer.shape[3] - border
                ]
            )
        return torch.cat([*found, pictures], 1)

    def forward(self, batch: Batch, described: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Colours (rays, 3) and mixed colours of the sources (rays, 3).

        Args:
            described: what `describe` gives for the pictures, where it was computed already.
        """
        config = self.config
        rays, views, samples = len(batch.origins), len(batch.pictures), config.samples
        height, width = batch.pictures.shape[-2:]
        depths = torch.linspace(batch.near, batch.far, samples)
        points = batch.origins[:, None] + depths[:, None] * batch.directions[:, None]
        source_w2c = torch.linalg.inv(batch.source_c2w)
        local = (
            torch.einsum("nij,rpj->nrpi", source_w2c[:, :3, :3], points) + source_w2c[:, None, None, :3, 3]
        )
        pixels = local @ batch.intrinsics.t()
        pixels = pixels[..., :2] / pixels[..., 2:]
        pixels = pixels.clamp_min(0).minimum(torch.tensor([width - 1.0, height - 1.0])).round()
        number = torch.arange(views)[:, None, None]
        column, row = pixels.long().unbind(-1)
        described = self.describe(batch.pictures) if described is None else described
        features = described.permute(0, 2, 3, 1)[number, row, column]
        # Frames in which rays run along z.
        target_c2w = torch.linalg.inv(batch.target_w2c)
        d, down = batch.directions, target_c2w[:3, 1].expand_as(batch.directions)
        w = down - (d * down).sum(-1, keepdim=True) * d
        w = w / (w**2).sum(-1, keepdim=True)
        v = torch.cross(w, d, dim=-1)
        v = v / (v**2).sum(-1, keepdim=True)
        turn = torch.stack([v, w, d], 1)
        frame = torch.cat([turn, -turn @ batch.origins[..., None]], -1)
        own = torch.tensor([0.0, 0.0, 1.0]).expand(rays, 3)
        query = code(moments(torch.zeros_like(own), own), config.ray_frequencies)
        within = points @ frame[:, :, :3].mT + frame[:, None, :, 3]
        moved = torch.einsum("rij,njk->nrik", frame[..., :3], batch.source_c2w[:, :3])
        moved[..., 3] += frame[..., 3]
        ends = torch.cat([pixels + config.pixel_centre, torch.ones_like(pixels[..., :1])], -1)
        towards = ends @ (moved[..., :3] @ torch.linalg.inv(batch.intrinsics)).mT
        towards = functional.normalize(towards, dim=-1)
        lines = moments(moved[:, :, None, :, 3].expand_as(towards), towards)
        turns = batch.target_w2c[:3, :3] @ batch.source_c2w[:, :3, :3]
        shifts = batch.target_w2c[:3, 3] - batch.source_c2w[:, :3, 3]
        poses = torch.cat([turns.flatten(1), shifts], 1)
        parts = [
            code(lines, config.ray_frequencies),
            code(within, config.point_frequencies).expand(views, -1, -1, -1),
            features,
            poses[:, None, None].expand(-1, rays, samples, -1),
        ]
        keys = self.key_transform(torch.cat(parts, -1)).transpose(0, 1)
        queries = self.query_transform(query)[:, None, None].expand(-1, views, 1, -1)
        x = torch.cat([queries, keys], 2)
        x = self.vision_transfromer(x.transpose(1, 2)).transpose(1, 2)
        x = self.epipolar_transformer(x)
        queries, keys = x[:, :, :1], x[:, :, 1:]
        logits = self.epipolar_correspondence(torch.cat([queries.expand_as(keys), keys], -1))
        along = logits.softmax(2)
        x = torch.cat([self.query_transform2(query)[:, None], self.key_transform2((along * keys).sum(2))], 1)
        x = self.view_transformer(x)
        queries, keys = x[:, :1], x[:, 1:]
        across = self.view_correspondence(torch.cat([queries.expand_as(keys), keys], -1)).softmax(1)
        rgb = torch.sigmoid(self.rgb_dense((across * keys).sum(1)))
        colours = features[..., -3:].transpose(0, 1)
        if config.imagenet_colours:
            mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
            colours = (colours * deviation + mean).clamp(0, 1)
        return rgb, (across * (along * colours).sum(2)).sum(1)


class Plain:
    """The method with weights: colours, and training with AdamW.

    Args:
        state: weights by their published paths, with dots, in PyTorch's shapes.
        chunk: rays at a time.
    """

    def __init__(self, config: GpnrConfig, state: Mapping[str, Tensor], *, chunk: int = 256):
        assert config.faithful
        self.network, self.chunk = PlainNetwork(config), chunk
        self.network.load_state_dict(state)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0, fused=True
        )

    @torch.no_grad()
    def render(self, batch: Batch, described: Tensor) -> Tensor:
        """Colours of all rays, some at a time; the pictures were described before."""
        found = []
        for origins, directions in zip(
            batch.origins.split(self.chunk), batch.directions.split(self.chunk), strict=True
        ):
            part = Batch(**{**vars(batch), "origins": origins, "directions": directions})
            found.append(self.network(part, described)[0])
        return torch.cat(found)

    def step(self, batch: Batch, colours: Tensor) -> float:
        """Take one training step; gives its loss."""
        losses = [functional.mse_loss(found, colours) for found in self.network(batch)]
        loss = sum(losses[1:], losses[0])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


def plain_state(names: Mapping[str, str], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give weights their published paths, with dots.

    Args:
        names: published path of each, by the package's name.
        values: weights by the package's name.
    """
    endings: Sequence[tuple[str, str]] = ((".kernel", ".weight"), (".scale", ".weight"))
    found = {}
    for name, value in values.items():
        path = names[name].replace("/", ".")
        for ending, own in endings:
            path = path.removesuffix(ending) + own if path.endswith(ending) else path
        found[path] = value
    return found
