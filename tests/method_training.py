"""A training loop without a trainer, so that tests of methods may stop and look."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch

from sightline.captures import Capture
from sightline.kernels.parallel import torch_on_one_thread
from sightline.methods.base import Batches, Method, Optimisation, Progress, Rendering


class Training:
    """What a trainer does, step by step; subclasses say of which method."""

    method_class: ClassVar[type[Method]]
    method: Any

    def __init__(self, capture: Capture, config: Any, seed: int, steps: int):
        torch.manual_seed(seed)
        self.capture, self.steps, self.done = capture, steps, 0
        self.method = self.method_class(config)
        prepared = self.method.prepare(capture)
        self.optimisations: list[Optimisation] = self.method.optimisers()
        self.optimisation = self.optimisations[0]
        self.generator = torch.Generator().manual_seed(seed)
        self.batches: Batches = self.method.batches(prepared, self.generator)
        self._rates = [
            [group["lr"] for group in entry.optimiser.param_groups] for entry in self.optimisations
        ]
        self.losses: list[float] = []

    def advance(self, count: int) -> "Training":
        with torch_on_one_thread():
            for _ in range(count):
                self._step()
        return self

    def _step(self) -> None:
        progress = Progress(self.done, self.done / self.steps)
        for entry, rates in zip(self.optimisations, self._rates, strict=True):
            for group, rate in zip(entry.optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * entry.schedule(progress)
        losses = self.method(next(self.batches), progress)
        for entry in self.optimisations:
            entry.optimiser.zero_grad()
        losses["loss"].backward()
        for entry in self.optimisations:
            entry.optimiser.step()
        self.losses.append(losses["loss"].item())
        self.done += 1
        self.method.after_step(Progress(self.done, self.done / self.steps))

    def state(self) -> tuple[Any, ...]:
        """A copy of all that `restore` needs to go on from here."""
        return deepcopy(
            (
                self.method.state_dict(),
                [entry.optimiser.state_dict() for entry in self.optimisations],
                self.method.training_state(),
                self.batches.state_dict(),
                self.generator.get_state(),
                torch.get_rng_state(),
                self.done,
            )
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        weights, moments, training, batches, generator, random, self.done = state
        self.method.load_state_dict(weights)
        for entry, kept in zip(self.optimisations, moments, strict=True):
            entry.optimiser.load_state_dict(kept)
        self.method.load_training_state(training)
        self.batches.load_state_dict(batches)
        self.generator.set_state(generator)
        torch.set_rng_state(random)


def stop_and_resume(start: Callable[[int], Training], before: int, after: int) -> tuple[Training, Training]:
    """Train on after `before` steps, and so a training of another seed that is restored there; gives both."""
    through = start(4).advance(before)
    state = through.state()
    through.advance(after)
    resumed = start(77)
    resumed.restore(state)
    resumed.advance(after)
    assert resumed.losses == through.losses[before:]
    return through, resumed


def picture(method: Method, capture: Capture, view: int) -> Rendering:
    return method.render(method.encode(), capture.cameras[view])


def held_out_psnr(method: Method, capture: Capture) -> float:
    """Mean PSNR over the test views, on white."""
    values = []
    for view in capture.splits["test"]:
        truth = torch.from_numpy(capture.images[view].copy()).float() / 255
        if truth.shape[-1] == 4:
            truth = truth[..., :3] * truth[..., 3:] + 1 - truth[..., 3:]
        error = (picture(method, capture, view).rgb - truth).square().mean()
        values.append(float(-10 * torch.log10(error)))
    return float(np.mean(values))
