"""Rays through sparse voxels, on all cores: what they see, which points they see, how to see better."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.exports.web import ray_kernels
from sightline.exports.web.space import Space
from sightline.exports.web.voxels import Voxels
from sightline.geometry import Cameras
from sightline.kernels import parallel

STRIDE = 1.5
"""cells between samples"""
# Gradients are summed in as many copies at most, whatever the number of cores: they are large.
_COPIES = 4


@dataclass(frozen=True)
class March:
    """How rays walk."""

    space: Space
    stride: float = STRIDE
    phase: float = 0.5
    density: float = 1.0

    def numbers(self) -> tuple[Any, ...]:
        """The settings in the order in which kernels take them."""
        numbers = (self.space.near, self.space.far, self.density, self.stride, self.phase)
        return self.space.contracted, *(np.float32(value) for value in numbers)


def camera_rays(cameras: Cameras, space: Space, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions, in the model frame, of all pixels of a camera of the input frame."""
    rays = cameras[index].transformed(space.to_model).image_rays(0)
    return np.ascontiguousarray(rays.origins.numpy()), np.ascontiguousarray(rays.directions.numpy())


def show(voxels: Voxels, march: March, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """What rays see: colour without background, light that is left, sum of weight times distance."""
    out = np.empty((len(origins), 5), np.float32)
    parallel.over_ranges(
        ray_kernels.show.compiled(), len(origins), origins, directions, voxels.slots, voxels.corners,
        voxels.values, voxels.fills, voxels.halves, voxels.residual, *march.numbers(), out, least=256,
    )  # fmt: skip
    return out


def picture(
    voxels: Voxels, march: March, cameras: Cameras, index: int, behind: tuple[float, float, float]
) -> np.ndarray:
    """A camera's picture before a colour, (height, width, 3) float32 in [0, 1]."""
    seen = show(voxels, march, *camera_rays(cameras, march.space, index))
    rgb = seen[:, :3] + seen[:, 3:4] * np.asarray(behind, np.float32)
    return np.clip(rgb, 0, 1).reshape(int(cameras.height[index]), int(cameras.width[index]), 3)


def score(
    voxels: Voxels, march: March, origins: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Largest weight with which any of the rays sees each point, (points,), and which ray that is (or -1)."""
    ranges = parallel.split(len(origins), min(_COPIES, parallel.part_count(len(origins), 256)))
    outs = [np.zeros(len(voxels.keys), np.float32) for _ in ranges]
    whos = [np.full(len(voxels.keys), -1, np.int32) for _ in ranges]
    function, numbers = ray_kernels.score.compiled(), march.numbers()
    tree = voxels.slots, voxels.corners, voxels.values
    parallel.run(
        [
            lambda a=a, b=b, n=n: function(origins, directions, *tree, *numbers, outs[n], whos[n], a, b)
            for n, (a, b) in enumerate(ranges)
        ]
    )
    best, who = outs[0], whos[0]
    for other, others in zip(outs[1:], whos[1:], strict=True):
        better = other > best
        best[better], who[better] = other[better], others[better]
    return best, who


class Gradients:
    """Where gradients of `learn` are summed; used again and again."""

    def __init__(self, voxels: Voxels):
        copies = max(1, min(_COPIES, parallel.thread_count()))
        self.values = [np.zeros_like(voxels.values) for _ in range(copies)]
        self.residual = [np.zeros_like(voxels.residual) for _ in range(copies)]

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """The sums, in the first copies; the others are empty again."""
        for copies in (self.values, self.residual):
            for other in copies[1:]:
                copies[0] += other
                other[:] = 0
        return self.values[0], self.residual[0]


def learn(
    voxels: Voxels,
    march: March,
    origins: np.ndarray,
    directions: np.ndarray,
    targets: np.ndarray,
    behind: np.ndarray,
    into: Gradients,
) -> float:
    """Add the gradients of the rays' mean squared error; gives the error.

    Args:
        origins, directions: (rays, 3) model frame.
        targets: (rays, 3) colours that rays should see.
        behind: (rays, 3) colours behind what is transparent.
    """
    ranges = parallel.split(len(origins), min(len(into.values), parallel.part_count(len(origins), 256)))
    losses = [np.zeros(1) for _ in ranges]
    function, numbers = ray_kernels.learn.compiled(), march.numbers()
    factor = np.float32(1 / (3 * len(origins)))
    tree = voxels.slots, voxels.corners, voxels.values, voxels.fills, voxels.halves, voxels.residual
    rays = origins, directions, targets, behind
    parallel.run(
        [
            lambda a=a, b=b, n=n: function(
                *rays, *tree, *numbers, factor, into.values[n], into.residual[n], losses[n], a, b
            )
            for n, (a, b) in enumerate(ranges)
        ]
    )
    return float(sum(loss[0] for loss in losses)) * float(factor)
