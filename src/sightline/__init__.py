"""Sightline: new views of a scene from photos, on the computer you have.

The names of the public Python interface load on first use, so that importing the package (and with it
``sightline --help``) stays free of torch and numba.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Threads of GNU's OpenMP wait for each other spinning, which PyTorch's do hundreds of times in a step: some
# tenths of a millisecond bridge the gaps between operations; longer, they take the cores from whatever else
# runs on the machine, and from threads of their own that it has put aside. It counts where torch comes later.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:
    from sightline.captures import open_capture as open_capture
    from sightline.workflows.api import find_poses as find_poses
    from sightline.workflows.api import load as load
    from sightline.workflows.api import train as train

__version__ = "0.1.0"

_PUBLIC = {
    "find_poses": "sightline.workflows.api",
    "load": "sightline.workflows.api",
    "train": "sightline.workflows.api",
    "open_capture": "sightline.captures",
}

__all__ = ["__version__", "find_poses", "load", "open_capture", "train"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")
