"""One training from opening the data to the saved run, in each of its processes."""

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture
from sightline.foundation.errors import inform, warn
from sightline.media.colour import turbo
from sightline.methods.base import Method
from sightline.runs.record import RunProgress, device_facts, package_versions
from sightline.runs.refined import write_refined_cameras
from sightline.runs.run import Run
from sightline.runs.settings import to_plain
from sightline.runs.weights import apply_matching, apply_weights, read_weights
from sightline.training import estimates
from sightline.training.budget import Budget
from sightline.training.display import short_time
from sightline.training.interruption import StopRequests
from sightline.training.logs import TrainingLog
from sightline.training.loop import Ending, Loop
from sightline.training.object_validation import ObjectValidator, cases_of_scene, choose_cases
from sightline.training.processes import Team, is_first_process, launch
from sightline.training.settings import TrainSettings
from sightline.training.stepping import Stepper
from sightline.training.validation import Validator
from sightline.training.watching import Watcher

_NOTABLE_WARM_UP = 0.5
"""seconds of compilation below which it is not worth a line"""
_FEW_STEPS = 10
"""a training by the clock that took fewer steps has learnt nothing worth looking at"""


@dataclass(frozen=True)
class TrainOrder:
    """What to train; picklable, since it travels to the processes."""

    folder: Path
    settings: TrainSettings
    initial: Path | None = None
    """a weights file to start from"""
    watcher: Watcher | None = None
    """who looks on; with one process only"""


@dataclass(frozen=True)
class TrainResult:
    """How a training ended."""

    ending: Ending
    step: int
    seconds: float
    """training time over all resumed parts"""
    train_psnr: float | None = None
    validation_psnr: float | None = None
    """of the last validation"""


def train_run(order: TrainOrder) -> TrainResult:
    """Train the run in `order.folder`, going on from its last checkpoint where it has one.

    Raises:
        InputError: the data or the settings do not allow it.
        RunError: the loss is not a number, or the result cannot be saved; the last good checkpoint is kept.
    """
    order.settings.check()
    try:
        if order.settings.devices > 1 and is_first_process():
            # Once here, so that the processes find everything compiled instead of each doing it.
            run = Run.open(order.folder)
            _warm_up(run.method_info.method_class()(run.config), tell=True)
        result = launch(order.settings, _train, order)
    except KeyboardInterrupt:
        result = None
    if result is None:
        progress = Run.open(order.folder).record.progress if is_first_process() else RunProgress()
        return TrainResult("interrupted", progress.step, progress.seconds)
    return result


def already_done(progress: RunProgress, settings: TrainSettings) -> bool:
    """Whether a run has been trained for as long as the settings ask."""
    if settings.steps is not None:
        return progress.step >= settings.steps
    return settings.minutes is not None and progress.seconds >= 60 * settings.minutes


def _train(team: Team, stop: StopRequests, order: TrainOrder) -> TrainResult:
    # Only the first process reads the run folder: with several machines, the others may not see it.
    opened = Run.open(order.folder) if team.first else None
    run = Run(order.folder, team.share(opened.record if opened else None))
    settings = order.settings
    _seed(run.record.seed)
    method: Method = run.method_info.method_class()(run.config)
    timings = {"warm_up": _warm_up(method, tell=team.first)}
    if team.first and settings.eval_every != 0:
        # Loads the table of colours: what is imported later is training time.
        turbo(np.zeros(1))
    state = team.share(run.read_training_state() if team.first else None)
    log = TrainingLog(run.path, state["step"] if state else 0) if team.first else None
    loop = None
    try:
        earlier = float(state["progress"]["seconds"]) if state else 0.0
        limit = None if settings.minutes is None else 60 * settings.minutes
        budget = Budget(settings.steps, limit, earlier)
        capture = run.open_data()
        loop = _set_up(team, run, method, capture, order, budget, stop, log, state)
        timings["prepare"] = budget.elapsed() - earlier
        if order.watcher is not None:
            started = time.perf_counter()
            order.watcher.begin(run, method)
            budget.pause(time.perf_counter() - started)
        stop.defer()
        ending, progress = loop.run()
        timings["train"] = progress.seconds - earlier
        timings["saving"] = loop.saver.seconds
        if order.watcher is not None:
            timings["viewing"] = loop.watched
        if team.first:
            if ending == "finished" and limit is not None:
                done = state["step"] if state else 0
                _warn_of_few_steps(progress.step, progress.step - done, timings)
            _conclude(loop, run, capture, ending, timings)
        reading = loop.reading
        return TrainResult(
            ending=ending,
            step=progress.step,
            seconds=progress.seconds,
            train_psnr=None if reading is None else reading.values.get("psnr"),
            validation_psnr=None if loop.validation is None else loop.validation.psnr,
        )
    finally:
        if loop is not None:
            loop.close()
        if log is not None:
            log.close()


