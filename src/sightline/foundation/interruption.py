"""Requests to stop, and the moments at which they must not become an exception."""

from types import FrameType


class Interruption(KeyboardInterrupt):
    """The user or the system asks to stop.

    A class of its own, since CPython ends the process by SIGINT once a plain KeyboardInterrupt has passed
    through `exec`, as compilers and dataclasses call it, even where it is caught further out.
    """


def is_importing(frame: FrameType | None) -> bool:
    """Say whether the code at `frame` (of a signal handler) is the import of a module.

    An exception that meets the start of a compiled library there ends the process with that library's own
    complaint.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
