"""The formats of posed images. One file per format; one line each in `_BUILT_IN`.

Another package adds a format by registering a `Format` under the entry point group `sightline.formats`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.foundation.registry import Registry

if TYPE_CHECKING:
    from sightline.captures.capture import Capture
    from sightline.captures.collection import Collection
    from sightline.captures.frames import ReadOptions

ENTRY_POINTS = "sightline.formats"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way of laying out posed images on disk."""

    name: str
    """name for `--to` and in records"""
    summary: str
    """one line for lists"""
    looked_for: str
    """what detection looks for, for the message when nothing is found; empty where it is never detected"""
    detect: Callable[[Path], bool]
    """whether a folder or file looks like this format; must be quick and not raise"""
    read: "Callable[[Path, ReadOptions], Capture | Collection]"
    write: "Callable[[Capture, Path], None] | None" = None
    """write a capture into an empty folder; None where there is no writer"""


# One line per format, in the order in which they are tried.
_BUILT_IN = {
    "blender": "sightline.captures.formats.blender:FORMAT",
    "multi-object": "sightline.captures.formats.multi_object:FORMAT",
    "transforms": "sightline.captures.formats.transforms:FORMAT",
    "shiny": "sightline.captures.formats.shiny:FORMAT",
    "llff": "sightline.captures.formats.llff:FORMAT",
    "colmap": "sightline.captures.formats.colmap:FORMAT",
    "colmap-text": "sightline.captures.formats.colmap:FORMAT_TEXT",
    "polycam": "sightline.captures.formats.polycam:FORMAT",
    "srn": "sightline.captures.formats.srn:FORMAT",
    "deepvoxels": "sightline.captures.formats.deepvoxels:FORMAT",
    "enr": "sightline.captures.formats.enr:FORMAT",
    "nmr": "sightline.captures.formats.nmr:FORMAT",
    "nmr-unseen": "sightline.captures.formats.nmr:FORMAT_UNSEEN",
    "dtu": "sightline.captures.formats.dtu:FORMAT",
    "tiny_nerf": "sightline.captures.formats.tiny_nerf:FORMAT",
    "scenes": "sightline.captures.formats.scenes:FORMAT",
}

_registry: Registry[Format] = Registry("format", ENTRY_POINTS, _BUILT_IN)


def list_formats() -> list[Format]:
    """Every format that is installed, in the order of detection: the built-in ones first."""
    return _registry.all()


def get_format(name: str) -> Format:
    """Find a format by its name; InputError lists the names there are."""
    return _registry.find(name)
