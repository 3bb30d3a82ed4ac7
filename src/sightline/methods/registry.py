"""What methods exist, without importing torch: names, summaries, presets and where their code is.

A method of this package is one line in `_BUILT_IN`; a method of another package registers a `MethodInfo`
through the entry point group `sightline.methods`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sightline.foundation.errors import InputError
from sightline.foundation.registry import Registry, load

ENTRY_POINTS = "sightline.methods"


@dataclass(frozen=True, kw_only=True)
class MethodInfo:
    """What the command line needs to know of a method before loading it."""

    name: str
    """name on the command line and in run.json"""
    summary: str
    """one line for the list of methods"""
    paper: str
    """author, year and venue of the source"""
    learns: str
    """'one scene' or 'many scenes'"""
    config: str
    """'module:Class' of the frozen configuration dataclass (a module without torch)"""
    method: str
    """'module:Class' of the Method"""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """preset name → configuration fields that it sets"""
    default_preset: str | None = None
    default_minutes: float | None = None
    """training time where neither --minutes nor --steps is given"""
    default_steps: int | None = None
    """the same in steps, for methods whose schedule is published in steps"""
    translate: str | None = None
    """'module:function' that turns what a settings file of the published program holds, by name, into
    settings of the configuration: called with that and the file's path, it gives the rest back as it is"""

    def config_class(self) -> type:
        """Import the configuration class."""
        return load(self.config)

    def method_class(self) -> type:
        """Import the Method (and with it torch)."""
        return load(self.method)

    def build_config(self, preset: str | None = None, **overrides: Any) -> Any:
        """Make a configuration: defaults, then the preset's fields, then `overrides`."""
        config = self.config_class()()
        chosen = preset or self.default_preset
        if chosen is not None:
            if chosen not in self.presets:
                raise InputError(
                    f"{self.name} has no preset {chosen!r}",
                    where="--preset",
                    fix=f"Choose one of: {', '.join(self.presets)}",
                )
            config = replace(config, **self.presets[chosen])
        return replace(config, **overrides)


# One line per method: the module that holds its `INFO`.
_BUILT_IN = {
    "ngp": "sightline.methods.ngp.config:INFO",
    "nerf": "sightline.methods.nerf.config:INFO",
    "pixelnerf": "sightline.methods.pixelnerf.config:INFO",
    "enr": "sightline.methods.enr.config:INFO",
    "gpnr": "sightline.methods.gpnr.config:INFO",
}

_registry: Registry[MethodInfo] = Registry("method", ENTRY_POINTS, _BUILT_IN)


def list_methods() -> list[MethodInfo]:
    """Every method that is installed, the built-in ones first."""
    return _registry.all()


def get_method_info(name: str) -> MethodInfo:
    """Find a method by its name; InputError lists the names there are."""
    return _registry.find(name)
