"""What an importer is, and what it gives (no torch)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.foundation.tensors import read_foreign

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SourceFile:
    """A file of another program, and what is in it (`foundation.tensors.read_foreign`)."""

    path: Path
    content: Any

    @classmethod
    def read(cls, path: Path) -> "SourceFile":
        """Read the file; InputError where it cannot be read."""
        return cls(path, read_foreign(path))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a checkpoint says, before presets and data complete it."""

    method: str
    """registry name of the method that its weights are of"""
    preset: str
    """the preset for what it does not say"""
    weights: "Callable[[Any], dict[str, Tensor]]"
    """from the complete configuration to the method's parameters and buffers by name; InputError lists every
    tensor of the file that is missing, not known, or of another shape"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """of the method's configuration, as the file has them"""
    exact: Mapping[str, Any] = field(default_factory=dict)
    """settings by which the method computes as the program does, where that is not its fastest way"""
    fixed: frozenset[str] = frozenset()
    """those of the settings that follow from the weights, so that no other value would fit"""
    told: tuple[str, ...] = ()
    """settings that decide what is seen and that are told to the user, wherever they come from"""
    step: int = 0
    """training steps that made the weights; 0 where it is not known"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """other things that the file says, for the record"""
    split_rule: str | None = None
    """how the program splits captures that state no split"""
    image_width: int | None = None
    """pixels of the pictures that it was trained on"""
    resize_rule: str | None = None
    """how the program makes pictures smaller"""
    state_without_data: Callable[[Any], dict[str, Any]] | None = None
    """from the configuration to the method's state where no data is given; InputError where data is needed"""
    found_in_data: Callable[[Mapping[str, Any]], dict[str, Any]] = field(default=lambda state: {})
    """from the method's state to what of it is told to the user"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A program whose checkpoints are read."""

    name: str
    """as on the command line"""
    summary: str
    """its files, in a few words"""
    looked_for: str
    """what they are recognised by"""
    presets: tuple[str, ...]
    """presets of the method that can go with them"""
    recognise: Callable[[Any], bool]
    """whether the content of a file is of this program"""
    read: Callable[[Sequence[SourceFile]], Reading]
    """make files that belong together into one reading"""
    companions: Callable[[Path], list[Path]] = field(default=lambda path: [])
    """files beside a file that belong to it, in the order in which they are read"""
