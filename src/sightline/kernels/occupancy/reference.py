"""Updates of an opacity grid in plain PyTorch: the definition."""

import torch
from torch import Tensor

SHIFT = 3
BLOCK = 1 << SHIFT
# Cells whose marks share a word, per axis: 4³ bits.
MARK_SHIFT = 2
MARK_BLOCK = 1 << MARK_SHIFT


def coarsen(opacity: Tensor) -> Tensor:
    """Largest opacity of each block of `BLOCK`³ cells."""
    return torch.nn.functional.max_pool3d(opacity[None, None], BLOCK, ceil_mode=True)[0, 0].contiguous()


def mark(opacity: Tensor, threshold: float) -> Tensor:
    """One bit for each cell more opaque than `threshold`: 4³ cells to an int64 word, x fastest in both."""
    pad = -len(opacity) % MARK_BLOCK
    occupied = torch.nn.functional.pad(opacity > threshold, (0, pad) * 3)
    words = len(occupied) // MARK_BLOCK
    bits = occupied.view(words, MARK_BLOCK, words, MARK_BLOCK, words, MARK_BLOCK).permute(0, 2, 4, 1, 3, 5)
    place = torch.arange(MARK_BLOCK**3, device=opacity.device)
    return (bits.reshape(words, words, words, -1).long() << place).sum(-1)


def summarise(opacity: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Give what `coarsen` and `mark` do."""
    return coarsen(opacity), mark(opacity, threshold)


def cell_indices(cube: Tensor, side: int) -> Tensor:
    """Flat index (n,), z slowest, of the cell that holds each unit-cube point (n, 3)."""
    index = (cube * side).long().clamp(0, side - 1)
    return index[:, 0] + side * (index[:, 1] + side * index[:, 2])


def bin_lengths(cube: Tensor, step: float, contracted: bool) -> Tensor:
    """Length (n,) of the marching bins at unit-cube points (n, 3), as in `MarchSettings.step`."""
    if not contracted:
        return torch.full_like(cube[:, 0], step)
    norm = (cube * 4 - 2).abs().amax(-1).clamp(1, 1.999)
    return step / (2 - norm) ** 2


def observe(
    opacity: Tensor,
    coarse: Tensor,
    cube: Tensor,
    sigmas: Tensor,
    step: float,
    contracted: bool,
    rate: float,
    marks: Tensor | None = None,
    threshold: float = 0.0,
) -> None:
    """Follow observations in place; see `sightline.kernels.occupancy.observe`."""
    found = -torch.expm1(-sigmas.detach() * bin_lengths(cube, step, contracted))
    cells, order = cell_indices(cube, len(opacity)).sort(stable=True)
    # Where the points of the same cell begin and end; they are in their order.
    begin, end = (torch.searchsorted(cells, cells, right=right) for right in (False, True))
    flat, coarse_flat = opacity.view(-1), coarse.view(-1)
    values = _running_means(flat[cells].double(), found[order].double(), begin, rate).to(opacity.dtype)
    flat[cells] = values[end - 1]
    coarse_flat.scatter_reduce_(0, _blocks(cells, len(opacity), len(coarse)), values, "amax")
    if marks is not None:
        marks.copy_(mark(opacity, threshold))


def _running_means(start: Tensor, found: Tensor, begin: Tensor, rate: float) -> Tensor:
    """Value of its cell after each point: v ← (1 - rate) v + rate · found, from the point `begin` on.

    Each point is a linear map v ← decay · v + gain; those of a cell are composed by doubling (Hillis and
    Steele 1986), which is exact for every rate, unlike a cumulative sum that is divided by powers.
    """
    place = torch.arange(len(found), device=found.device)
    decay, gain = torch.full_like(found, 1 - rate), rate * found
    reach = 1
    while reach < len(found):
        # Now the map of a point covers the `reach` last points of its cell: join those before them.
        joined = place - begin >= reach
        before = (place - reach).clamp(min=0)
        gain = gain + torch.where(joined, decay * gain[before], 0)
        decay = torch.where(joined, decay * decay[before], decay)
        reach *= 2
    return decay * start + gain


def _blocks(cells: Tensor, side: int, blocks: int) -> Tensor:
    """Flat index of the block of each cell, from its flat index in a grid of `side`³ cells."""
    x, y, z = (cells // side**axis % side // BLOCK for axis in range(3))
    return x + blocks * (y + blocks * z)
