"""The hot loops, a folder per operation.

Each folder holds `reference.py` (plain PyTorch, the definition, any dtype and device), `cpu.py` (Numba) and,
in its `__init__.py`, the function that callers use: it picks the backend by the tensors' device and connects
it to autograd. CUDA tensors run the reference until a `cuda.py` stands beside it.
`SIGHTLINE_KERNELS=reference` forces the reference.
"""

import os

from torch import Tensor


def use_compiled(tensor: Tensor) -> bool:
    """Say whether the compiled CPU kernels serve this tensor."""
    return tensor.device.type == "cpu" and os.environ.get("SIGHTLINE_KERNELS") != "reference"