def _set_up(
    team: Team,
    run: Run,
    method: Method,
    capture: Any,
    order: TrainOrder,
    budget: Budget,
    stop: StopRequests,
    log: TrainingLog | None,
    state: dict[str, Any] | None,
) -> Loop:
    """Prepare the method on its data, put earlier weights and states back, and make the loop."""
    prepared = method.prepare(capture)
    if team.first:
        _record_start(run, method, capture, team, order.settings)
    if state:
        if team.first:
            _compare_states(run, method)
        _load_weights(team, run, method, run.weights_path)
    elif order.initial is not None and team.first:
        # The other processes get them from the first one with the first step.
        apply_matching(method, read_weights(order.initial, method=run.method_name), where=order.initial)
    stepper = Stepper(team, method, prepared, run.record.seed)
    validator = None
    if team.first:
        settings = order.settings
        many = run.method_info.learns != "one scene"
        usual = method.usual_sources
        every, chunk = settings.eval_every, settings.chunk
        if not isinstance(capture, Capture):
            validator = ObjectValidator(choose_cases(capture, usual), every=every, chunk=chunk)
        elif many and usual is not None:
            validator = ObjectValidator(cases_of_scene(capture, usual), every=every, chunk=chunk)
        else:
            validator = Validator(capture, many, every=every, chunk=chunk)
    loop = Loop(stepper, budget, stop, run, order.settings, log, validator, order.watcher)
    if state:
        loop.restore(state)
    return loop


def _load_weights(team: Team, run: Run, method: Method, path: Path) -> None:
    """Put weights into the method; the other processes get them from the first one with the first step."""
    if team.first:
        apply_weights(method, read_weights(path, method=run.method_name), where=path)


def _record_start(run: Run, method: Method, capture: Any, team: Team, settings: TrainSettings) -> None:
    """Write what is known before the first step, and tell what the training will need."""
    need = estimates.estimate(method, capture, settings)
    estimates.check(need, run.path)
    if isinstance(capture, Capture):
        run.record_capture(capture)
    else:
        run.record_collection(capture)
    if run.record.progress.step == 0:
        run.update(
            state=to_plain(method.state()),
            training=to_plain(settings),
            versions=package_versions(),
            device=device_facts(str(team.device)),
        )
    else:
        run.update(training=to_plain(settings))
    if settings.minutes is not None:
        duration = short_time(60 * settings.minutes - run.record.progress.seconds)
    else:
        duration = f"{settings.steps} steps, whose time is shown once they run"
    parameters = sum(parameter.numel() for parameter in method.parameters())
    inform(f"Training {run.method_name} ({parameters:,} parameters) needs {need}: {duration}")


def _compare_states(run: Run, method: Method) -> None:
    if to_plain(method.state()) != run.record.state:
        warn(
            "The data is not exactly what the run was trained on before: the method finds another frame or "
            "size. If photos were added or changed, train a new run with --init"
        )


def _warn_of_few_steps(total: int, new: int, timings: dict[str, float]) -> None:
    """Say that a training by the clock has ended before it learnt much: on busy machines, with large data."""
    if total >= _FEW_STEPS and new > 0:
        return
    seconds, preparing = timings["train"], timings["prepare"]
    spent = f"opening and preparing the data took {preparing:.1f} s of {seconds:.1f} s"
    if total == 0:
        found = f"No training step was taken: {spent}. The run is saved, but has learnt nothing"
    elif new == 0:
        found = f"No further training step was taken: {spent}. The run is saved as it was"
    else:
        number = "Only 1 training step was" if total == 1 else f"Only {total} training steps were"
        each = (seconds - preparing) / new
        found = (
            f"{number} taken: {spent}, a step {each:.1f} s. The run is saved, but has learnt hardly a thing"
        )
    warn(
        f"{found}. Go on with --resume and more --minutes, or --steps; close other programs, or make the "
        "images smaller with --downscale in a new run"
    )


def _conclude(loop: Loop, run: Run, capture: Any, ending: Ending, timings: dict[str, float]) -> None:
    """What follows the last step, outside the training time; the weights are already safe."""
    if isinstance(capture, Capture) and capture.splits.get("train"):
        write_refined_cameras(run, loop.method, capture)
    if ending == "finished":
        loop.conclude()
        if isinstance(capture, Capture):
            # Thumbnails are an extra: an image that became unreadable must not turn success into failure.
            with suppress(Exception):
                run.record_capture(capture, thumbnails=True)
    if loop.validator is not None:
        timings["validation"] = loop.validator.seconds
    run.add_timings(timings)
    run.update()


def _warm_up(method: Method, *, tell: bool) -> float:
    started = time.perf_counter()
    method.warm_up()
    seconds = time.perf_counter() - started
    if tell and seconds > _NOTABLE_WARM_UP:
        inform(f"Compiled the kernels in {seconds:.1f} s (not counted as training)")
    return seconds


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002 - for code that draws from NumPy's global generator
    torch.manual_seed(seed)
