"""Rendering while a scene is trained: between steps, in the training's own thread, for a part of its time."""

import time
from collections.abc import Callable

from sightline.viewer.scheduler import Scheduler

MOVING_SHARE = 0.25
"""part of the time that pictures take while somebody moves"""
RESTING_SHARE = 0.05
"""part of it otherwise"""
REFRESH_SECONDS = 2.0
"""after which a picture at rest is made again, if its part of the time allows"""
LONGEST_PICTURE = 0.5
"""seconds: finished pictures are smaller while training goes on, so that they keep up with it"""
_MOVED_WITHIN = 1.0
_MOST_CREDIT = 0.2
"""seconds: nobody who comes back finds more saved up for him than a quick first picture takes"""


class Turns:
    """Gives the pictures their part of the time.

    Training earns them credit, in proportion to its own time; what they take is paid from it, afterwards
    where a piece took longer. Where no browser is open they get nothing.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float] = time.perf_counter,
        before_refresh: Callable[[], None] | None = None,
    ):
        self._scheduler, self._clock, self._before = scheduler, clock, before_refresh
        self._credit = 0.0
        self._since = self._refreshed = clock()

    def skip(self) -> None:
        """Let a turn go by that nobody needs."""
        self._since, self._credit = self._clock(), 0.0

    def take(self) -> float:
        """Render what there is credit for; gives the seconds that it took. Call it between two steps."""
        now = self._clock()
        trained, self._since = now - self._since, now
        if self._scheduler.clients == 0:
            self._credit = 0.0
            return 0.0
        share = MOVING_SHARE if self._scheduler.moving(_MOVED_WITHIN) else RESTING_SHARE
        self._credit = min(self._credit + trained * share / (1 - share), _MOST_CREDIT)
        if not self._scheduler.waiting and now - self._refreshed > REFRESH_SECONDS:
            self._refreshed = now
            if self._before is not None:
                self._scheduler.call(self._before)
            self._scheduler.refresh(gently=True)
        while self._credit > 0 and self._scheduler.work():
            after = self._clock()
            self._credit -= after - self._since
            self._since = after
        return self._since - now
