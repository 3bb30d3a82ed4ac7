"""What happens in one training step, and the state from which steps go on exactly as they would have."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from sightline.foundation.errors import RunError, warn
from sightline.methods.base import Batches, Method, Progress
from sightline.training.processes import Team
from sightline.training.saving import copy_to_cpu, random_state, set_random_state

_RANK_STRIDE = 1_000_003
"""distance of the processes' seeds: the first process draws what a single one would"""


class Stepper:
    """A method with its optimisers and batches on the devices of a team.

    Args:
        team: the processes that train together.
        method: prepared on its data; it is moved to the team's device.
        prepared: what `method.prepare` gave.
        seed: seed of the batches.
    """

    def __init__(self, team: Team, method: Method, prepared: Any, seed: int):
        fabric = team.fabric
        self.team, self.method = team, method
        self._module = fabric.setup(_TrainingStep(method))
        team.equalise(list(method.state_dict().values()))
        self.optimisations = method.optimisers()
        wrapped = fabric.setup_optimizers(*(entry.optimiser for entry in self.optimisations))
        self._optimisers = list(wrapped) if isinstance(wrapped, (list, tuple)) else [wrapped]
        self._base_rates = [
            [float(group["lr"]) for group in entry.optimiser.param_groups] for entry in self.optimisations
        ]
        self._seed = seed + _RANK_STRIDE * team.rank
        self.generator = torch.Generator(device=team.device).manual_seed(self._seed)
        self.batches = iter(method.batches(prepared, self.generator, team.rank, team.world))
        # On a GPU this would wait for the device at every step; there the meter's readings are checked
        # instead.
        self._checks_each = team.device.type == "cpu"
        method.train()

    def advance(self, progress: Progress) -> dict[str, Tensor]:
        """Take one step; gives the losses that it started from. RunError where the loss is not a number."""
        self.set_learning_rates(progress)
        losses = self._module(_Call(next(self.batches), progress))
        loss = losses["loss"]
        if self._checks_each and not math.isfinite(loss.item()):
            raise not_finite(progress.step)
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        self.team.fabric.backward(loss)
        for optimiser in self._optimisers:
            optimiser.step()
        return losses

    def after_step(self, progress: Progress) -> None:
        """Let the method do what follows a step, and make changed buffers equal in all processes."""
        if self.method.after_step(progress) and self.team.world > 1:
            self.team.equalise(list(self.method.buffers()))

    def set_learning_rates(self, progress: Progress) -> None:
        """Give every parameter group its learning rate at this moment of the training."""
        for entry, rates in zip(self.optimisations, self._base_rates, strict=True):
            factor = entry.schedule(progress)
            for group, rate in zip(entry.optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def learning_rates(self) -> dict[str, float]:
        """Give the learning rate of each parameter group, rounded for a log.

        The first is `learning_rate`; others add the `name` of their group, or else its position.
        """
        groups = [group for entry in self.optimisations for group in entry.optimiser.param_groups]
        names = ["learning_rate"] + [
            f"learning_rate_{group.get('name', k)}" for k, group in enumerate(groups[1:], 2)
        ]
        return {name: float(f"{group['lr']:.6g}") for name, group in zip(names, groups, strict=True)}

    def process_state(self) -> dict[str, Any]:
        """Copy what differs between the processes: random states and the place in the batches."""
        batches = self.batches
        return {
            "generator": self.generator.get_state(),
            "random": random_state(),
            "batches": copy_to_cpu(batches.state_dict()) if isinstance(batches, Batches) else None,
        }

    def shared_state(self) -> dict[str, Any]:
        """Copy what all processes have in common besides parameters and buffers."""
        return {
            "optimisers": [copy_to_cpu(optimiser.state_dict()) for optimiser in self._optimisers],
            "method": copy_to_cpu(self.method.training_state()),
            "precision": copy_to_cpu(self.team.fabric.strategy.precision.state_dict()),
        }

    def restore(self, shared: dict[str, Any], processes: list[dict[str, Any]]) -> None:
        """Take back what `shared_state` and every process's `process_state` gave."""
        for optimiser, state in zip(self._optimisers, shared["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.method.load_training_state(shared["method"])
        if shared["precision"]:
            self.team.fabric.strategy.precision.load_state_dict(shared["precision"])
        if len(processes) != self.team.world:
            warn(
                f"The run was trained by {len(processes)} processes and goes on with {self.team.world}: "
                "the batches are not those that would have followed"
            )
            return
        own = processes[self.team.rank]
        if isinstance(self.batches, Batches) and own["batches"] is not None:
            self.batches.load_state_dict(own["batches"])
        self.generator.set_state(own["generator"])
        set_random_state(own["random"])


def not_finite(step: int) -> RunError:
    """Make the error of a loss that is not a number."""
    return RunError(
        f"The loss is not a finite number at step {step}; training was stopped",
        fix="What was saved before is kept; a lower learning rate or --precision 32-true may help",
    )


class _TrainingStep(nn.Module):
    """The method's forward behind one opaque argument.

    Wrappers for precision and several processes look into the arguments of a module and rebuild what they
    know; a `_Call` passes through them as it is.
    """

    def __init__(self, method: nn.Module):
        super().__init__()
        self.method = method

    def forward(self, call: "_Call") -> dict[str, Any]:
        return self.method(call.batch, call.progress)


class _Call:
    __slots__ = ("batch", "progress")

    def __init__(self, batch: Any, progress: Progress):
        self.batch = batch
        self.progress = progress
