"""Who is rendered for when, with a painter whose time is its own."""

import threading

import pytest
from fake_painter import FakePainter, known_pace, make_look

from sightline.viewer.looks import Failure, Look, Picture, Settings
from sightline.viewer.passes import PIECE_SECONDS
from sightline.viewer.scheduler import Scheduler


class Browser:
    """What one browser was shown, and when."""

    def __init__(self, scheduler: Scheduler, clock, number: int = 1):
        self.scheduler, self.clock, self.number = scheduler, clock, number
        self.painter = FakePainter(clock)
        self.shown: list[Picture | Failure] = []
        self.times: list[float] = []
        scheduler.open(number, self.painter, self._show, known_pace())

    def _show(self, picture: Picture | Failure) -> None:
        self.shown.append(picture)
        self.times.append(self.clock.now)

    def look(self, *values, **options) -> Look:
        look = make_look(*values, **options)
        self.scheduler.look(self.number, look)
        return look

    @property
    def widths(self) -> list[int]:
        return [shown.pixels.shape[1] for shown in self.shown if isinstance(shown, Picture)]


def work_off(scheduler: Scheduler, most: int = 1000) -> int:
    count = 0
    while scheduler.work():
        count += 1
        assert count < most
    return count


def test_a_look_is_refined_until_it_is_whole(scheduler, clock):
    browser = Browser(scheduler, clock)
    browser.look()
    work_off(scheduler)
    assert browser.widths == sorted(browser.widths)
    assert browser.widths[-1] == 640
    assert [shown.last for shown in browser.shown] == [False] * (len(browser.shown) - 1) + [True]
    assert browser.times[0] == pytest.approx(Settings().budget, rel=0.05)
    assert not scheduler.waiting


def test_a_move_drops_what_is_being_refined_at_the_next_piece(scheduler, clock):
    browser = Browser(scheduler, clock)
    first = browser.look(0.5)
    scheduler.work()
    scheduler.work()
    assert [shown.look for shown in browser.shown] == [first]
    moved, second = clock.now, browser.look(0.6)
    scheduler.work()
    assert browser.shown[-1].look is second
    assert browser.times[-1] - moved <= Settings().budget + PIECE_SECONDS
    work_off(scheduler)
    assert all(shown.look is second for shown in browser.shown[1:])


def test_a_camera_that_never_rests_is_followed(scheduler, clock):
    browser = Browser(scheduler, clock)
    for move in range(40):
        browser.look(0.5 + 0.01 * move)
        scheduler.work()
    # Each first picture is whole, though its look was outdated when it was.
    assert len(browser.shown) == 40
    assert not any(shown.last for shown in browser.shown)
    assert clock.now / 40 == pytest.approx(Settings().budget, rel=0.05)


def test_newer_looks_take_the_place_of_those_that_wait(scheduler, clock):
    browser = Browser(scheduler, clock)
    browser.look(0.5)
    browser.look(0.6)
    last = browser.look(0.7)
    work_off(scheduler)
    assert {shown.look.fov for shown in browser.shown} == {last.fov}


def test_the_same_look_is_not_rendered_twice(scheduler, clock):
    browser = Browser(scheduler, clock)
    browser.look(0.5)
    work_off(scheduler)
    before = len(browser.shown)
    assert not scheduler.look(1, make_look(0.5))
    assert work_off(scheduler) == 0
    assert len(browser.shown) == before
    assert scheduler.look(1, make_look(0.5, mode="depth"))


def test_two_browsers_share_the_time_evenly(scheduler, clock):
    resting, moving = Browser(scheduler, clock, 1), Browser(scheduler, clock, 2)
    resting.look(0.5, longest=2048, width=2048, height=2048)
    spent = {1: 0.0, 2: 0.0}
    for move in range(60):
        moving.look(0.5 + 0.01 * move)
        before = len(moving.painter.pieces), clock.now
        scheduler.work()
        spent[2 if len(moving.painter.pieces) > before[0] else 1] += clock.now - before[1]
    assert spent[1] == pytest.approx(spent[2], rel=0.2)
    assert spent[2] > 1


