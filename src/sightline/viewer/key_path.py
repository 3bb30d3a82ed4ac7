"""A camera path as its user makes it: key cameras, and what follows from them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, trajectories

MOST_FRAMES = 3600
_USUAL_SECONDS = 2.0
"""per key camera, where the duration was not chosen"""


@dataclass(frozen=True, eq=False)
class Key:
    """A camera to go through."""

    c2w: Float[np.ndarray, "3 4"]
    """in the input frame"""
    fov: float
    """vertical, radians"""


@dataclass(frozen=True)
class KeyPath:
    """Key cameras in order, and how to go through them; changes give another path."""

    keys: tuple[Key, ...] = ()
    seconds: float | None = None
    fps: float = 30.0
    loop: bool = False
    size: tuple[int, int] = field(default=(640, 480))
    """of the pictures that are rendered along it"""

    def add(self, key: Key, after: int | None = None) -> "KeyPath":
        """Put a key behind another one, or at the end."""
        place = len(self.keys) if after is None else after + 1
        return replace(self, keys=(*self.keys[:place], key, *self.keys[place:]))

    def exchange(self, index: int, key: Key) -> "KeyPath":
        """Put another key in the place of one."""
        return replace(self, keys=(*self.keys[:index], key, *self.keys[index + 1 :]))

    def remove(self, index: int) -> "KeyPath":
        """Leave a key out."""
        return replace(self, keys=(*self.keys[:index], *self.keys[index + 1 :]))

    def move(self, index: int, by: int) -> "KeyPath":
        """Let a key change places with the next (1) or the previous one (-1); at an end it stays."""
        other = index + by
        if not 0 <= other < len(self.keys):
            return self
        keys = list(self.keys)
        keys[index], keys[other] = keys[other], keys[index]
        return replace(self, keys=tuple(keys))

    @property
    def duration(self) -> float:
        """Seconds that it takes."""
        if self.seconds is not None:
            return self.seconds
        return _USUAL_SECONDS * max(1, len(self.keys) - (0 if self.loop else 1))

    @property
    def frames(self) -> int:
        """Number of pictures."""
        return max(1, min(MOST_FRAMES, round(self.duration * self.fps)))

    def cameras(self, frames: int | None = None) -> Cameras:
        """Make the cameras of all frames, or of so many that are evenly spread.

        Raises:
            InputError: there are no two keys to go between.
        """
        if len(self.keys) < 2:
            raise InputError(
                "A path goes through two key cameras or more", fix="Move the view, and add another one"
            )
        width, height = self.size
        focal = [0.5 * height / float(np.tan(key.fov / 2)) for key in self.keys]
        poses = torch.from_numpy(np.stack([key.c2w for key in self.keys]))
        keys = Cameras.create(poses, focal, width=width, height=height)
        return trajectories.zooming(keys, frames or self.frames, self.loop)

    def save(self, folder: Path, name: str) -> Path:
        """Write it to `NAME.json` in a folder, for `sightline render --path`; an earlier one is replaced.

        Raises:
            InputError: there is nothing to save, or the name is none for a file.
            RunError: the folder cannot be written.
        """
        name = name.strip().removesuffix(".json")
        if not name or name.startswith(".") or any(sign in '<>:"|?*/\\' or sign < " " for sign in name):
            raise InputError(
                f"{name!r} is not the name of a file", where="Name", fix="Use letters, digits, - and _"
            )
        path = folder / f"{name}.json"
        trajectories.to_file(path, self.cameras(), self.fps)
        return path
