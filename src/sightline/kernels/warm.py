"""Compiling all CPU kernels at once, so that no step pays for it."""

from importlib import import_module
from pathlib import Path

import numpy as np

from sightline.kernels.compiling import Kernel, compile_seconds
from sightline.kernels.mlp import uses_bfloat16


def all_kernels() -> list[Kernel]:
    """Every kernel of the package that this processor is best served by."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*/cpu*.py")):
        if path.stem == ("cpu_float32" if uses_bfloat16() else "cpu_bf16"):
            continue
        module = import_module(f"{__package__}.{path.parent.name}.{path.stem}")
        found += [value for value in vars(module).values() if isinstance(value, Kernel)]
    return found


def compile_all(dtype: type = np.float32) -> float:
    """Compile the kernels for a floating-point type, or load them from disk; gives the seconds it took."""
    before = compile_seconds()
    for kernel in all_kernels():
        kernel.compiled(dtype)
    return compile_seconds() - before
