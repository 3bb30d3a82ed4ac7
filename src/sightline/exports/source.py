"""What exports are made from: a loaded run with its cameras, and photos where they are needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.methods.base import Method, Scene
from sightline.runs.run import Run

_CHUNK = 1 << 16
"""points that are asked for at a time"""
_REASONS = {
    "field": "has no field: it knows pictures of the scene, not what is at a point",
    "depth": "gives no depth",
}

Counting = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def count_silently(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Take notice of progress without showing it."""
    yield lambda done: None


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    paths: tuple[Path, ...]
    """files, the main one first"""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON-able figures: sizes, thresholds, counts"""


@dataclass(frozen=True)
class Source:
    """A run that is loaded, and what exports need besides.

    Args:
        run: the run folder or portable scene.
        method, scene: loaded on `device`.
        cameras: what the scene was learnt from, in the input frame.
        open_photos: opens the training views with their images.
        memory: bytes that may be used; None where nobody knows.
        counting: shows progress of long work.
        capture: all views of what was learnt, with their names and splits; the images need not be there.
    """

    run: Run
    method: Method
    scene: Scene
    cameras: Cameras
    open_photos: Callable[[], Capture]
    device: str = "cpu"
    memory: int | None = None
    counting: Counting = count_silently
    capture: Capture | None = None

    def require(self, capability: str, what: str) -> None:
        """Raise InputError where the scene cannot do what the export `what` needs."""
        if capability not in self.scene.capabilities:
            reason = _REASONS.get(capability, f"does not offer {capability}")
            raise InputError(
                f"No {what} can be made of this run: the method {self.method.name} {reason}",
                where=self.run.path,
                fix="Train ngp or nerf on the same data",
            )

    def refuse_beyond_memory(self, need: int, what: str, flag: str) -> None:
        """Raise InputError with the numbers where `need` bytes are more than there are."""
        if self.memory is not None and need > self.memory:
            raise InputError(
                f"{what} needs about {need / 2**30:.1f} GiB of memory, and {self.memory / 2**30:.1f} GiB "
                "are free",
                where=flag,
                fix="Give a smaller number, or a smaller box with --bounds",
            )

    @property
    def field(self) -> "Field":
        """The scene's field."""
        return Field(self.scene, self.device)


class Field:
    """Density and colour of a scene at any number of points, on the CPU.

    Args:
        scene: a scene with the capability `field`.
        device: where it computes.
        chunk: points at a time.
    """

    def __init__(self, scene: Scene, device: str = "cpu", chunk: int = _CHUNK):
        self.scene, self.device, self.chunk = scene, device, chunk

    def density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density per input unit; what is not finite or negative counts as nothing."""
        found = self._ask(self.scene.density, [points])
        return torch.nan_to_num(found, nan=0.0, posinf=torch.finfo(torch.float32).max, neginf=0.0).clamp_min(
            0
        )

    def radiance(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colour in [0, 1] seen when looking along `directions`."""
        return torch.nan_to_num(self._ask(self.scene.radiance, [points, directions])).clamp(0, 1)

    def _ask(self, function: Callable[..., Tensor], values: Sequence[Tensor]) -> Tensor:
        if not len(values[0]):
            return function(*(value.to(self.device) for value in values)).float().cpu()
        parts = zip(*(value.float().split(self.chunk) for value in values), strict=True)
        with torch.no_grad():
            return torch.cat([function(*(v.to(self.device) for v in part)).float().cpu() for part in parts])
