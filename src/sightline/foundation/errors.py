"""Errors and warnings that a user reads: one paragraph of what is wrong, where, and what to do."""

import logging

logger = logging.getLogger("sightline")


class SightlineError(Exception):
    """Base of the errors that the command line prints without a traceback.

    Args:
        what: what is wrong, a sentence without the final full stop.
        where: file, field, line or index that it concerns.
        fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, where: object = None, fix: str | None = None):
        self.what, self.where, self.fix = what, where, fix
        parts = [f"{what.rstrip('.')}."]
        if where is not None:
            parts.append(f"Where: {where}.")
        if fix:
            parts.append(f"{fix.rstrip('.')}.")
        super().__init__(" ".join(parts))


class InputError(SightlineError):
    """The input or the call is wrong; the command ends with exit code 2."""

    exit_code = 2


class RunError(SightlineError):
    """Something failed while running; the command ends with exit code 1."""


def warn(message: str) -> None:
    """Tell the user something that does not stop the work (printed on stderr by the command line)."""
    logger.warning(message)


def inform(message: str) -> None:
    """Tell the user what is being done (printed on stderr by the command line)."""
    logger.info(message)
