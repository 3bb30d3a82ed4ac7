"""The photos that a scene was learnt or is seen from: where they were taken, and what they show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

MOST_SHOWN = 100
_SAME_PLACE = 1e-3
"""how far a view may be from a photo's place to be compared with it, in typical distances between photos"""


@dataclass(eq=False)
class Photos:
    """Photos of a scene.

    Args:
        cameras: where they were taken.
        names: of their files.
        splits: split name → indices.
        thumbnail: gives a small picture, or None.
        load: opens a photo: uint8 (height, width, 3 or 4); InputError where it is not there.
    """

    cameras: Cameras
    names: Sequence[str]
    splits: Mapping[str, Sequence[int]]
    thumbnail: Callable[[int], UInt8[np.ndarray, "_ _ _"] | None]
    load: Callable[[int], UInt8[np.ndarray, "_ _ _"]]
    _last: tuple[int, np.ndarray] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.cameras)

    @cached_property
    def shown(self) -> list[int]:
        """Views that are drawn: all, or `MOST_SHOWN` that are evenly spread over each split."""
        if len(self) <= MOST_SHOWN:
            return list(range(len(self)))
        chosen: set[int] = set()
        for members in self.splits.values():
            share = max(1, round(MOST_SHOWN * len(members) / len(self)))
            places = np.unique(np.linspace(0, len(members) - 1, min(share, len(members))).round().astype(int))
            chosen.update(int(members[place]) for place in places)
        if not chosen:
            chosen.update(np.linspace(0, len(self) - 1, MOST_SHOWN).round().astype(int).tolist())
        return sorted(chosen)[: MOST_SHOWN + len(self.splits)]

    def split_of(self, index: int) -> str:
        """Name the split that a view is shown as; those that are held out count before "train"."""
        for split in ("test", "val", "train", *self.splits):
            if index in self._members.get(split, ()):
                return split
        return "train"

    @cached_property
    def _members(self) -> dict[str, frozenset[int]]:
        return {split: frozenset(members) for split, members in self.splits.items()}

    @cached_property
    def _centres(self) -> np.ndarray:
        return self.cameras.centres.cpu().numpy()

    @cached_property
    def spacing(self) -> float:
        """Median distance of a photo from its nearest neighbour, in units of the data; 1 for a single one."""
        if len(self) < 2:
            return 1.0
        distances = np.linalg.norm(self._centres[:, None] - self._centres[None], axis=-1)
        np.fill_diagonal(distances, np.inf)
        found = float(np.median(distances.min(1)))
        return found if found > 0 else 1.0

    def at(self, place: Float[np.ndarray, "3"]) -> int | None:
        """Find the photo that was taken from a place; None where none was."""
        distances = np.linalg.norm(self._centres - place, axis=1)
        nearest = int(distances.argmin())
        return nearest if distances[nearest] <= _SAME_PLACE * self.spacing else None

    def pixels(self, index: int) -> UInt8[np.ndarray, "_ _ _"]:
        """Open a photo; the last one is kept."""
        if self._last is None or self._last[0] != index:
            self._last = (index, self.load(index))
        return self._last[1]

    def seen_by(
        self, index: int, view: Cameras, background: tuple[float, float, float]
    ) -> Float[np.ndarray, "height width 3"]:
        """Show a photo as a camera at the same place sees it: in [0, 1], NaN beside the photo.

        The photo's lens is undone. What is transparent is put before the background.

        Raises:
            InputError: the photo is not there.
        """
        photo = self.pixels(index).astype(np.float32) / 255
        if photo.shape[2] == 4:
            photo = photo[..., :3] * photo[..., 3:] + np.array(background, np.float32) * (1 - photo[..., 3:])
        height, width = int(view.height[0]), int(view.width[0])
        rays = view.image_rays(0)
        points = self.cameras.centres[index] + rays.directions.double()
        sees = self.cameras.sees(points, index).numpy().reshape(height, width)
        places = self.cameras.project(points, index)[0].numpy().astype(np.float32)
        # Photos may be at hand in another size than their camera has.
        ratio = (
            photo.shape[1] / int(self.cameras.width[index]),
            photo.shape[0] / int(self.cameras.height[index]),
        )
        x, y = (places[:, axis].reshape(height, width) * np.float32(ratio[axis]) for axis in (0, 1))
        # A reduced view of a large photo is its mean, not every so many-th of its pixels.
        step = float(self.cameras.fx[index]) * ratio[0] / float(view.fx[0])
        if step > 1:
            photo = cv2.GaussianBlur(photo, (0, 0), 0.35 * step)
        border = cv2.BORDER_REPLICATE
        found = cv2.remap(
            photo, x - np.float32(0.5), y - np.float32(0.5), cv2.INTER_LINEAR, borderMode=border
        )
        found[~sees] = np.nan
        return found


def absent(reason: str) -> Callable[[int], np.ndarray]:
    """Give what stands for photos that are not at hand: it raises InputError with the reason."""

    def load(index: int) -> np.ndarray:
        raise InputError(reason)

    return load


def short_name(name: str) -> str:
    """Shorten a photo's name to its stem."""
    return PurePosixPath(name).stem


def camera_of(photos: Photos, index: int) -> tuple[np.ndarray, float, float]:
    """Give a photo's pose (3 x 4), its vertical field of view in radians, and its width over height."""
    cameras = photos.cameras
    height, width = float(cameras.height[index]), float(cameras.width[index])
    fov = 2 * float(torch.atan(0.5 * height / cameras.fy[index]))
    aspect = width / height * float(cameras.fy[index] / cameras.fx[index])
    return cameras.c2w[index].cpu().numpy(), fov, aspect
