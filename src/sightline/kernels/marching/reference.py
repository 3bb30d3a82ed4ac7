"""Ray marching through an opacity grid in plain PyTorch: the definition."""

import torch
from torch import Tensor

from sightline.kernels.marching.grid import MarchSettings, contract
from sightline.kernels.packed import Intervals, Samples, offsets_from_counts

_BINS_AT_ONCE = 32


def march(
    origins: Tensor, directions: Tensor, grid: Tensor, settings: MarchSettings
) -> tuple[Intervals, Tensor]:
    """Find the bins with matter; see `sightline.kernels.marching.march`."""
    side = grid.shape[0]
    enter, end = _limits(origins, directions, settings)
    t, light = enter, torch.ones_like(enter)
    starts, ends, opacities, kept = [], [], [], []
    for count in range(1, settings.max_bins + 1):
        alive = (t < end) & (light >= settings.least_transmittance)
        # Asked now and then only, since a GPU has to be waited for.
        if count % _BINS_AT_ONCE == 1 and not alive.any():
            break
        if settings.contracted:
            radius = (origins + t[:, None] * directions).abs().amax(-1)
            stop = torch.minimum(t + settings.step * radius.clamp(min=1) ** 2, end)
        else:
            stop = torch.minimum(enter + count * settings.step, end)
        middle = origins + ((t + stop) / 2)[:, None] * directions
        cell = (contract(middle, settings.contracted) * side).long().clamp(0, side - 1)
        opacity = grid[cell[:, 2], cell[:, 1], cell[:, 0]]
        kept.append(alive & (opacity > settings.threshold))
        starts.append(t)
        ends.append(stop)
        opacities.append(opacity)
        light = torch.where(kept[-1], light * (1 - opacity.clamp(max=settings.largest)), light)
        t = torch.where(alive, stop, t)
    if not kept:
        empty = origins.new_zeros(0)
        zeros = torch.zeros(len(origins) + 1, dtype=torch.int64, device=origins.device)
        return Intervals(zeros, empty, empty), empty
    mask = torch.stack(kept, 1)
    places = mask.view(-1).nonzero()[:, 0]
    values = [torch.stack(column, 1).view(-1)[places] for column in (starts, ends, opacities)]
    return Intervals(offsets_from_counts(mask.sum(1)), values[0], values[1]), values[2]


def _limits(origins: Tensor, directions: Tensor, settings: MarchSettings) -> tuple[Tensor, Tensor]:
    """Distances at which each ray enters and leaves the box, or the largest cube of contracted space."""
    reach = settings.far if settings.contracted else 1.0
    # A direction component of zero becomes tiny, so that its slab is entered at -inf and left at +inf.
    safe = torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    a, b = (-reach - origins) / safe, (reach - origins) / safe
    first = torch.minimum(a, b).amax(-1).clamp(min=settings.near)
    return first, torch.maximum(a, b).amin(-1)


def locate(origins: Tensor, directions: Tensor, samples: Samples, contracted: bool) -> Tensor:
    """Unit-cube points of samples; see `sightline.kernels.marching.locate`."""
    index = samples.ray_indices
    return contract(origins[index] + samples.distances[:, None] * directions[index], contracted)
