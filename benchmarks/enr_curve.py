"""Loss curves of `enr` and of a plain float32 implementation over the same batches of a set of objects."""

from collections.abc import Callable

import torch
from benchmarks.plain_enr import Plain
from benchmarks.turns import Curve, train_in_turns

from sightline.captures import Capture, Collection
from sightline.methods.base import Progress
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.method import Enr


def measure_curve(config: EnrConfig, data: Capture | Collection, steps: int) -> Curve:
    """Train both sides from the same weights on the same batches, step by step in turns.

    The plain one has channels in planes, where PyTorch's normalisation in float32 is exact.

    Raises:
        InputError: the configuration cannot learn from the data.
    """
    torch.manual_seed(0)
    method = Enr(config)
    batches = method.batches(method.prepare(data), torch.Generator().manual_seed(0))
    plain = Plain(config, method.network.state_dict())
    optimisation = method.optimisers()[0]
    adam = optimisation.optimiser

    def step(number: int) -> tuple[Callable[[], float], Callable[[], float]]:
        progress, batch = Progress(number, number / steps), next(batches)
        for group in (*plain.optimiser.param_groups, *adam.param_groups):
            group["lr"] = config.learning_rate * optimisation.schedule(progress)

        def ours() -> float:
            loss = method(batch, progress)["loss"]
            adam.zero_grad()
            loss.backward()
            adam.step()
            return loss.item()

        return lambda: plain.step(batch.pictures, batch.motions), ours

    return train_in_turns("enr", f"{config.batch_size} pictures", steps, step)
