"""How to train, whatever the method: the settings that all methods share (no torch)."""

from dataclasses import dataclass
from typing import Literal

from sightline.foundation.errors import InputError

Precision = Literal["32-true", "16-mixed", "bf16-mixed", "64-true"]


@dataclass(frozen=True)
class TrainSettings:
    """Settings of training; each is a flag of `sightline train`."""

    minutes: float | None = None
    """train for this long, from opening the data to the last step; learning rates follow"""
    steps: int | None = None
    """train for this many steps instead; the same seed, device and thread count give the same result"""
    seed: int = 0
    """seed of all randomness"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to train; auto takes a CUDA device if there is one"""
    devices: int = 1
    """number of processes that train the same scene together, each on its own device or share of the cores"""
    num_nodes: int = 1
    """number of machines; start the command on each of them with torchrun"""
    precision: Precision = "32-true"
    """number format outside the method's own kernels"""
    chunk: int | None = None
    """rays at a time for validation pictures; the method's own choice where not given"""
    log_every: int = 25
    """write the losses to metrics.jsonl and TensorBoard every so many steps"""
    eval_every: int | None = None
    """render validation views every so many steps, 0 for never; by default as often as costs about 2 %"""
    save_every: int | None = None
    """keep a copy of the weights in milestones/ every so many steps"""

    def check(self) -> None:
        """Raise InputError where a setting makes no sense."""
        if self.minutes is not None and self.steps is not None:
            raise InputError("Both a time and a number of steps are given", fix="Give --minutes or --steps")
        for name in ("minutes", "steps", "devices", "num_nodes", "log_every", "chunk", "save_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"It must be above 0, not {value}", where=f"--{name.replace('_', '-')}")
        if self.eval_every is not None and self.eval_every < 0:
            raise InputError(f"It must be 0 or above, not {self.eval_every}", where="--eval-every")
