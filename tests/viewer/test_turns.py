"""How training and pictures share the time."""

import pytest
from fake_painter import FakePainter, known_pace, make_look

from sightline.viewer.turns import MOVING_SHARE, REFRESH_SECONDS, RESTING_SHARE, Turns

STEP = 0.03


def open_browser(scheduler, clock, number=1):
    painter, shown = FakePainter(clock), []
    scheduler.open(number, painter, shown.append, known_pace())
    return painter, shown


def train(turns, clock, steps, before=lambda step: None):
    """Take steps; gives the seconds that pictures took, and all seconds."""
    started, pictures = clock.now, 0.0
    for step in range(steps):
        clock.now += STEP
        before(step)
        earlier = clock.now
        taken = turns.take()
        assert taken == pytest.approx(clock.now - earlier)
        pictures += taken
    return pictures, clock.now - started


def test_nobody_looks_nothing_is_taken(scheduler, clock):
    assert train(Turns(scheduler, clock), clock, 50)[0] == 0


def test_who_moves_gets_his_part_and_no_more(scheduler, clock):
    _, shown = open_browser(scheduler, clock)
    turns = Turns(scheduler, clock)
    pictures, all_of_it = train(
        turns, clock, 400, lambda step: scheduler.look(1, make_look(0.5 + 0.001 * step))
    )
    assert pictures / all_of_it == pytest.approx(MOVING_SHARE, abs=0.03)
    assert len(shown) > 20


def test_at_rest_pictures_are_made_again_for_a_small_part(scheduler, clock):
    _, shown = open_browser(scheduler, clock)
    turns = Turns(scheduler, clock)
    scheduler.patience = 0.5
    scheduler.look(1, make_look(0.5))
    train(turns, clock, 200)
    before = len(shown)
    pictures, all_of_it = train(turns, clock, 2000)
    assert pictures / all_of_it == pytest.approx(RESTING_SHARE, abs=0.02)
    assert all(shown.last for shown in shown[before + 1 :])
    assert len(shown) > before + 3
    assert all_of_it / (len(shown) - before) > REFRESH_SECONDS


def test_time_without_browsers_is_not_saved_up(scheduler, clock):
    turns = Turns(scheduler, clock)
    for _ in range(1000):
        clock.now += STEP
        turns.skip()
    open_browser(scheduler, clock)
    scheduler.look(1, make_look(0.5))
    clock.now += STEP
    assert turns.take() <= 0.12
