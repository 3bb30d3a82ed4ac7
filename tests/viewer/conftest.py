"""A clock that is told the time, and a scheduler by it."""

import pytest
from fake_painter import Clock

from sightline.viewer.scheduler import Scheduler


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(clock: Clock) -> Scheduler:
    return Scheduler(clock)
