"""Posed photos as one thing, whatever they look like on disk: captures, collections, readers and writers.

Importing this package is cheap: the names below (and with them torch) load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.captures.capture import Capture as Capture
    from sightline.captures.capture import Points as Points
    from sightline.captures.image_store import ImageStore as ImageStore
    from sightline.captures.opening import detect_format as detect_format
    from sightline.captures.opening import open_capture as open_capture

_PUBLIC = {
    "Capture": "capture",
    "Points": "capture",
    "ImageStore": "image_store",
    "detect_format": "opening",
    "open_capture": "opening",
}

__all__ = ["Capture", "ImageStore", "Points", "detect_format", "open_capture"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
