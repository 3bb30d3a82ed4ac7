"""Compilation of the CPU kernels: explicit signatures, compiled when first called, kept on disk.

Numba's own cache looks at one file's time stamp only. Here the folder is named by a digest of all kernel
sources and the Numba version, so that an edit never meets stale code; Numba itself tells processors apart.
Folders that no process has used for 30 days are removed.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import extending

from sightline.foundation import cache

# Fused multiply-adds and free signs of zero; no reassociation (sums stay in order) and NaN stays NaN.
FAST = frozenset({"contract", "nsz", "arcp"})
# For reductions across samples, which may be split over vector lanes.
FAST_REDUCTION = FAST | {"reassoc"}

# Callers do not pass the typing context, and type checkers cannot follow what this makes of a signature.
intrinsic: Any = extending.intrinsic
"""Decorator of functions that give a signature and write LLVM code for it."""

UNUSED_SECONDS = 30 * 24 * 3600

_compile_lock = threading.RLock()
_spent = {"seconds": 0.0, "kernels": 0}


def _sources_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    digest.update(np.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Taken when the sources are loaded: after an edit, a running process must not file its older code as new.
_LOADED_DIGEST = _sources_digest()


def cache_folder() -> Path:
    """Folder of the compiled kernels of this version of the sources (`SIGHTLINE_CACHE` moves its parent)."""
    return cache.cache_folder() / "kernels" / _LOADED_DIGEST


@functools.cache
def _tidy(folder: Path) -> None:
    """Note, once in a process, that a folder is used; remove those beside it that were not used for long."""
    with contextlib.suppress(OSError):
        os.utime(folder)
    for other in folder.parent.iterdir():
        if re.fullmatch(r"[0-9a-f]{16}(\.removed)?", other.name) and other != folder:
            with contextlib.suppress(OSError):
                _remove_if_unused(other)


def _remove_if_unused(folder: Path) -> None:
    """Remove a folder by renaming it first, so that no other process sees a part of it.

    One that is about to use it compiles anew.
    """
    if time.time() - folder.stat().st_mtime < UNUSED_SECONDS:
        return
    if folder.suffix != ".removed":
        folder = folder.rename(folder.with_name(f"{folder.name}.removed"))
    shutil.rmtree(folder, ignore_errors=True)


def compile_seconds() -> float:
    """Time this process has spent on compiling kernels or loading them from disk."""
    return _spent["seconds"]


class Kernel:
    """A function compiled for one floating-point type at a time, on its first call with that type.

    Args:
        function: the Python function; it must not allocate what outlives it, and gets ranges to work on.
        signature: Numba signature in which `T` stands for the floating-point type.
        fastmath: LLVM flags.
    """

    def __init__(self, function: Callable, signature: str, fastmath: frozenset[str]):
        self.function, self.signature, self.fastmath = function, signature, fastmath
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self._compiled: dict[str, Callable] = {}

    def compiled(self, dtype: np.dtype | type = np.float32) -> Callable:
        """The machine code for a floating-point type (compiles or loads it on first use)."""
        name = np.dtype(dtype).name
        found = self._compiled.get(name)
        return found if found is not None else self._compile(name)

    def _compile(self, name: str) -> Callable:
        with _compile_lock:
            if name not in self._compiled:
                started = time.perf_counter()
                signature = re.sub(r"\bT\b", name, self.signature)
                options = {
                    "nogil": True,
                    "fastmath": set(self.fastmath),
                    "boundscheck": False,
                    "error_model": "numpy",
                }
                # Numba makes its settings from the environment, so that type checkers do not know them.
                settings: Any = numba.config
                folder, earlier = cache_folder(), settings.CACHE_DIR
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    _tidy(folder)
                    settings.CACHE_DIR = str(folder)
                    self._compiled[name] = numba.njit(signature, cache=True, **options)(self.function)
                except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
                    if isinstance(error, EOFError | pickle.UnpicklingError):
                        # A crash has cut files short: let later kernels and processes write them anew.
                        shutil.rmtree(folder, ignore_errors=True)
                    # No cache to read or write: compile for this process only.
                    self._compiled[name] = numba.njit(signature, **options)(self.function)
                finally:
                    settings.CACHE_DIR = earlier
                _spent["seconds"] += time.perf_counter() - started
                _spent["kernels"] += 1
            return self._compiled[name]


def kernel(signature: str, fastmath: frozenset[str] = FAST) -> Callable[[Callable], Kernel]:
    """Decorate a function as a CPU kernel; see `Kernel`."""
    return lambda function: Kernel(function, signature, fastmath)


def inline(function: Callable | None = None, *, fastmath: frozenset[str] = FAST) -> Callable:
    """Mark a small function that kernels call; LLVM inlines it, and it is compiled with its caller."""
    if function is None:
        return lambda wrapped: inline(wrapped, fastmath=fastmath)
    return numba.njit(nogil=True, fastmath=set(fastmath), error_model="numpy")(function)
