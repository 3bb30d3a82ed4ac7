"""What people read goes to stderr, what programs read to stdout."""

import json
import logging
import sys
from typing import Any

from sightline.foundation.errors import logger


class _MessageHandler(logging.Handler):
    """Prints messages on stderr: coloured on a terminal, above a progress bar where there is one."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def emit(self, record: logging.LogRecord) -> None:
        serious = record.levelno >= logging.WARNING
        text = f"{record.levelname.lower()}: {record.getMessage()}" if serious else record.getMessage()
        self._console.print(text, style="yellow" if serious else None)


def show_messages() -> None:
    """Print what the package tells on stderr (once, however often it is called)."""
    if not any(isinstance(handler, _MessageHandler) for handler in logger.handlers):
        logger.addHandler(_MessageHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def print_json(value: Any) -> None:
    """Print a result for programs."""
    print(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False))


def print_table(table: Any) -> None:
    """Print a `media.tables.Table` on stdout, drawn with lines on a terminal."""
    from sightline.media.tables import to_rich, to_text

    if not sys.stdout.isatty():
        print(to_text(table), end="")
        return
    from rich.console import Console

    Console(highlight=False).print(to_rich(table))
