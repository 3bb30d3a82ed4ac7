"""Adding up what steps report, without waiting for the device at every step."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

COUNTS = ("rays", "samples")


@dataclass(frozen=True)
class Reading:
    """Means of the steps since the last reading."""

    steps: int
    values: dict[str, float]
    """means over the steps of losses and other scalars; no counts"""
    rays_per_second: float | None = None
    samples_per_second: float | None = None
    samples_per_ray: float | None = None

    @property
    def finite(self) -> bool:
        """Whether the loss was a finite number in every step."""
        return math.isfinite(self.values.get("loss", 0.0))

    def to_json(self) -> dict[str, float]:
        """Everything that is known and finite, rounded for a log."""
        rates = {
            "rays_per_second": self.rays_per_second,
            "samples_per_second": self.samples_per_second,
            "samples_per_ray": self.samples_per_ray,
        }
        found = {**self.values, **{name: value for name, value in rates.items() if value is not None}}
        return {name: float(f"{value:.6g}") for name, value in found.items() if math.isfinite(value)}


@dataclass
class Meter:
    """Sums of what steps report since the last reading.

    Values on the CPU are added up as numbers, values on another device as tensors there, which `read` fetches
    at once: only reading waits for the device.
    """

    clock: Callable[[], float] = time.perf_counter
    steps: int = 0
    _sums: dict[str, float | Tensor] = field(default_factory=dict)
    _since: float = 0.0
    _paused: float = 0.0

    def __post_init__(self) -> None:
        self._since = self.clock()

    def add(self, losses: Mapping[str, Tensor | float | int]) -> None:
        """Add the losses of one step."""
        sums = self._sums
        for name, value in losses.items():
            if isinstance(value, Tensor):
                value = value.detach()
                if value.device.type == "cpu":
                    value = value.item()
            sums[name] = sums[name] + value if name in sums else value
        self.steps += 1

    def exclude(self, seconds: float) -> None:
        """Leave seconds that were spent on something else than steps out of the rates."""
        self._paused += seconds

    def read(self) -> Reading:
        """Give the means since the last reading and start anew."""
        now = self.clock()
        seconds = max(now - self._since - self._paused, 1e-9)
        sums = _fetch(self._sums)
        steps = self.steps
        self.steps, self._sums, self._since, self._paused = 0, {}, now, 0.0
        rays, samples = sums.get("rays"), sums.get("samples")
        return Reading(
            steps=steps,
            values={name: value / max(steps, 1) for name, value in sums.items() if name not in COUNTS},
            rays_per_second=None if rays is None else rays / seconds,
            samples_per_second=None if samples is None else samples / seconds,
            samples_per_ray=samples / rays if rays and samples is not None else None,
        )


def _fetch(sums: Mapping[str, float | Tensor]) -> dict[str, float]:
    tensors = {name: value for name, value in sums.items() if isinstance(value, Tensor)}
    found = {name: float(value) for name, value in sums.items() if not isinstance(value, Tensor)}
    if tensors:
        stacked = torch.stack([value.double().reshape(()) for value in tensors.values()])
        found |= dict(zip(tensors, stacked.tolist(), strict=True))
    return {name: found[name] for name in sums}
