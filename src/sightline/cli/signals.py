"""Ctrl-C and SIGTERM at any moment of a command, also while it is loading."""

import os
import signal
import threading
from types import FrameType
from typing import Any

from sightline.foundation.interruption import Interruption, is_importing

_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")


class Signals:
    """Turns requests to stop into `Interruption` while it is entered.

    While a module is being imported the process ends at once instead: commands import before they begin.

    Args:
        code: exit code of a process that ends at once.
        last: the process ends after the command: further requests, while it does, are not heard.
    """

    def __init__(self, code: int, *, last: bool):
        self._code, self._last = code, last
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> None:
        # Only the main thread may set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name, None) for name in _NAMES):
                if number is not None:
                    self._earlier[number] = signal.signal(number, self._on_signal)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, signal.SIG_IGN if self._last else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if is_importing(frame):
            os.write(2, b"Stopped.\n")
            os._exit(self._code)
        raise Interruption
