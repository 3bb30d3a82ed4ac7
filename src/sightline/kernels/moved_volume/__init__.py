"""Moving a volume: what a moved camera sees is looked up in the volume of another (Dupont et al. 2020, 4)."""

from typing import Any

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.first_order import first_order
from sightline.kernels.formats import FORMATS
from sightline.kernels.moved_volume import reference

_SIDE_BY_SIDE = torch.channels_last_3d


def move(volumes: Tensor, motions: Tensor, mode: str = "bilinear") -> Tensor:
    """Read each volume at the places of its motion; differentiable in the volumes.

    Args:
        volumes: (n, channels, d, h, w), or one for all motions; float32 or bfloat16.
        motions: (n, 3, 4) [turn | shift] in the axes of the volume: the point p of the moved volume is read
            at turn p + shift. The volume spans [-1, 1] on each axis, from the outer face of the first voxel
            to that of the last; outside there is nothing.
        mode: "bilinear" between the eight voxels around a place, or "nearest".

    Returns:
        (n, channels, d, h, w): where compiled kernels serve, of the volumes' type and with channels side by
        side; else float32.
    """
    compiled = mode == "bilinear" and volumes.dtype in FORMATS and use_compiled(volumes)
    if not compiled or motions.requires_grad or not volumes.numel():
        return reference.move(volumes, motions, mode)
    return _Move.apply(volumes, motions.detach().float().contiguous())


def _rows(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx, volumes: Tensor, motions: Tensor) -> Any:
        from sightline.kernels.moved_volume import cpu

        volumes = volumes.contiguous(memory_format=_SIDE_BY_SIDE)
        moved = volumes.new_empty(len(motions), *volumes.shape[1:]).to(memory_format=_SIDE_BY_SIDE)
        cpu.forward(_rows(volumes), motions, volumes.shape[2:], _rows(moved))
        ctx.save_for_backward(motions)
        ctx.given = len(volumes), volumes.dtype
        return moved

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor) -> Any:
        from sightline.kernels.moved_volume import cpu

        (motions,) = ctx.saved_tensors
        count, dtype = ctx.given
        upstream = gradients[0].to(dtype).contiguous(memory_format=_SIDE_BY_SIDE)
        found = torch.empty_like(upstream, dtype=torch.float32)
        cpu.backward(_rows(upstream), motions, upstream.shape[2:], _rows(found))
        found = found if count == len(found) else found.sum(0, keepdim=True)
        return found.to(dtype), None
