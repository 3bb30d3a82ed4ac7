"""Recycling of large gradient buffers.

A hash table's gradient is tens of megabytes of which a step touches a part. The optimiser that reads it also
clears what it reads, and gives the buffer back here, so that the next backward pass starts from zeros without
clearing it again.
"""

import threading

import torch
from torch import Tensor


class ZeroedBuffers:
    """A store of tensors that are known to hold zeros."""

    def __init__(self, keep: int = 4):
        self._lock = threading.Lock()
        self._kept: list[Tensor] = []
        self._keep = keep

    def take(self, like: Tensor) -> Tensor:
        """Give a zero tensor of the shape and type of `like`; it belongs to the caller alone."""
        with self._lock:
            for index, tensor in enumerate(self._kept):
                if tensor.shape == like.shape and tensor.dtype == like.dtype and tensor.device == like.device:
                    return self._kept.pop(index)
        return torch.zeros_like(like, memory_format=torch.contiguous_format)

    def give_back(self, tensor: Tensor) -> None:
        """Keep a tensor that holds zeros and that nobody else refers to."""
        with self._lock:
            self._kept = [*self._kept, tensor][-self._keep :]


zeroed_buffers = ZeroedBuffers()
