"""The threads that PyTorch's own operations run on, for kernels between them.

PyTorch's build for Linux has GNU's OpenMP. Between two operations its threads wait spinning, for some
milliseconds: threads of our own would share the cores with them and get half of their time.
"""

import ctypes
import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

_jobs: dict[int, Callable[[], None]] = {}
_numbers = itertools.count(1)
_KIND = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_OWNER = os.getpid()


@functools.cache
def _opening() -> Callable | None:
    """Find the function of OpenMP that opens a parallel region."""
    if sys.platform != "linux" or "OpenMP" not in torch.__config__.parallel_info():
        return None
    for path in sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*")):
        try:
            found = ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        found.argtypes = [_KIND, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        found.restype = None
        return found
    return None


def can_run() -> bool:
    """Say whether there are such threads; a forked process has none of its parent's."""
    return os.getpid() == _OWNER and _opening() is not None


@_KIND
def _enter(number: int) -> None:
    _jobs[number]()


def run(work: Callable[[], None], threads: int) -> None:
    """Call `work`, which must not raise, on so many threads at once, of which this is one."""
    opening = _opening()
    assert opening is not None
    number = next(_numbers)
    _jobs[number] = work
    try:
        opening(_enter, number, threads, 0)
    finally:
        del _jobs[number]
