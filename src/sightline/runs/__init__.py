"""The run folder: configuration, weights, checkpoints, resume. Importing this package loads no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.runs.run import Run as Run

_PUBLIC = {"Run": "run"}

__all__ = ["Run"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
