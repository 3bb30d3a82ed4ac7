"""The live viewer with a browser: time to the first picture, frames per second, time until sharp.

    python -m benchmarks.viewer_frames RUN [--window 1000x800] [--seconds 6] [--repeats 3] [--json]

A real browser (Chromium by Selenium, without a window) is connected to the viewer of the run, on the same
machine. It draws by software, so that it takes its part of the processor from the pictures. What is timed is
when pictures are sent:

- the first one, from when the browser has connected, and from when its page was asked for;
- while the mouse drags the scene around: how many there are in a second, and how large they are;
- after the drag: from the last movement of the camera until the finished picture.

Medians of several browsers, one after the other.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.browser import open_browser
from selenium.webdriver.common.action_chains import ActionChains

from sightline.foundation.errors import SightlineError
from sightline.viewer.app import Viewer
from sightline.viewer.looks import Picture
from sightline.viewer.session import Session
from sightline.workflows.view import open_viewer

_LONGEST_WAIT = 120.0
_PIXELS, _MOVE_MILLISECONDS = 6, 20
"""of one movement of the mouse"""


@dataclass(frozen=True)
class Frames:
    """What one browser saw."""

    first_seconds: float
    """from its connection to the first picture"""
    page_seconds: float
    """from asking for the page to the first picture"""
    first_size: tuple[int, int]
    frames_per_second: float
    moving_size: tuple[int, int]
    """the usual one"""
    sharp_seconds: float
    """from the last movement to the finished picture"""
    sharp_size: tuple[int, int]


class _Watcher:
    """Notes when which pictures were sent."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.connected = 0.0
        self.pictures: list[tuple[float, Picture]] = []

    def begin(self, session: Session) -> None:
        self.session, self.connected = session, time.time()
        session.on_picture = lambda picture: self.pictures.append((time.time(), picture))

    def wait(self, condition: Any) -> None:
        until = time.time() + _LONGEST_WAIT
        while not condition():
            if time.time() > until:
                raise TimeoutError(f"nothing came in {_LONGEST_WAIT:.0f} s")
            time.sleep(0.01)


def measure(viewer: Viewer, window: tuple[int, int], seconds: float) -> Frames:
    """Connect one browser, drag, and let it rest."""
    watcher = _Watcher()
    viewer.on_session = watcher.begin
    with open_browser(size=window) as page:
        asked = time.time()
        page.get(f"http://127.0.0.1:{viewer.port}")
        watcher.wait(lambda: watcher.pictures)
        first, picture = watcher.pictures[0]
        watcher.wait(lambda: watcher.pictures[-1][1].last)
        session = watcher.session
        assert session is not None
        chain = ActionChains(page, duration=_MOVE_MILLISECONDS)
        canvas = page.find_element("css selector", "canvas")
        chain.move_to_element_with_offset(canvas, -100, 100).click_and_hold()
        for step in range(round(1000 * seconds / _MOVE_MILLISECONDS)):
            chain.move_by_offset(_PIXELS if step % 40 < 20 else -_PIXELS, 0)
        before = len(watcher.pictures)
        chain.release().perform()
        moving = watcher.pictures[before:]
        watcher.wait(lambda: watcher.pictures[-1][1].last and not viewer.scheduler.waiting)
        done, sharp = watcher.pictures[-1]
        rested = session.client.camera.update_timestamp
    return Frames(
        first_seconds=first - watcher.connected,
        page_seconds=first - asked,
        first_size=_size(picture),
        frames_per_second=(len(moving) - 1) / (moving[-1][0] - moving[0][0]) if len(moving) > 1 else 0.0,
        moving_size=statistics.mode(_size(shown) for _, shown in moving) if moving else (0, 0),
        sharp_seconds=done - rested,
        sharp_size=_size(sharp),
    )


def median(found: list[Frames]) -> Frames:
    """Take the median of each time, and the sizes of the middle browser."""

    def of(name: str) -> float:
        return statistics.median(getattr(one, name) for one in found)

    middle = found[len(found) // 2]
    return Frames(
        of("first_seconds"),
        of("page_seconds"),
        middle.first_size,
        of("frames_per_second"),
        middle.moving_size,
        of("sharp_seconds"),
        middle.sharp_size,
    )


def table(name: str, window: tuple[int, int], found: Frames) -> str:
    """One row of Markdown."""
    head = ["run", "window", "first picture, s", "from opening the page, s", "frames/s moving", "size moving"]
    head += ["sharp at rest, s", "size at rest"]
    row = [name, _shown(window), f"{found.first_seconds:.2f}", f"{found.page_seconds:.2f}"]
    row += [f"{found.frames_per_second:.1f}", _shown(found.moving_size)]
    row += [f"{found.sharp_seconds:.2f}", _shown(found.sharp_size)]
    lines = [head, ["---"] * len(head), row]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.pixels.shape[1], picture.pixels.shape[0]


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def main() -> int:
    """Measure; prints a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--window", default="1000x800", help="size of the browser's window, pixels")
    parser.add_argument("--seconds", type=float, default=6.0, help="of dragging")
    parser.add_argument("--repeats", type=int, default=3, help="browsers, one after the other")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    arguments = parser.parse_args()
    width, height = (int(value) for value in arguments.window.split("x"))
    try:
        viewer = open_viewer(arguments.run, port=0)
    except SightlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    try:
        found = [measure(viewer, (width, height), arguments.seconds) for _ in range(arguments.repeats)]
    finally:
        viewer.close()
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        print(table(arguments.run.name, (width, height), median(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
