"""Posed photos as one thing, whatever they look like on disk: captures, collections, readers and writers.

Importing this package is cheap: the names below (and with them torch) load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.captures.capture import Capture as Capture
    from sightline.captures.capture import Points as Points
    from sightline.captures.checks import require_training_views as require_training_views
    from sightline.captures.collection import Collection as Collection
    from sightline.captures.collection import CollectionObject as CollectionObject
    from sightline.captures.drawing import draw_cameras as draw_cameras
    from sightline.captures.drawing import draw_cameras_svg as draw_cameras_svg
    from sightline.captures.image_store import ImageStore as ImageStore
    from sightline.captures.inspection import CaptureFacts as CaptureFacts
    from sightline.captures.inspection import inspect_capture as inspect_capture
    from sightline.captures.opening import captures_inside as captures_inside
    from sightline.captures.opening import detect_format as detect_format
    from sightline.captures.opening import open_capture as open_capture
    from sightline.captures.record import CaptureRecord as CaptureRecord
    from sightline.captures.record import capture_to_json as capture_to_json
    from sightline.captures.writing import writable_formats as writable_formats
    from sightline.captures.writing import write_capture as write_capture

_PUBLIC = {
    "Capture": "capture",
    "CaptureFacts": "inspection",
    "CaptureRecord": "record",
    "Collection": "collection",
    "CollectionObject": "collection",
    "ImageStore": "image_store",
    "Points": "capture",
    "capture_to_json": "record",
    "captures_inside": "opening",
    "detect_format": "opening",
    "draw_cameras": "drawing",
    "draw_cameras_svg": "drawing",
    "inspect_capture": "inspection",
    "open_capture": "opening",
    "require_training_views": "checks",
    "writable_formats": "writing",
    "write_capture": "writing",
}

__all__ = [
    "Capture",
    "CaptureFacts",
    "CaptureRecord",
    "Collection",
    "CollectionObject",
    "ImageStore",
    "Points",
    "capture_to_json",
    "captures_inside",
    "detect_format",
    "draw_cameras",
    "draw_cameras_svg",
    "inspect_capture",
    "open_capture",
    "require_training_views",
    "writable_formats",
    "write_capture",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
