"""Loss curves of `enr` and of a plain float32 implementation over the same batches of a set of objects."""

import torch
from benchmarks.plain_enr import Plain
from benchmarks.turns import Curve, train_in_turns

from sightline.captures import Capture, Collection
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.method import Enr


def measure_curve(config: EnrConfig, data: Capture | Collection, steps: int) -> Curve:
    """Train both sides from the same weights; see `train_in_turns`.

    The plain one has channels in planes, where PyTorch's normalisation in float32 is exact.
    """
    torch.manual_seed(0)
    method = Enr(config)
    # What the data says of the first weights holds for both.
    method.prepare(data)
    plain = Plain(config, method.network.state_dict())
    return train_in_turns(
        method,
        data,
        plain,
        lambda batch: plain.step(batch.pictures, batch.motions),
        f"{config.batch_size} pictures",
        steps,
    )
