"""Reading maps of features in PyTorch: the definition."""

import torch
from torch import Tensor


def locate(places: Tensor, height: int, width: int, border: bool) -> tuple[Tensor, Tensor]:
    """Cells (n, 4) and shares (n, 4) of places (n, 2); see `sightline.kernels.feature_maps.locate`."""
    places = places.float()
    if border:
        places = torch.minimum(places.clamp_min(0), places.new_tensor([width - 1.0, height - 1.0]))
    broken = places.isnan().any(1, keepdim=True)
    inside = (places > -1) & (places < places.new_tensor([width, height]))
    low = torch.where(inside.all(1, keepdim=True), places, 0).detach().floor()
    corner = places.new_tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
    cells = low[:, None] + corner
    parts = torch.where(corner == 1, (places - low)[:, None], 1 - (places - low)[:, None])
    within = ((cells >= 0) & (cells < places.new_tensor([width, height]))).all(-1)
    within &= inside.all(1, keepdim=True)
    shares = torch.where(within, parts.prod(-1), 0.0).masked_fill(broken, torch.nan)
    numbers = torch.where(within, cells[..., 1] * width + cells[..., 0], 0.0)
    return numbers.int(), shares


def read(maps: Tensor, cells: Tensor, shares: Tensor) -> Tensor:
    """Features (n, channels) of points; see `sightline.kernels.feature_maps.read`."""
    each = len(cells) // len(maps)
    first = torch.arange(len(maps), device=maps.device).repeat_interleave(each) * maps.shape[1]
    found = maps.flatten(0, 1)[cells.long() + first[:, None]].float()
    return (found * shares[..., None]).sum(1).to(maps.dtype)
