"""What can be exported, without importing torch: names, summaries, and where the code is.

An exporter of this package is one line in `_BUILT_IN`; one of another package registers an `ExportInfo`
through the entry point group `sightline.exports`.
"""

from dataclasses import dataclass
from typing import Any

from sightline.foundation.registry import Registry, load

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
    needs: tuple[tuple[str, ...], ...] = ()
    """capabilities that the scene must have: of each group one"""

    def options_class(self) -> type:
        """Import the class of the settings."""
        return load(self.options)

    def function(self) -> Any:
        """Import the exporter (and with it torch)."""
        return load(self.export)


# One line per exporter: the module that holds its `INFO`.
_BUILT_IN = {
    "mesh": "sightline.exports.mesh.config:INFO",
    "points": "sightline.exports.points.config:INFO",
    "volume": "sightline.exports.volume.config:INFO",
    "weights": "sightline.exports.weights.config:INFO",
    "web": "sightline.exports.web.config:INFO",
}

_registry: Registry[ExportInfo] = Registry("export", ENTRY_POINTS, _BUILT_IN)


def list_exports() -> list[ExportInfo]:
    """Every exporter that is installed, the built-in ones first."""
    return _registry.all()


def get_export_info(name: str) -> ExportInfo:
    """Find an exporter by its name; InputError lists the names there are."""
    return _registry.find(name)
