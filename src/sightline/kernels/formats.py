"""Numbers in memory for Numba: float32 as it is, bfloat16, which it does not know, as 16 bits."""

import numpy as np
import torch
from llvmlite import ir
from numba import types
from torch import Tensor

from sightline.kernels.compiling import intrinsic

FORMATS = (torch.float32, torch.bfloat16)
"""formats that `as_array`, `load` and `like` serve"""

_WORD, _FLOAT = ir.IntType(32), ir.FloatType()


def as_array(x: Tensor) -> np.ndarray:
    """View a tensor of one of the formats as an array."""
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


@intrinsic
def load(typing, number):
    """Read a float32, or 16 bits of a bfloat16, as float32."""

    def generate(context, builder, signature, arguments):
        if number == types.float32:
            return arguments[0]
        word = builder.shl(builder.zext(arguments[0], _WORD), ir.Constant(_WORD, 16))
        return builder.bitcast(word, _FLOAT)

    return types.float32(number), generate


@intrinsic
def like(typing, number, value):
    """Give a float32 in the format of `number`: as it is, or rounded to the nearest bfloat16, to even."""

    def generate(context, builder, signature, arguments):
        if number == types.float32:
            return arguments[1]
        word = builder.bitcast(arguments[1], _WORD)
        last = builder.and_(builder.lshr(word, ir.Constant(_WORD, 16)), ir.Constant(_WORD, 1))
        rounded = builder.add(builder.add(word, last), ir.Constant(_WORD, 0x7FFF))
        # Rounding could make infinity, or zero, of what is no number.
        kept = builder.select(
            builder.fcmp_ordered("ord", arguments[1], arguments[1]), rounded, ir.Constant(_WORD, 0x7FC00000)
        )
        return builder.trunc(builder.lshr(kept, ir.Constant(_WORD, 16)), ir.IntType(16))

    return number(number, types.float32), generate
