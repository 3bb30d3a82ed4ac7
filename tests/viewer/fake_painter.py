"""A painter without a scene, whose time is its own, for tests of who is rendered for when."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightline.viewer.looks import Look, Picture, Settings
from sightline.viewer.pace import Pace
from sightline.viewer.passes import Pass

RATE = 100_000.0


@dataclass
class Clock:
    """Seconds that pass when somebody says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakePainter:
    """Takes 1 s for `RATE` rays, drafts too, and notes what it was asked for."""

    clock: Clock
    whole: bool = False
    pieces: list[tuple[int, int, int, bool]] = field(default_factory=list)
    fails: bool = False

    def paint(self, look: Look, one: Pass, first: int, end: int) -> Any:
        if self.fails:
            raise RuntimeError("no picture today")
        self.clock.now += (end - first) * one.width / RATE
        self.pieces.append((one.width, first, end, one.draft))
        return np.full((end - first, one.width), look.fov)

    def finish(self, look: Look, one: Pass, parts: list[Any], seconds: float) -> Picture:
        grey = np.concatenate(parts)
        assert grey.shape == (one.height, one.width)
        return Picture(look, np.zeros((one.height, one.width, 3), np.uint8), None, one.last, seconds)


def make_look(mark: float = 0.5, width: int = 800, height: int = 600, **settings: Any) -> Look:
    """A look that is told from others by its field of view."""
    return Look(np.eye(4)[:3], mark, width, height, Settings(**settings))


def known_pace() -> Pace:
    pace = Pace()
    pace.add(int(RATE), 1.0, False)
    pace.add(int(RATE), 1.0, True)
    return pace
