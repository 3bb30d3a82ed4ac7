"""Multiresolution hash encoding (Müller et al. 2022, "Instant Neural Graphics Primitives", section 3)."""

import torch
from torch import Tensor

from sightline.kernels import use_compiled
from sightline.kernels.buffers import zeroed_buffers
from sightline.kernels.first_order import first_order
from sightline.kernels.hash_encoding import reference
from sightline.kernels.hash_encoding.levels import HashLevels

__all__ = ["HashLevels", "encode"]


def encode(positions: Tensor, table: Tensor, levels: HashLevels) -> Tensor:
    """Encode positions by trilinear interpolation in every level's grid.

    Args:
        positions: (n, 3), unit cube; what lies outside is clamped.
        table: (levels.entries, levels.features).
        levels: layout of the table.

    Returns:
        (n, levels.width), level-major features. Differentiable in `table` and, within a cell, in `positions`.
    """
    if not use_compiled(table):
        return reference.encode(positions, table, levels)
    return _Encode.apply(positions, table, levels)


class _Encode(torch.autograd.Function):
    """Connects the Numba kernels to autograd; the result is a transposed view, features the slow axis."""

    @staticmethod
    def forward(ctx, positions: Tensor, table: Tensor, levels: HashLevels) -> Tensor:
        from sightline.kernels.hash_encoding import cpu

        positions = positions.to(table.dtype).contiguous()
        ctx.save_for_backward(positions, table)
        ctx.levels = levels
        return cpu.encode(positions, table, levels).T

    @staticmethod
    @first_order
    def backward(ctx, *gradients: Tensor):
        from sightline.kernels.hash_encoding import cpu

        positions, table = ctx.saved_tensors
        gradient = gradients[0].T.contiguous()
        to_positions = to_table = None
        if ctx.needs_input_grad[1]:
            to_table = zeroed_buffers.take(table)
            cpu.accumulate_table_gradient(positions, gradient, to_table, ctx.levels)
        if ctx.needs_input_grad[0]:
            to_positions = cpu.position_gradient(positions, table, gradient, ctx.levels)
        return to_positions, to_table, None
