"""Many pictures, over worker processes that are started afresh ("spawn", the same on every system)."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from sightline.foundation.errors import RunError
from sightline.foundation.hardware import available_cores
from sightline.synthesis.description import SceneRecipe
from sightline.synthesis.mitsuba_renderer import MitsubaRenderer, View

Task = TypeVar("Task")
Result = TypeVar("Result")

_MOST_WORKERS = 61  # what Windows can wait for
_AHEAD = 2
"""tasks a worker that are handed out before results are taken: enough to keep workers busy"""

# In a worker: set when the parent wants no more.
_stop: Any = None


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
        workers: see `work`.

    Yields:
        The index of a batch and its pictures, uint8 (height, width, 4) each (see `MitsubaRenderer.render`).

    Raises:
        RunError: the worker processes end unexpectedly.
    """
    yield from work(render_batch, batches, workers)


def render_batch(batch: Batch) -> list[np.ndarray]:
    """Render the views of one batch in this process."""
    renderer = scene_renderer(batch.recipe, batch.bounces)
    return [renderer.render(view) for view in batch.views]


def work(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int | None = None
) -> Iterator[tuple[int, Result]]:
    """Call a function for every task, over processes, and give results back as they come.

    Closing this generator, as any exception in its user does, waits for the tasks that are running; those may
    look at `stopping` and end early.

    Args:
        function: of a module that can be imported; neither it nor its module may need torch.
        tasks: can be pickled; an endless iterator is taken a few ahead.
        workers: processes; 0 works in this one; one per available core where not given.

    Yields:
        The index of a task and its result.

    Raises:
        RunError: the worker processes end unexpectedly.
    """
    if workers == 0:
        for index, task in enumerate(tasks):
            yield index, function(task)
        return
    count = min(workers or available_cores(), _MOST_WORKERS)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(count, context, initializer=_start_worker, initargs=(stop,))
    try:
        yield from _collect(pool, function, enumerate(tasks), count * _AHEAD)
    except BrokenProcessPool as error:
        raise RunError(
            "The rendering processes ended unexpectedly",
            fix="There may be too little memory: use fewer workers. A script of your own has to start its "
            'work under if __name__ == "__main__":',
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def stopping() -> bool:
    """Whether the parent of this worker process wants no more results."""
    return _stop is not None and _stop.is_set()


@lru_cache(maxsize=2)
def scene_renderer(recipe: SceneRecipe, bounces: int) -> MitsubaRenderer:
    """Build the scene of a recipe for Mitsuba; the last two are kept."""
    return MitsubaRenderer(recipe.build(), bounces=bounces)


def _collect(
    pool: ProcessPoolExecutor,
    function: Callable[[Task], Result],
    tasks: Iterator[tuple[int, Task]],
    ahead: int,
) -> Iterator[tuple[int, Result]]:
    running: dict[Future[Result], int] = {}
    while True:
        for index, task in itertools.islice(tasks, ahead - len(running)):
            running[pool.submit(function, task)] = index
        if not running:
            return
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future.result()


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    # Ctrl-C reaches every process of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent does, even where that was killed and could tell nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
