"""The number format that layers multiply in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from sightline.kernels.mlp import uses_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]


def product_type(wanted: Precision, device: torch.device | str) -> torch.dtype:
    """Give the format that is wanted; auto: bfloat16 where the device multiplies it fast."""
    if wanted != "auto":
        return getattr(torch, wanted)
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = kind == "cpu" and uses_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def products_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Multiply in a format meanwhile; float32 is what PyTorch does anyway."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
