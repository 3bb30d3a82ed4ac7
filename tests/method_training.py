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
        self.optimisation: Optimisation = self.method.optimisers()[0]
        self.generator = torch.Generator().manual_seed(seed)
        self.batches: Batches = self.method.batches(prepared, self.generator)
        self._rates = [group["lr"] for group in self.optimisation.optimiser.param_groups]
        self.losses: list[float] = []

    def advance(self, count: int) -> "Training":
        with torch_on_one_thread():
            for _ in range(count):
                self._step()
        return self

    def _step(self) -> None:
        progress = Progress(self.done, self.done / self.steps)
        optimiser = self.optimisation.optimiser
        for group, rate in zip(optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.optimisation.schedule(progress)
        losses = self.method(next(self.batches), progress)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        self.losses.append(losses["loss"].item())
        self.done += 1
        self.method.after_step(Progress(self.done, self.done / self.steps))

    def state(self) -> tuple[Any, ...]:
        """A copy of all that `restore` needs to go on from here."""
        return deepcopy(
            (
                self.method.state_dict(),
                self.optimisation.optimiser.state_dict(),
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
        self.optimisation.optimiser.load_state_dict(moments)
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
