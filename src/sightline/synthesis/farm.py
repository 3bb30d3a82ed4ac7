"""Many pictures, over worker processes that are started afresh ("spawn", the same on every system)."""

import itertools
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sightline.foundation.errors import RunError
from sightline.foundation.hardware import available_cores
from sightline.synthesis.description import SceneRecipe
from sightline.synthesis.mitsuba_renderer import MitsubaRenderer, View

_MOST_WORKERS = 61  # what Windows can wait for
_AHEAD = 2
"""batches a worker that are handed out before results are taken: enough to keep workers busy"""


@dataclass(frozen=True)
class Batch:
    """Views of one scene that a worker renders one after the other, having built the scene once."""

    recipe: SceneRecipe
    views: tuple[View, ...]
    bounces: int = 2


def render_batches(
    batches: Iterable[Batch], workers: int | None = None
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Render batches and give them back as they are finished.

    The same batches give the same pictures whatever the number of workers.

    Args:
        batches: what to render; an endless iterator is taken a few ahead.
        workers: processes; 0 renders in this one; one per available core where not given.

    Yields:
        The index of a batch and its pictures, uint8 (height, width, 4) each (see `MitsubaRenderer.render`).

    Raises:
        RunError: the worker processes end unexpectedly.
    """
    if workers == 0:
        for index, batch in enumerate(batches):
            yield index, render_batch(batch)
        return
    count = min(workers or available_cores(), _MOST_WORKERS)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield from _collect(pool, enumerate(batches), count * _AHEAD)
    except BrokenProcessPool as error:
        raise RunError(
            "The rendering processes ended unexpectedly",
            fix="There may be too little memory: use fewer workers. A script of your own has to start its "
            'work under if __name__ == "__main__":',
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def render_batch(batch: Batch) -> list[np.ndarray]:
    """Render the views of one batch in this process."""
    renderer = _renderer(batch.recipe, batch.bounces)
    return [renderer.render(view) for view in batch.views]


def _collect(
    pool: ProcessPoolExecutor, batches: Iterator[tuple[int, Batch]], ahead: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    running: dict[Future[list[np.ndarray]], int] = {}
    while True:
        for index, batch in itertools.islice(batches, ahead - len(running)):
            running[pool.submit(render_batch, batch)] = index
        if not running:
            return
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future.result()


@lru_cache(maxsize=2)
def _renderer(recipe: SceneRecipe, bounces: int) -> MitsubaRenderer:
    return MitsubaRenderer(recipe.build(), bounces=bounces)


def _start_worker() -> None:
    # Ctrl-C reaches every process of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
