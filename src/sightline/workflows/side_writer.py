"""Writing a second stream of frames while a first one is written."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

_WAITING = 4
"""frames that may wait for the writer"""


class _Abandoned(Exception):
    pass


class SideWriter:
    """Feeds frames to a writer in a thread of its own, since a video writer takes all of its frames in one
    call.

    Args:
        write: takes an iterator of frames, and writes them.
    """

    def __init__(self, write: Callable[[Iterator[np.ndarray]], object]):
        self._frames: queue.Queue[np.ndarray | Exception | None] = queue.Queue(maxsize=_WAITING)
        self._error: BaseException | None = None
        self._write = write
        self._thread = threading.Thread(target=self._run, name="sightline-side", daemon=True)
        self._thread.start()

    def put(self, frame: np.ndarray) -> None:
        """Give the next frame; raises what the writer raised."""
        self._put(frame)
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Say that all frames were given, and wait until they are written; raises what the writer raised."""
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the writer if it is still at work: what it wrote is not whole, and it is told so."""
        self._put(_Abandoned())
        self._thread.join()

    def _put(self, item: np.ndarray | Exception | None) -> None:
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._frames.put(item, timeout=0.2)
                return

    def _run(self) -> None:
        try:
            self._write(self._taken())
        except BaseException as error:
            self._error = error

    def _taken(self) -> Iterator[np.ndarray]:
        while (item := self._frames.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
