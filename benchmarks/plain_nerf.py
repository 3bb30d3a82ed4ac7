"""A plain float32 training step of classic NeRF, as PyTorch's own documentation would have it written.

It shares nothing with the package: the yardstick that `benchmarks.nerf_step` measures against. Published by
Mildenhall et al. 2020 (sections 4 and 5.3) and run as nerf_pl does: samples in depth, view directions, white
background, the position entering the fifth layer again.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Points at a time: blocks of memory that the C library gives again instead of asking the system for pages.
_POINTS = 1 << 14


class PlainNetwork(nn.Module):
    """Eight layers of 256, the feature, and the layer that reads directions."""

    def __init__(self, width: int = 256):
        super().__init__()
        position, direction = 63, 27
        sizes = [position, width, width, width, position + width, width, width, width]
        self.trunk = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.density = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.view = nn.Linear(width + direction, width // 2)
        self.colour = nn.Linear(width // 2, 3)

    def forward(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Give densities (n, 1) and colours (n, 3) of points and unit directions, each (n, 3)."""
        encoded = encode(points, 10)
        hidden = encoded
        for k, layer in enumerate(self.trunk):
            if k == 4:
                hidden = torch.cat([encoded, hidden], -1)
            hidden = functional.relu(layer(hidden))
        density = functional.relu(self.density(hidden))
        view = functional.relu(self.view(torch.cat([self.feature(hidden), encode(directions, 4)], -1)))
        return density, torch.sigmoid(self.colour(view))


def encode(x: Tensor, frequencies: int) -> Tensor:
    """Sines and cosines of coordinates, after the coordinates themselves."""
    blocks = [x]
    for k in range(frequencies):
        blocks += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(blocks, -1)


def look(network: PlainNetwork, rays: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Give colours over white and weights, of rays (n, 8: origin, direction, near, far) at depths (n, k)."""
    origins, directions = rays[:, None, :3], rays[:, None, 3:6]
    points = origins + directions * t[..., None]
    columns = points.reshape(-1, 3).split(_POINTS), directions.expand_as(points).reshape(-1, 3).split(_POINTS)
    density, colour = zip(*(network(*part) for part in zip(*columns, strict=True)), strict=True)
    density, colour = torch.cat(density).view(t.shape), torch.cat(colour).view(points.shape)
    far = torch.full_like(t[:, :1], 1e10)
    deltas = torch.cat([t[:, 1:] - t[:, :-1], far], -1) * rays[:, 3:6].norm(dim=-1, keepdim=True)
    alphas = 1 - torch.exp(-density * deltas)
    passed = torch.cumprod(torch.cat([torch.ones_like(t[:, :1]), 1 - alphas + 1e-10], -1), -1)[:, :-1]
    weights = alphas * passed
    return (weights[..., None] * colour).sum(1) + 1 - weights.sum(-1, keepdim=True), weights


def resample(t: Tensor, weights: Tensor, places: Tensor) -> Tensor:
    """Give depths at places (n, m) in [0, 1) of the histogram of weights, and the depths that there were."""
    edges, inner = (t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1].detach() + 1e-5
    below = torch.cumsum(inner / inner.sum(-1, keepdim=True), -1)
    below = torch.cat([torch.zeros_like(below[:, :1]), below], -1)
    above = torch.searchsorted(below, places.contiguous(), right=True)
    left, right = (above - 1).clamp_min(0), above.clamp_max(below.shape[1] - 1)
    start, end = below.gather(1, left), below.gather(1, right)
    size = torch.where(end - start < 1e-5, 1.0, end - start)
    first, last = edges.gather(1, left), edges.gather(1, right)
    added = first + (places - start) / size * (last - first)
    return torch.cat([t, added], -1).sort(-1).values


def losses(
    networks: nn.ModuleDict, rays: Tensor, truth: Tensor, jitter: Tensor | None, places: Tensor, samples: int
) -> tuple[Tensor, Tensor]:
    """Give the mean squared errors of the coarse and the fine colours.

    Args:
        truth: (n, 3).
        jitter: (n, samples) in [0, 1); None leaves samples where they are.
        places: (n, fine samples) in [0, 1).
    """
    near, far = rays[:, 6:7], rays[:, 7:8]
    t = near + (far - near) * torch.linspace(0, 1, samples)
    if jitter is not None:
        middle = (t[:, 1:] + t[:, :-1]) / 2
        low, high = torch.cat([t[:, :1], middle], -1), torch.cat([middle, t[:, -1:]], -1)
        t = low + (high - low) * jitter
    coarse, weights = look(networks["coarse"], rays, t)  # type: ignore[arg-type]
    fine, _ = look(networks["fine"], rays, resample(t, weights, places))  # type: ignore[arg-type]
    return (coarse - truth).square().mean(), (fine - truth).square().mean()


class PlainStep:
    """A step: losses, gradients, Adam."""

    def __init__(self, samples: int = 64, fine: int = 64):
        self.samples, self.fine = samples, fine
        self.networks = nn.ModuleDict({"coarse": PlainNetwork(), "fine": PlainNetwork()})
        self.optimiser = torch.optim.Adam(self.networks.parameters(), lr=5e-4)

    def __call__(self, rays: Tensor, truth: Tensor) -> Tensor:
        """Learn from rays (n, 8) that shall see truth (n, 3)."""
        jitter, places = torch.rand(len(rays), self.samples), torch.rand(len(rays), self.fine)
        self.optimiser.zero_grad()
        loss = torch.stack(losses(self.networks, rays, truth, jitter, places, self.samples)).sum()
        loss.backward()
        self.optimiser.step()
        return loss.detach()
