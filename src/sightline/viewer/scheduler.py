"""Who is rendered for next: pictures for several browsers, by one worker.

A look begins with a coarse picture, which is always finished, so that something follows a camera that never
rests. Finer ones are rendered in pieces, and dropped between two of them when the browser looks elsewhere.
Browsers that wait share the worker's time evenly: the next piece is for the one that has had the least.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sightline.viewer.looks import Failure, Look, Picture
from sightline.viewer.pace import Pace
from sightline.viewer.passes import Pass, pieces, plan

Show = Callable[[Picture | Failure], None]


class Painter(Protocol):
    """Renders a scene. Only one of its methods runs at a time, always in the worker's thread."""

    @property
    def whole(self) -> bool:
        """Whether pictures are made in one go, not in bands of rows."""
        ...

    def paint(self, look: Look, one: Pass, first: int, end: int) -> Any:
        """Render the rows from `first` to before `end` of a picture."""
        ...

    def finish(self, look: Look, one: Pass, parts: list[Any], seconds: float) -> Picture:
        """Make a picture of all its parts, in order."""
        ...


@dataclass
class _Work:
    """The pictures of one look that are still to be made."""

    look: Look
    passes: list[Pass]
    bands: list[tuple[int, int]] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    begun: bool = False
    """whether its first picture has been shown"""


@dataclass
class _Client:
    painter: Painter
    show: Show
    pace: Pace
    wanted: Look | None = None
    """newest look that nothing was rendered for yet"""
    work: _Work | None = None
    seen: Look | None = None
    spent: float = 0.0
    """seconds of the worker, counted from when it last had nothing to do for this browser"""
    moved: float = -1e9
    """when the last look came"""

    @property
    def waits(self) -> bool:
        return self.wanted is not None or self.work is not None


class Scheduler:
    """Looks come in from any thread; one thread calls `work`, or `run`.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._clients: dict[int, _Client] = {}
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self.patience: float | None = None
        """seconds that a finished picture may take; None for as long as it needs"""

    def open(self, client: int, painter: Painter, show: Show, pace: Pace | None = None) -> None:
        """Begin to serve a browser.

        Args:
            show: called with each picture, from the worker's thread.
            pace: what is known of the scene's speed.
        """
        with self._changed:
            self._clients[client] = _Client(painter, show, pace or Pace())

    def close(self, client: int) -> None:
        """Forget a browser and everything that was under way for it; nothing is shown to it afterwards."""
        with self._changed:
            self._clients.pop(client, None)
            self._changed.notify_all()

    def exchange(self, client: int, painter: Painter, pace: Pace | None = None) -> None:
        """Show a browser another scene from now on, from where it looks."""
        with self._changed:
            found = self._clients.get(client)
            if found is None:
                return
            found.painter, found.pace = painter, pace or Pace()
            self._again(found)

    def look(self, client: int, look: Look) -> bool:
        """Ask for a view; says whether it is another one than was asked for last."""
        with self._changed:
            found = self._clients.get(client)
            if found is None or look.same(found.seen):
                return False
            self._put(found, look)
            found.moved = self._clock()
            return True

    def refresh(self, *, gently: bool = False) -> None:
        """Render everybody's view again, since the scene has changed.

        Args:
            gently: only for browsers that wait for nothing, and only the finished picture.
        """
        with self._changed:
            for found in self._clients.values():
                if not gently:
                    self._again(found)
                elif not found.waits and found.seen is not None:
                    self._rejoin(found)
                    last = plan(found.seen, found.pace, 1, self.patience)[-1:]
                    found.work = _Work(found.seen, last, begun=True)
            self._changed.notify_all()

    def call(self, job: Callable[[], None]) -> None:
        """Let the worker do something else before its next piece: what the scene's method must do alone.

        The job itself says what went wrong in it.
        """
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    @property
    def clients(self) -> int:
        """How many browsers are served."""
        return len(self._clients)

    @property
    def waiting(self) -> bool:
        """Whether there is anything to render."""
        with self._changed:
            return self._waiting()

    def _waiting(self) -> bool:
        return bool(self._jobs) or any(client.waits for client in self._clients.values())

    def moving(self, within: float) -> bool:
        """Whether somebody's look has changed in the last `within` seconds."""
        now = self._clock()
        with self._changed:
            return any(now - client.moved <= within for client in self._clients.values())

    def work(self) -> bool:
        """Render one piece, or do one job; says whether there was anything to do."""
        with self._changed:
            job = self._jobs.popleft() if self._jobs else None
        if job is not None:
            job()
            return True
        with self._changed:
            chosen = self._next()
            if chosen is None:
                return False
            number, client = chosen
            work = self._work_of(client)
        started = self._clock()
        shown = self._piece(client, work)
        seconds = self._clock() - started
        with self._changed:
            client.spent += seconds
            current = self._clients.get(number) is client and client.work is work
            if shown is not None and current:
                work.begun = True
                if isinstance(shown, Failure) or not work.passes:
                    client.work = None
        if shown is not None and current:
            client.show(shown)
        return True

    def run(self, stopped: threading.Event) -> None:
        """Render until `stopped` is set; `wake` after setting it."""
        while not stopped.is_set():
            if not self.work():
                with self._changed:
                    if not stopped.is_set() and not self._waiting():
                        self._changed.wait()

    def wake(self) -> None:
        """Let `run` look again whether it shall stop."""
        with self._changed:
            self._changed.notify_all()

    def _put(self, client: _Client, look: Look) -> None:
        self._rejoin(client)
        client.wanted = client.seen = look
        self._changed.notify_all()

    def _again(self, client: _Client) -> None:
        # What is under way is of the earlier scene.
        client.work = None
        if client.seen is not None:
            self._put(client, client.seen)

    def _rejoin(self, client: _Client) -> None:
        """Let a browser that has waited for nothing not have saved up time."""
        others = [c.spent for c in self._clients.values() if c.waits and c is not client]
        if not client.waits:
            client.spent = max(client.spent, min(others)) if others else client.spent

    def _next(self) -> tuple[int, _Client] | None:
        waiting = [(number, client) for number, client in self._clients.items() if client.waits]
        return min(waiting, key=lambda entry: entry[1].spent) if waiting else None

    def _work_of(self, client: _Client) -> _Work:
        """Go on with what is under way, or begin the look that has come since."""
        work = client.work
        if client.wanted is not None and (work is None or work.begun):
            sharing = sum(other.waits for other in self._clients.values())
            passes = plan(client.wanted, client.pace, sharing, self.patience)
            work = client.work = _Work(client.wanted, passes)
            client.wanted = None
        assert work is not None
        return work

    def _piece(self, client: _Client, work: _Work) -> Picture | Failure | None:
        """Render the next piece; gives the picture that it completes."""
        one, painter = work.passes[0], client.painter
        if not work.bands:
            # The first picture is not dropped, so there is nothing to cut it up for.
            in_one = painter.whole or not work.begun
            work.bands = [(0, one.height)] if in_one else list(pieces(one, client.pace))
            work.parts, work.seconds = [], 0.0
        first, end = work.bands[0]
        try:
            started = self._clock()
            work.parts.append(painter.paint(work.look, one, first, end))
            seconds = self._clock() - started
            work.seconds += seconds
            client.pace.add((end - first) * one.width, seconds, one.draft)
            work.bands.pop(0)
            if work.bands:
                return None
            work.passes.pop(0)
            return painter.finish(work.look, one, work.parts, work.seconds)
        except Exception as error:  # one browser's picture must not end the pictures of all
            return Failure(work.look, str(error) or type(error).__name__)
