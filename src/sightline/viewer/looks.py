"""What a browser wants to see, and what it is given."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

Mode = Literal["colour", "depth", "opacity", "error"]
MODES: tuple[Mode, ...] = ("colour", "depth", "opacity", "error")


@dataclass(frozen=True)
class Settings:
    """How pictures are made."""

    mode: Mode = "colour"
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """behind what is transparent, in [0, 1]"""
    box: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    """corners of what is shown, in the input frame; None for everything"""
    near: float = 0.0
    """what is nearer along the axis than this is left out, in units of the input"""
    longest: int = 640
    """pixels of the longer side at rest, where the window has as many"""
    budget: float = 0.08
    """seconds that a picture may take while the camera moves"""
    with_depth: bool = False
    """whether what is drawn in front of pictures shall be hidden by them"""


@dataclass(frozen=True, eq=False)
class Look:
    """A view that is asked for."""

    c2w: Float[np.ndarray, "3 4"]
    """camera to world, in the input frame, x right, y up, z backward"""
    fov: float
    """vertical field of view, radians"""
    width: int
    """of the window, pixels"""
    height: int
    settings: Settings = field(default_factory=Settings)

    def same(self, other: "Look | None") -> bool:
        """Whether another look would give the same pictures."""
        return (
            other is not None
            and (self.fov, self.width, self.height) == (other.fov, other.width, other.height)
            and self.settings == other.settings
            and bool(np.array_equal(self.c2w, other.c2w))
        )


@dataclass(frozen=True)
class Picture:
    """What was rendered for a look."""

    look: Look
    pixels: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "rows columns"] | None
    """distance along the axis in units of the input, infinite where there is nothing; it may be smaller than
    the picture"""
    last: bool
    """whether nothing finer follows"""
    seconds: float = 0.0
    """that rendering took"""
    facts: list[str] = field(default_factory=list)
    """what the status line says besides"""
    note: str | None = None
    """why the picture is not what was asked for"""


@dataclass(frozen=True)
class Failure:
    """A picture that could not be made."""

    look: Look
    reason: str
