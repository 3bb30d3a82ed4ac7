"""The number format of the transformers' products."""

from contextlib import AbstractContextManager, nullcontext

import torch

from sightline.kernels.mlp import uses_bfloat16
from sightline.methods.gpnr.config import GpnrConfig


def layer_type(config: GpnrConfig, device: torch.device) -> torch.dtype:
    """Choose the number format on a device."""
    if config.layer_precision != "auto":
        return getattr(torch, config.layer_precision)
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and uses_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def reduced(config: GpnrConfig, device: torch.device) -> AbstractContextManager[object]:
    """Compute products in the number format of the configuration meanwhile."""
    dtype = layer_type(config, device)
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
