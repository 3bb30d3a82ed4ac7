"""Named parts that are loaded when they are asked for, and those that other packages add."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, Protocol, TypeVar

from sightline.foundation.errors import InputError


class Named(Protocol):
    """Anything with a name of its own."""

    @property
    def name(self) -> str:
        """What it is called by users."""
        ...


T = TypeVar("T", bound=Named)


def load(reference: str) -> Any:
    """Import what 'module:name' stands for."""
    module, name = reference.split(":")
    return getattr(import_module(module), name)


class Registry(Generic[T]):
    """The parts of one kind.

    Args:
        kind: what one is called in messages.
        group: entry point group through which other packages add theirs.
        built_in: name → 'module:name' of the package's own, in their order.
    """

    def __init__(self, kind: str, group: str, built_in: Mapping[str, str]):
        self.kind, self.group, self.built_in = kind, group, built_in

    def all(self) -> list[T]:
        """Every part that is installed, the built-in ones first."""
        found = [load(reference) for reference in self.built_in.values()]
        return found + [point.load() for point in entry_points(group=self.group)]

    def find(self, name: str) -> T:
        """Give the part of a name; InputError lists the names there are."""
        if name in self.built_in:
            return load(self.built_in[name])
        parts = self.all()
        for part in parts:
            if part.name == name:
                return part
        known = ", ".join(part.name for part in parts)
        raise InputError(f"There is no {self.kind} {name!r}", fix=f"Choose one of: {known}")
