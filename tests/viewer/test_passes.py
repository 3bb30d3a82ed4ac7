"""Which pictures a look is given, and the pieces that they are made of."""

from itertools import pairwise

import pytest
from fake_painter import RATE, known_pace, make_look

from sightline.viewer.pace import LEAST_SIDE, Pace, fit
from sightline.viewer.passes import PIECE_SECONDS, Pass, full_size, pieces, plan


def test_pictures_grow_from_what_the_budget_allows_to_the_whole():
    passes = plan(make_look(longest=640, budget=0.1), known_pace())
    assert passes[0].rays == pytest.approx(0.1 * RATE, rel=0.02)
    assert [one.draft for one in passes] == [True, True, True, False][-len(passes) :]
    assert [one.last for one in passes] == [False] * (len(passes) - 1) + [True]
    assert (passes[-1].width, passes[-1].height) == (640, 480)
    for before, after in pairwise(passes[:-1]):
        assert after.width / before.width == pytest.approx(2, rel=0.02)
    # The window's shape stays.
    assert all(one.width / one.height == pytest.approx(4 / 3, rel=0.02) for one in passes)


def test_a_picture_that_keeps_to_the_budget_is_the_only_one():
    assert plan(make_look(longest=100, budget=0.1), known_pace()) == [Pass(100, 75, False, True)]


def test_those_who_share_the_work_share_the_budget():
    alone, shared = (plan(make_look(), known_pace(), sharing)[0] for sharing in (1, 2))
    assert shared.rays == pytest.approx(alone.rays / 2, rel=0.03)


def test_impatience_makes_the_finished_picture_smaller():
    last = plan(make_look(longest=800), known_pace(), patience=0.5)[-1]
    assert last.rays == pytest.approx(0.5 * RATE, rel=0.02)
    assert not last.draft


def test_a_small_window_is_not_enlarged():
    assert full_size(make_look(width=300, height=200, longest=640)) == (300, 200)


def test_slow_scenes_have_a_picture_too():
    slow = Pace()
    slow.add(10, 1.0, True)
    first = plan(make_look(), slow)[0]
    assert min(first.width, first.height) == LEAST_SIDE


def test_pieces_cover_all_rows_once():
    one = Pass(640, 480, False, True)
    found = list(pieces(one, known_pace()))
    assert found[0][0] == 0
    assert found[-1][1] == 480
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert (found[0][1] - found[0][0]) * 640 / RATE <= PIECE_SECONDS


def test_sizes_fit():
    assert fit(800, 600, 480_000) == (800, 600)
    assert fit(800, 600, 10_000_000) == (800, 600)
    assert fit(800, 600, 4800) == (80, 60)


def test_pace_follows_what_is_measured():
    pace = Pace()
    pace.add(1000, 1.0, True)
    assert pace.rate(True) == pace.rate(False) == 1000
    for _ in range(30):
        pace.add(4000, 1.0, True)
    assert pace.rate(True) == pytest.approx(4000, rel=0.01)
    pace.add(500, 1.0, False)
    assert pace.rate(False) == 500