def test_who_comes_late_has_saved_up_nothing(scheduler, clock):
    busy, late = Browser(scheduler, clock, 1), Browser(scheduler, clock, 2)
    busy.look(0.5, longest=2048, width=2048, height=2048)
    for _ in range(40):
        scheduler.work()
    late.look(0.5, longest=2048, width=2048, height=2048)
    before = len(busy.painter.pieces)
    for _ in range(20):
        scheduler.work()
    # Were it owed all that the other one had, it would have all pieces now.
    assert len(busy.painter.pieces) - before >= 5


def test_a_closed_browser_frees_what_it_held(scheduler, clock):
    gone, other = Browser(scheduler, clock, 1), Browser(scheduler, clock, 2)
    gone.look(0.5)
    other.look(0.5)
    scheduler.work()
    scheduler.close(1)
    shown, pieces = len(gone.shown), len(gone.painter.pieces)
    work_off(scheduler)
    assert (len(gone.shown), len(gone.painter.pieces)) == (shown, pieces)
    assert other.shown[-1].last
    assert scheduler.clients == 1
    assert not scheduler.look(1, make_look(0.9))


def test_a_browser_that_closes_during_its_picture_is_not_shown_it(scheduler, clock):
    browser = Browser(scheduler, clock)
    paint = browser.painter.paint

    def closing(*arguments):
        scheduler.close(1)
        return paint(*arguments)

    browser.painter.paint = closing
    browser.look(0.5)
    assert scheduler.work()
    assert browser.shown == []
    assert not scheduler.work()


def test_a_failed_picture_is_told_and_the_others_go_on(scheduler, clock):
    broken, fine = Browser(scheduler, clock, 1), Browser(scheduler, clock, 2)
    broken.painter.fails = True
    broken.look(0.5)
    fine.look(0.5)
    work_off(scheduler)
    assert [type(shown) for shown in broken.shown] == [Failure]
    assert broken.shown[0].reason == "no picture today"
    assert fine.shown[-1].last


def test_another_scene_is_rendered_from_the_same_place(scheduler, clock):
    browser = Browser(scheduler, clock)
    look = browser.look(0.5)
    scheduler.work()
    scheduler.work()
    other = FakePainter(clock)
    scheduler.exchange(1, other, known_pace())
    work_off(scheduler)
    assert browser.shown[-1].look is look
    assert browser.shown[-1].last
    assert other.pieces[0][3]


def test_a_gentle_refresh_renders_the_finished_picture_alone(scheduler, clock):
    browser = Browser(scheduler, clock)
    browser.look(0.5)
    work_off(scheduler)
    before = len(browser.shown)
    scheduler.refresh(gently=True)
    work_off(scheduler)
    assert [shown.last for shown in browser.shown[before:]] == [True]


def test_pictures_that_are_made_as_a_whole_are_not_cut_up(scheduler, clock):
    browser = Browser(scheduler, clock)
    browser.painter.whole = True
    browser.look(0.5)
    work_off(scheduler)
    assert all(first == 0 and end > 20 for _, first, end, _ in browser.painter.pieces)


def test_jobs_come_before_pieces(scheduler, clock):
    browser, order = Browser(scheduler, clock), []
    browser.look(0.5)
    scheduler.call(lambda: order.append(len(browser.painter.pieces)))
    work_off(scheduler)
    assert order == [0]


def test_a_worker_waits_and_ends(clock):
    scheduler, stopped = Scheduler(), threading.Event()
    worker = threading.Thread(target=scheduler.run, args=(stopped,))
    worker.start()
    browser, shown = Browser(scheduler, clock), threading.Event()
    show = scheduler._clients[1].show
    scheduler._clients[1].show = lambda picture: (show(picture), picture.last and shown.set())
    browser.look(0.5)
    assert shown.wait(5)
    stopped.set()
    scheduler.wake()
    worker.join(5)
    assert not worker.is_alive()
