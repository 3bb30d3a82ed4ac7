"""Making synthetic data: the calls of the command line, with a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.foundation.errors import inform
from sightline.workflows.counting import counting

Reporter = Callable[[int, int], None]


def make_object_set(out: Path, **options: Any) -> Path:
    """Make a set of objects; options are those of `synthesis.object_sets.make_objects`."""
    from sightline.synthesis.object_sets import make_objects

    with _reporting(out) as progress:
        return make_objects(out, progress=progress, **options)


def make_scene_set(out: Path, **options: Any) -> Path:
    """Make a set of scenes; options are those of `synthesis.scene_sets.make_scenes`."""
    from sightline.synthesis.scene_sets import make_scenes

    with _reporting(out) as progress:
        return make_scenes(out, progress=progress, **options)


@contextmanager
def _reporting(out: Path) -> Iterator[Reporter]:
    """Show a bar from the first report on, which says how much there is to do and how much is there."""
    bars: list[Any] = []
    show: list[Callable[[int], None]] = []

    def report(done: int, total: int) -> None:
        if not show:
            inform(f"Rendering {total} views into {out}")
            bars.append(counting("rendering", total))
            show.append(bars[0].__enter__())
        show[0](done)

    try:
        yield report
    finally:
        for bar in bars:
            bar.__exit__(None, None, None)
