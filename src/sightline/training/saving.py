"""Saving while training goes on: copies are taken between two steps, and written by a thread beside them."""

import copy
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.foundation.errors import SightlineError, warn

LONGEST_INTERVAL = 14.5
"""seconds; with the step at hand, a checkpoint is made at least every 15 s"""
SHORTEST_INTERVAL = 5.0
COST_SHARE = 0.02
"""part of the training time that saving may take"""


class Saver:
    """Runs one writing job at a time in a thread, and decides how often checkpoints are due.

    A failed job does not stop the training: it is told, and tried again at the next time; only `finish`
        raises.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, "sightline-saver")
        self._job: Future[float] | None = None
        self._last = clock()
        self.interval = LONGEST_INTERVAL
        self.seconds = 0.0
        """time that saving took from the training so far"""
        self._blocked = 0.0

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self._clock() - self._last >= self.interval

    def save(self, take: Callable[[], Callable[[], None]]) -> None:
        """Take a copy now and write it in the background.

        Args:
            take: copies what is to be saved and gives the function that writes it.
        """
        started = self._clock()
        self._collect(raising=False)
        write = take()
        self._job = self._pool.submit(_timed, write)
        self._last = self._clock()
        self._blocked = self._last - started

    def also(self, write: Callable[[], None]) -> None:
        """Write something small beside the checkpoints, after the job at hand."""
        self._collect(raising=False)
        self._job = self._pool.submit(_timed, write)

    def finish(self, write: Callable[[], None] | None = None) -> None:
        """Wait for the job at hand, then write what comes last; errors of either are raised."""
        self._collect(raising=write is None)
        if write is not None:
            write()

    def close(self) -> None:
        """End the thread; an error that nobody asked for is told."""
        self._collect(raising=False)
        self._pool.shutdown()

    def _collect(self, *, raising: bool) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        try:
            cost = job.result() + self._blocked
        except SightlineError as error:
            if raising:
                raise
            warn(f"Saving failed and will be tried again. {error}")
            return
        self._blocked = 0.0
        self.seconds += cost
        self.interval = min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, cost / COST_SHARE))


def _timed(write: Callable[[], None]) -> float:
    """Run and give the processor seconds that were used; waiting for the disk costs the training nothing."""
    started = time.thread_time()
    write()
    return time.thread_time() - started


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Copy parameters and buffers to the CPU, each into memory of its own."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in module.state_dict().items()
    }


def copy_to_cpu(value: Any) -> Any:
    """Copy nested dictionaries and lists; tensors go to the CPU, sharing no memory with the original."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copy_to_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copy_to_cpu(item) for item in value)
    return copy.deepcopy(value)


def all_finite(module: nn.Module) -> bool:
    """Whether no parameter holds NaN or infinity (buffers may: an infinite far limit is one)."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in module.parameters())


def random_state() -> dict[str, Any]:
    """Read the state of the global random generators, as tensors and numbers."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the global random generators back to what `random_state` read."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numpy_keys, *rest = state["numpy"]
    np.random.set_state((name, numpy_keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
