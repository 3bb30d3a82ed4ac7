"""What the machine can do: threads and processor features (no torch, no numba)."""

import ctypes
import functools
import os
import platform
import subprocess
from pathlib import Path


def available_cores() -> int:
    """Count the cores this process may use (an affinity mask or `SIGHTLINE_THREADS` can lower it)."""
    wanted = os.environ.get("SIGHTLINE_THREADS")
    if wanted and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


@functools.cache
def processor_name() -> str:
    """Name the processor for reports, as the operating system gives it."""
    system = platform.system()
    if system == "Linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    if system == "Darwin":
        found = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        if found.stdout.strip():
            return found.stdout.strip()
    return platform.processor() or platform.machine()


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed blocks of up to 32 MiB for the next request, where it is glibc.

    By default it returns them to the system, and a training step that needs the same megabytes again pays for
    every page anew: 13 % of the time of a step of `ngp`. Says whether anything was changed.
    """
    if platform.system() != "Linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of <malloc.h>.
    settings = ((-3, 32 << 20), (-1, 1 << 30), (-2, 64 << 20))
    return all([bool(mallopt(name, value)) for name, value in settings])
