"""Refining baked values: Adam on the squared error of rays, against photos or the field's own pictures."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from sightline.exports.web.space import Space
from sightline.exports.web.tracing import Gradients, March, learn
from sightline.exports.web.voxels import Voxels
from sightline.geometry import Cameras
from sightline.kernels import adam

_BETAS = (0.9, 0.99)
_EPS = 1e-12
_RATE, _RESIDUAL_RATE = 0.02, 0.01
"""how far codes and colours, and what colours change by, move in the first step"""
_LAST = 0.05
"""part of it that is left in the last step"""
_REFILL = 8
"""steps between new fills of what holds nothing"""


@dataclass(frozen=True)
class Pictures:
    """What rays of some cameras should see.

    Args:
        cameras: of the input frame.
        colours: of each camera (height x width, 3 or 4) uint8, straight, the fourth opacity.
        usable: of each camera (height x width,) bool, or None where all pixels count.
        behind: colour behind what is transparent, where pictures are opaque; a random one where they are not.
    """

    cameras: Cameras
    colours: list[np.ndarray]
    usable: list[np.ndarray] | None
    behind: tuple[float, float, float]


class Batches:
    """Random rays with their colours, without end."""

    def __init__(self, pictures: Pictures, space: Space, generator: torch.Generator):
        self.pictures, self.generator = pictures, generator
        self.cameras = pictures.cameras.transformed(space.to_model)
        sizes = [len(colours) for colours in pictures.colours]
        self.ends = np.cumsum(sizes)
        self.colours = np.concatenate(pictures.colours)
        self.usable = None if pictures.usable is None else np.concatenate(pictures.usable)

    def draw(self, count: int) -> tuple[np.ndarray, ...]:
        """Origins, directions, targets and colours behind, (count, 3) each."""
        drawn = torch.randint(int(self.ends[-1]), (count,), generator=self.generator).numpy()
        if self.usable is not None:
            drawn = drawn[self.usable[drawn]]
        view = np.searchsorted(self.ends, drawn, side="right")
        within = drawn - np.concatenate([[0], self.ends])[view]
        width = self.cameras.width.numpy()[view]
        pixels = np.stack([within % width, within // width], -1) + 0.5
        rays = self.cameras.rays(torch.from_numpy(view), torch.from_numpy(pixels))
        colours = self.colours[drawn].astype(np.float32) / 255
        behind = np.broadcast_to(np.asarray(self.pictures.behind, np.float32), (len(drawn), 3)).copy()
        if colours.shape[1] == 4:
            behind = torch.rand(len(drawn), 3, generator=self.generator).numpy()
            alpha = colours[:, 3:]
            colours = colours[:, :3] * alpha + behind * (1 - alpha)
        arrays = rays.origins.numpy(), rays.directions.numpy(), colours, behind
        return tuple(np.ascontiguousarray(array) for array in arrays)


def refine(
    voxels: Voxels,
    march: March,
    batches: Batches,
    steps: int,
    rays: int,
    on_step: Callable[[int, float], None] = lambda done, error: None,
) -> Voxels:
    """Change what points hold so that rays see what they should.

    Args:
        rays: of each step.
    """
    voxels = replace(voxels, values=voxels.values.copy(), residual=voxels.residual.copy()).filled()
    into = Gradients(voxels)
    moments = [np.zeros_like(a) for a in (voxels.values, voxels.values, voxels.residual, voxels.residual)]
    for step in range(steps):
        phase = float(torch.rand(1, generator=batches.generator))
        origins, directions, targets, behind = batches.draw(rays)
        jittered = replace(march, phase=phase)
        error = learn(voxels, jittered, origins, directions, targets, behind, into)
        to_values, to_residual = into.total()
        fall = _LAST ** (step / max(1, steps))
        _step(voxels.values, to_values, moments[:2], _RATE * fall, step)
        if voxels.residual.size:
            _step(voxels.residual, to_residual, moments[2:], _RESIDUAL_RATE * fall, step)
        np.clip(voxels.values, 0, 1, out=voxels.values)
        if step % _REFILL == _REFILL - 1 or step == steps - 1:
            voxels = voxels.filled()
        on_step(step + 1, error)
    return voxels


def _step(values: np.ndarray, slopes: np.ndarray, moments: list[np.ndarray], rate: float, step: int) -> None:
    parameter, gradient, first, second = (torch.from_numpy(array) for array in (values, slopes, *moments))
    corrections = 1 - _BETAS[0] ** (step + 1), 1 - _BETAS[1] ** (step + 1)
    adam.step(parameter, gradient, first, second, rate=rate, betas=_BETAS, eps=_EPS, corrections=corrections)
