"""Compiling CPU kernels ahead, so that no step pays for it."""

from importlib import import_module
from pathlib import Path

import numpy as np

from sightline.kernels.compiling import Kernel, compile_seconds
from sightline.kernels.mlp import uses_bfloat16


def all_kernels() -> list[Kernel]:
    """Every kernel of the package that this processor is best served by."""
    return kernels_of(*(path.parent.name for path in Path(__file__).parent.glob("*/cpu.py")))


def kernels_of(*operations: str) -> list[Kernel]:
    """Every kernel of some operations, which are folders of this package, that serves this processor best."""
    found = []
    for operation in sorted(operations):
        for path in sorted((Path(__file__).parent / operation).glob("cpu*.py")):
            if path.stem == ("cpu_float32" if uses_bfloat16() else "cpu_bf16"):
                continue
            module = import_module(f"{__package__}.{operation}.{path.stem}")
            found += [value for value in vars(module).values() if isinstance(value, Kernel)]
    return found


def compile_all(dtype: type = np.float32) -> float:
    """Compile the kernels for a floating-point type, or load them from disk; gives the seconds it took."""
    return _compile(all_kernels(), dtype)


def compile_operations(*operations: str, dtype: type = np.float32) -> float:
    """Do what `compile_all` does for the kernels of some operations alone."""
    return _compile(kernels_of(*operations), dtype)


def _compile(kernels: list[Kernel], dtype: type) -> float:
    before = compile_seconds()
    for kernel in kernels:
        kernel.compiled(dtype)
    return compile_seconds() - before
