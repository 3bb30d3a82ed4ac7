"""Features of pictures at places between their cells (pixelNeRF, Yu et al. 2021, section 4.1)."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.feature_maps import reference
from sightline.kernels.first_order import first_order
from sightline.kernels.formats import FORMATS


def locate(places: Tensor, height: int, width: int, border: bool) -> tuple[Tensor, Tensor]:
    """Find the four cells around places, and the share of each in bilinear interpolation.

    Args:
        places: (n, 2) column and row; the middle of the first cell is at 0. Shares are differentiable in
            them, but for those that are moved.
        height, width: cells of the map.
        border: places outside are moved to the nearest cell; else there is nothing.

    Returns:
        (n, 4) numbers of cells, row by row, int32; (n, 4) shares, NaN where a place is no number.
    """
    if not use_compiled(places):
        return reference.locate(places, height, width, border)
    return _Locate.apply(places, height, width, border)


def read(maps: Tensor, cells: Tensor, shares: Tensor) -> Tensor:
    """Read features between cells; differentiable once in the maps and in the shares.

    Args:
        maps: (m, cells, channels) float32 or bfloat16.
        cells, shares: (n, 4) what `locate` gave; the first n / m of them read the first map, and so on.

    Returns:
        (n, channels) of the maps' type.
    """
    if not use_compiled(maps) or maps.dtype not in FORMATS:
        return reference.read(maps, cells, shares)
    return _Read.apply(maps, cells, shares)


def add_and_rectify(
    state: Tensor | None,
    added: Tensor,
    maps: Tensor | None = None,
    where: tuple[Tensor, Tensor] | None = None,
    begin: int = 0,
) -> tuple[Tensor, Tensor]:
    """Add features between cells, and what a layer gave, to a state; rectify it. Without gradients.

    Args:
        state: (n, width) float32, which is changed; begins with zeros where not given.
        added: (n, width) of the maps' type.
        maps: (m, cells, channels), as for `read`; none are added where not given.
        where: what `locate` gave.
        begin: channel from which on they are read, as many as the state is wide.

    Returns:
        The state; and it with zeros for negative values, of the type of `added`.
    """
    if not use_compiled(added) or added.dtype not in FORMATS:
        width = added.shape[1]
        state = added.float() if state is None else state + added
        if maps is not None and where is not None:
            state = state + reference.read(maps[..., begin : begin + width].float(), *where)
        return state, state.relu().to(added.dtype)
    from sightline.kernels.feature_maps import cpu

    active = torch.empty_like(added)
    fresh = state is None
    if state is None:
        state = torch.empty_like(added, dtype=torch.float32)
    if maps is not None and where is not None:
        cpu.add(maps, *where, begin, fresh, state, added, active)
    else:
        if fresh:
            state.zero_()
        cpu.add_plain(state, added, active)
    return state, active


def add_to_maps(upstream: Tensor, cells: Tensor, shares: Tensor, out: Tensor) -> None:
    """Add the gradient of what `read` gave to that of the maps, on a CPU.

    Args:
        upstream: (n, channels) float32 or bfloat16.
        cells, shares: what `locate` gave.
        out: (m, cells, channels) float32, which is added to.
    """
    from sightline.kernels.feature_maps import cpu

    cpu.share_out(upstream.contiguous(), cells, shares, out)


def gradient_of_shares(maps: Tensor, cells: Tensor, upstream: Tensor) -> Tensor:
    """Give the gradient (n, 4) of the shares that `read` was given, float32, on a CPU.

    Args:
        maps: (m, cells, channels) float32 or bfloat16.
        cells: what `locate` gave.
        upstream: (n, channels) of the maps' type.
    """
    from sightline.kernels.feature_maps import cpu

    out = torch.empty(cells.shape, dtype=torch.float32)
    cpu.to_shares(maps, cells, upstream.contiguous(), out)
    return out


class _Locate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, places: Tensor, height: int, width: int, border: bool) -> Any:
        from sightline.kernels.feature_maps import cpu

        places = places.detach().float().contiguous()
        cells, shares = places.new_empty(len(places), 4, dtype=torch.int32), places.new_empty(len(places), 4)
        cpu.locate(places, height, width, border, cells, shares)
        ctx.save_for_backward(places)
        ctx.given = height, width, border
        ctx.mark_non_differentiable(cells)
        return cells, shares

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        # There is little to do beside reading the maps: the definition does it.
        (places,) = ctx.saved_tensors
        with torch.enable_grad():
            places = places.requires_grad_()
            _, shares = reference.locate(places, *ctx.given)
            (found,) = torch.autograd.grad(shares, places, gradients[1])
        return found, None, None, None


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, cells: Tensor, shares: Tensor) -> Any:
        from sightline.kernels.feature_maps import cpu

        maps = maps.contiguous()
        out = maps.new_empty(len(cells), maps.shape[2])
        cpu.read(maps, cells, shares, out)
        ctx.save_for_backward(cells, shares, maps if ctx.needs_input_grad[2] else None)
        ctx.given = maps.shape, maps.dtype
        return out

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        shape, dtype = ctx.given
        cells, shares, maps = ctx.saved_tensors
        upstream = gradients[0].to(dtype)
        to_maps = None
        if ctx.needs_input_grad[0]:
            found = upstream.new_zeros(shape, dtype=torch.float32)
            add_to_maps(upstream, cells, shares, found)
            to_maps = found.to(dtype)
        to_shares = None if maps is None else gradient_of_shares(maps, cells, upstream)
        return to_maps, None, to_shares
