"""Ctrl-C and SIGTERM: asked to stop, training ends after the step at hand, saves, and says so."""

import _thread
import signal
import sys
import threading
from types import FrameType
from typing import Any, Protocol

from sightline.foundation.interruption import Interruption, is_importing


class Flag(Protocol):
    """Something that can be raised once, also from another process."""

    def set(self) -> None:
        """Raise the flag."""
        ...

    def is_set(self) -> bool:
        """Whether it is raised."""
        ...


class StopRequests:
    """Notes requests to stop while it is entered; outside, signals do what they did before.

    Until `defer` is called there is nothing to save, so a request raises `Interruption` at once. After it,
    the first request raises the flag only; a second one, for the impatient, raises it as well.
    Signals reach a process's main thread only: entered in another thread, this does nothing but hold the
    flag.
    """

    def __init__(self, flag: Flag | None = None):
        self.flag: Flag = flag if flag is not None else threading.Event()
        self._deferred = False
        self._seen = 0
        self._earlier: dict[int, Any] = {}
        self._earlier_hook: Any = None
        self._again: threading.Timer | None = None

    def defer(self, deferred: bool = True) -> None:
        """From now on let the step at hand finish. Raises `Interruption` where a request came before."""
        if deferred and not self._deferred and self.flag.is_set():
            raise Interruption
        self._deferred = deferred

    def requested(self) -> bool:
        """Whether training should stop."""
        return self.flag.is_set()

    def __enter__(self) -> "StopRequests":
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
                number = getattr(signal, name, None)
                if number is not None:
                    self._earlier[number] = signal.signal(number, self._on_signal)
            self._earlier_hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier.clear()
        if self._earlier_hook is not None:
            sys.unraisablehook = self._earlier_hook
        if self._again is not None:
            self._again.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._seen += 1
        self.flag.set()
        # What came while a module was being imported is looked at in `defer`.
        if self._seen > 1 or not (self._deferred or is_importing(frame)):
            raise Interruption

    def _on_unraisable(self, arguments: "sys.UnraisableHookArgs") -> None:
        """Make a request again that met a callback of a compiled library, which cannot pass it on."""
        if not isinstance(arguments.exc_value, Interruption):
            self._earlier_hook(arguments)
            return
        self._again = threading.Timer(0.05, _thread.interrupt_main)
        self._again.start()
