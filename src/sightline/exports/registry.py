"""What can be exported, without importing torch: names, summaries, and where the code is.

An exporter of this package is one line in `_BUILT_IN`; one of another package registers an `ExportInfo`
through the entry point group `sightline.exports`.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from sightline.foundation.errors import InputError

ENTRY_POINTS = "sightline.exports"


@dataclass(frozen=True, kw_only=True)
class ExportInfo:
    """What the command line needs to know of an exporter before loading it."""

    name: str
    """name on the command line"""
    summary: str
    """one line for the list of exports"""
    options: str
    """'module:Class' of the frozen dataclass of its settings (a module without torch)"""
    export: str
    """'module:function' that takes (source, options, out) and gives an `Exported`"""

    def options_class(self) -> type:
        """Import the class of the settings."""
        return _load(self.options)

    def function(self) -> Any:
        """Import the exporter (and with it torch)."""
        return _load(self.export)


def _load(reference: str) -> Any:
    module, name = reference.split(":")
    return getattr(import_module(module), name)


# One line per exporter: the module that holds its `INFO`.
_BUILT_IN = {
    "mesh": "sightline.exports.mesh.config:INFO",
    "points": "sightline.exports.points.config:INFO",
    "volume": "sightline.exports.volume.config:INFO",
    "weights": "sightline.exports.weights.config:INFO",
}


def list_exports() -> list[ExportInfo]:
    """Every exporter that is installed, the built-in ones first."""
    found = [_load(reference) for reference in _BUILT_IN.values()]
    return found + [point.load() for point in entry_points(group=ENTRY_POINTS)]


def get_export_info(name: str) -> ExportInfo:
    """Find an exporter by its name; InputError lists the names there are."""
    if name in _BUILT_IN:
        return _load(_BUILT_IN[name])
    for info in list_exports():
        if info.name == name:
            return info
    known = ", ".join(info.name for info in list_exports())
    raise InputError(f"There is no export {name!r}", fix=f"Choose one of: {known}")
