"""The viewer of a scene that is being trained: pictures take turns with steps, in the training's thread."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sightline.foundation.errors import inform
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.viewer.app import Viewer
from sightline.viewer.server import check_address, load_viser
from sightline.viewer.turns import LONGEST_PICTURE, Turns
from sightline.workflows.scenes import Device, LoadedMethod, LoadedScene
from sightline.workflows.view import (
    RunHost,
    describe_progress,
    export_kinds,
    learnt_stage,
    wait_for_interruption,
    warm,
)
from sightline.workflows.view_objects import ObjectChoices

_STATE_SECONDS = 1.0
_NOT_YET = "Exports come when the training has ended."


class LiveHost(RunHost):
    """A run whose method is in this process's hands."""

    def __init__(self, run: Run, method: Method):
        self.run, self.folder = run, run.path
        self.data, self.best, self.sampler = None, False, None
        self.device: Device = "auto"
        self.title = f"{run.path.name}: {run.method_name}"
        self.exports = export_kinds()
        self.exports_refused: str | None = _NOT_YET
        self.choices: ObjectChoices | None = None
        self.progress: str | None = "The training begins"
        device = str(next(method.parameters()).device)
        if run.method_info.learns == "one scene":
            with torch.no_grad():
                scene = method.encode(None)
            self._stage = learnt_stage(run, LoadedScene(run, method, scene, device))
        else:
            # What is still learnt has nothing kept beside it to be made ready of.
            self.choices = ObjectChoices(run, LoadedMethod(run, method, device), ready=False)
            self._stage = self.choices.first(None, "test", None, (), ())
        warm(self._stage)

    @property
    def state(self) -> str:
        """How far the training is."""
        return self.progress or describe_progress(self.run.record.progress)


class TrainingViewer:
    """Watches a training, see `training.watching.Watcher`, and stays open after it.

    Args:
        port: 0 for any that is free.

    Raises:
        InputError: viser is missing, or the port is in use.
    """

    def __init__(self, *, port: int, address: str = "127.0.0.1"):
        load_viser()
        check_address(address, port)
        self.port, self.address = port, address
        self.viewer: Viewer | None = None
        self.on_begin: Callable[[Viewer], None] | None = None
        """called when it is open, for tests and measurements"""
        self._told = 0.0

    def begin(self, run: Run, method: Method) -> None:
        """Open the viewer of a method that is about to be trained."""
        self.method = method
        with untouched(method):
            self.host = LiveHost(run, method)
        self.viewer = Viewer(self.host, address=self.address, port=self.port)
        self.viewer.scheduler.patience = LONGEST_PICTURE
        self.turns = Turns(self.viewer.scheduler, before_refresh=self._renew)
        self.viewer.announce()
        if self.on_begin is not None:
            self.on_begin(self.viewer)

    def between_steps(self, step: int) -> float:
        """Render what the pictures' part of the time allows."""
        assert self.viewer is not None
        if self.viewer.scheduler.clients == 0:
            self.turns.skip()
            return 0.0
        started = time.perf_counter()
        if started - self._told > _STATE_SECONDS:
            self._told = started
            self.host.progress = f"In training, step {step}"
            self.viewer.tell_state()
        with untouched(self.method):
            self.turns.take()
        return time.perf_counter() - started

    def _renew(self) -> None:
        """Let scenes that were made of the weights follow them; learnt scenes do so by themselves."""
        if self.host.choices is not None and self.viewer is not None:
            self.viewer.renew_in_place(self.method)

    def stay(self, run: Run, *, ended: bool) -> None:
        """Show the trained scene until somebody interrupts; with `ended` False close at once."""
        if self.viewer is None:
            return
        if not ended:
            self.close()
            return
        self.method.eval()
        host, viewer = self.host, self.viewer
        host.run, host.progress, host.exports_refused = run, None, None
        viewer.scheduler.patience = None
        viewer.work()
        viewer.scheduler.call(lambda: viewer.renew(self.method))
        viewer.tell_state()
        inform("The training has ended; the viewer stays open until Ctrl-C")
        try:
            wait_for_interruption()
        finally:
            self.close()

    def close(self) -> None:
        """End the viewer."""
        if self.viewer is not None:
            self.viewer.close()
            self.viewer = None


@contextmanager
def untouched(method: Method) -> Iterator[None]:
    """Leave random state and training mode as they were."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    was_training = method.training
    method.eval()
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            yield
    finally:
        method.train(was_training)
