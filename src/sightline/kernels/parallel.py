"""Sharing a kernel's work over the cores.

Kernels release Python's lock and are called once per part, each thread taking the next part when it is free.
Where PyTorch computes on as many threads as there are parts, they are the threads of its own OpenMP
(`kernels/team.py`), which otherwise spin beside ours; else the calling thread and a small pool. Nothing
depends on Numba's threading layers, so several threads may call kernels at once, forked or spawned processes
start clean, and a result depends on the number of parts alone, never on timing.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

from sightline.foundation.hardware import available_cores
from sightline.kernels import team

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_owner: int | None = None
_threads: int | None = None


def thread_count() -> int:
    """Number of parts that kernels split their work into."""
    return _threads or available_cores()


def set_thread_count(count: int | None) -> None:
    """Set the number of parts; None goes back to the cores that are available."""
    global _threads
    _threads = count


def split(total: int, parts: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Cut range(total) into at most `parts` ranges, whose inner limits are multiples of `multiple`."""
    blocks = -(-total // multiple)
    limits = [min(total, multiple * (blocks * k // parts)) for k in range(parts + 1)]
    return [(a, b) for a, b in pairwise(limits) if b > a]


def run(tasks: list[Callable[[], Any]]) -> None:
    """Run tasks on all threads, each taking the next one when it is free.

    A core that other programs slow down so gets less to do. Which thread runs a task must not change its
    result. The first error is raised when all that were begun have ended.
    """
    waiting = iter(tasks)

    def work() -> None:
        # A list's iterator gives every task to one thread only.
        for task in waiting:
            task()

    threads = min(thread_count(), len(tasks))
    if threads > 1 and torch.get_num_threads() == thread_count() and team.can_run():
        # All of them, since OpenMP ends and begins threads where their number changes.
        _run_in_team(work, thread_count())
        return
    helpers = threads - 1
    futures = [_executor().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        # Helpers that have not begun find nothing left: waiting for them would only wait for other callers.
        errors = [future.exception() for future in futures if not future.cancel()]
    for error in errors:
        if error is not None:
            raise error


def _run_in_team(work: Callable[[], None], threads: int) -> None:
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    team.run(guarded, threads)
    if errors:
        raise errors[0]


def part_count(total: int, least: int) -> int:
    """Number of parts to cut work into: one for each thread, of `least` items or more."""
    return max(1, min(thread_count(), total // least))


def over_ranges(function: Callable, total: int, *arguments: Any, multiple: int = 1, least: int = 512) -> None:
    """Call `function(*arguments, start, stop)` on ranges of `least` items or more that cover range(total)."""
    ranges = split(total, part_count(total, least), multiple)
    run([lambda a=a, b=b: function(*arguments, a, b) for a, b in ranges])


@contextmanager
def torch_on_one_thread(threads: int | None = 1) -> Iterator[None]:
    """Keep PyTorch's own operations on `threads` threads meanwhile (None: as they are).

    Between compiled kernels its operations are small, and its idle threads spin for a while after each of
    them, which takes the cores away from the kernels.
    """
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _executor() -> ThreadPoolExecutor:
    global _pool, _pool_owner
    with _lock:
        # A forked child has the object but not its threads.
        if _pool is None or _pool_owner != os.getpid():
            _pool = ThreadPoolExecutor(max(1, max(available_cores(), thread_count()) - 1), "sightline-kernel")
            _pool_owner = os.getpid()
        return _pool
