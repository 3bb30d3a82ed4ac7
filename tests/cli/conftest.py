import signal
from collections.abc import Iterator

import pytest

from sightline.foundation.errors import logger
from small_method import data, installed_wave, make_run, wave

__all__ = ["data", "installed_wave", "make_run", "wave"]


@pytest.fixture(autouse=True)
def _leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what the command line sets for its process."""
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    on_sigterm = signal.getsignal(signal.SIGTERM)
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)
    signal.signal(signal.SIGTERM, on_sigterm)
