"""How long to train: the clock, and the part of the training that is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sightline.methods.base import Progress


@dataclass
class Budget:
    """A number of steps or a number of seconds, and the clock that started when the data was opened.

    Seconds of earlier parts of a resumed run count; `clock` can be replaced in tests.
    """

    steps: int | None = None
    seconds: float | None = None
    earlier: float = 0.0
    """training seconds before this part"""
    clock: Callable[[], float] = time.perf_counter
    started: float = field(init=False)
    paused: float = field(default=0.0, init=False)
    """seconds of other work, which are not training time"""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("a budget is a number of steps or of seconds")
        self.started = self.clock()

    def elapsed(self) -> float:
        """Training seconds so far, over all resumed parts."""
        return self.earlier + self.clock() - self.started - self.paused

    def pause(self, seconds: float) -> None:
        """Leave seconds out that were spent on something else than training."""
        self.paused += seconds

    def progress(self, step: int) -> Progress:
        """Where training stands after `step` steps."""
        seconds = self.elapsed()
        part = step / self.steps if self.steps is not None else seconds / (self.seconds or 1)
        return Progress(step, min(part, 1.0), seconds)

    def seconds_left(self, progress: Progress) -> float | None:
        """Estimate the time to the end; None as long as nothing is known."""
        if self.seconds is not None:
            return max(0.0, self.seconds - progress.seconds)
        if progress.fraction <= 0 or progress.seconds <= self.earlier:
            return None
        return progress.seconds * (1 - progress.fraction) / progress.fraction
