"""What a training will need, told before it starts: memory, disk, time."""

import ctypes
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from sightline.captures import Capture
from sightline.foundation.errors import InputError, warn
from sightline.training.settings import TrainSettings

_BASE = 600 << 20
"""Python, PyTorch and the compiled kernels"""
_LOGS = 5 << 20
_STATE_COPIES = 2
"""Adam keeps two numbers per parameter"""


@dataclass(frozen=True)
class Estimate:
    """What a training needs, in bytes; rough, and rather too much than too little."""

    memory: int
    disk: int

    def __str__(self) -> str:
        return f"about {_size(self.memory)} of memory and {_size(self.disk)} of disk"


def estimate(method: nn.Module, capture: object, settings: TrainSettings) -> Estimate:
    """Estimate from the method's parameters and the capture's images."""
    parameters = sum(p.numel() * p.element_size() for p in method.parameters())
    buffers = sum(b.numel() * b.element_size() for b in method.buffers())
    weights, state = parameters + buffers, _STATE_COPIES * parameters
    # Once in the capture's cache and once where the method draws its batches from.
    images = 2 * capture.images.nbytes if isinstance(capture, Capture) else 0
    # Parameters, gradients and optimiser, and the copy that a checkpoint takes of all but the gradients.
    memory = _BASE + images + 2 * parameters + buffers + 2 * state + weights
    milestones = settings.steps // settings.save_every if settings.steps and settings.save_every else 0
    # The new weights are written beside the old ones; the best ones are kept too.
    disk = weights * (3 + milestones) + 2 * state + _LOGS
    return Estimate(memory=memory * settings.devices, disk=disk)


def check(need: Estimate, folder: Path) -> None:
    """Compare with what the machine has: too little disk is an InputError, too little memory a warning."""
    free = shutil.disk_usage(folder).free
    # What an earlier part of the training wrote is counted in the need already, and will be replaced.
    more = need.disk - sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
    if free < more:
        raise InputError(
            f"The run needs about {_size(more)} of disk, but {_size(free)} are free",
            where=folder,
            fix="Free some space or choose another --out",
        )
    memory = available_memory()
    if memory is not None and memory < need.memory:
        warn(
            f"The training needs about {_size(need.memory)} of memory, but {_size(memory)} are free; "
            "a larger --downscale needs less"
        )


def available_memory() -> int | None:
    """Bytes of memory that programs can still get; None where the system does not say."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _windows_memory() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *[(f"value_{k}", ctypes.c_ulonglong) for k in range(7)],
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.value_1)


def _size(count: float) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
