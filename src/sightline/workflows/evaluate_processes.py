"""Scoring the objects of a collection in several processes, which share them."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from sightline.evaluation.objects import Share
from sightline.evaluation.results import Evaluation
from sightline.evaluation.store import OBJECTS
from sightline.foundation.errors import InputError, RunError, SightlineError, logger
from sightline.foundation.hardware import available_cores
from sightline.runs.run import Run
from sightline.workflows.counting import counting
from sightline.workflows.evaluate_many import evaluate_many

_LOOK_EVERY = 0.5
"""seconds"""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "SIGHTLINE_THREADS")


def evaluate_in_processes(run: Run, processes: int, **options: Any) -> Evaluation:
    """Score like `evaluate_many`, whose options these are, with the objects shared over processes.

    Object k goes to process k modulo their number. Each finished object is a file in the folder of results,
    so that a stop loses no more than the objects at hand; the scores are those of one process. Of several
    GPUs, each process takes the next one.

    Raises:
        InputError: less than one process, or as `evaluate_many`, before any process is started.
        RunError: a process ended early.
    """
    if processes < 1:
        raise InputError(f"{processes} processes can do nothing", where="--processes", fix="Give 1 or more")
    ready = evaluate_many(run, share=Share(0, 0), **options)
    assert ready.folder is not None
    total = int(ready.metrics["objects"])
    processes = min(processes, total)
    _judge_together(run, processes, ready, total, options)
    level = logger.level
    logger.setLevel("ERROR")  # What there is to tell was told when the folder was made ready.
    try:
        return evaluate_many(run, **options)
    finally:
        logger.setLevel(level)


def _judge_together(run: Run, processes: int, ready: Evaluation, total: int, options: dict[str, Any]) -> None:
    assert ready.folder is not None
    context = multiprocessing.get_context("spawn")
    listening, speaking = zip(*(context.Pipe(duplex=False) for _ in range(processes)), strict=True)
    workers: list[BaseProcess] = [
        context.Process(
            target=_judge_share, args=(str(run.path), Share(k, processes), options, speaking[k]), daemon=True
        )
        for k in range(processes)
    ]
    finished = ready.folder / OBJECTS
    try:
        with _threads(max(1, available_cores() // processes)):
            for worker in workers:
                worker.start()
        with counting("evaluating objects", total) as on_progress:
            while any(worker.is_alive() for worker in workers):
                _refuse_failures(workers, listening)
                on_progress(sum(1 for _ in finished.glob("*.json")))
                time.sleep(_LOOK_EVERY)
        _refuse_failures(workers, listening)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
            if worker.pid is not None:
                worker.join()


def _refuse_failures(workers: list[BaseProcess], listening: tuple[Connection, ...]) -> None:
    """Raise what a process said before it ended, or that it ended without a word."""
    for worker, connection in zip(workers, listening, strict=True):
        if worker.exitcode in (None, 0):
            continue
        if connection.poll():
            kind, what, where, fix = connection.recv()
            raise kind(what, where, fix)
        raise RunError(
            f"A process of the evaluation ended with code {worker.exitcode}",
            fix="Give the command again to go on, with fewer --processes where memory ran out",
        )


def _judge_share(run: str, share: Share, options: dict[str, Any], connection: Connection) -> None:
    """What each process does."""
    logger.setLevel("ERROR")
    torch.set_num_threads(available_cores())
    if options.get("device") != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(share.number % torch.cuda.device_count())
    try:
        evaluate_many(Run.open(run), share=share, **options)
    except SightlineError as error:
        connection.send((type(error), error.what, _plain(error.where), error.fix))
        raise SystemExit(1) from error


def _plain(where: object) -> str | None:
    return None if where is None else str(where)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile compute with so many threads."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
