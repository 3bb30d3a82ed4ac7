"""One scene: its cameras, its images and what the files say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Points:
    """Sparse points of a scene in the input frame."""

    positions: np.ndarray
    """float64 (n, 3), input frame and units"""
    colours: np.ndarray
    """uint8 (n, 3), sRGB"""

    def __post_init__(self) -> None:
        if self.positions.shape != self.colours.shape or self.positions.shape[1:] != (3,):
            raise ValueError(f"points of shape {self.positions.shape} with colours {self.colours.shape}")

    def __len__(self) -> int:
        return len(self.positions)

    def subsampled(self, count: int) -> "Points":
        """Keep at most `count` points, evenly spread over the list (the same ones every time)."""
        if len(self) <= count:
            return self
        chosen = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        return Points(self.positions[chosen], self.colours[chosen])


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Posed images of one scene in the frame and units of its files.

    View i is `cameras[i]`, `images[i]`, `image_names[i]` and row i of everything that is per view.
    """

    name: str
    cameras: Cameras
    images: ImageStore
    image_names: tuple[str, ...]
    """path of each image below `path`, with forward slashes; unique"""
    splits: dict[str, tuple[int, ...]]
    """split name → view indices; `train`, `val` and `test` always exist and may be empty"""
    near: np.ndarray | None = None
    """float64 (n,) depth of the nearest matter along the optical axis, where the format says so"""
    far: np.ndarray | None = None
    """float64 (n,) depth of the farthest matter"""
    per_view: dict[str, np.ndarray] = field(default_factory=dict)
    """raw numbers of each view by the format's own name (n,); NaN where a view has none"""
    masks: ImageStore | None = None
    """one channel per view; nonzero = ignore this pixel"""
    silhouettes: ImageStore | None = None
    """one channel per view; nonzero = the object is here. Every pixel counts nevertheless"""
    points: Points | None = None
    box: np.ndarray | None = None
    """float64 (2, 3): lowest and highest corner of the scene, where it is given"""
    background: str = "photo"
    """"alpha" (images carry opacity), "photo" (real surroundings), "white" or "black" (painted in)"""
    format: str = "memory"
    path: Path = field(default_factory=Path)
    options: Mapping[str, Any] = field(default_factory=dict)
    """the arguments of `open_capture` that made this capture, to open it again"""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """values of the file that describe neither cameras nor images (aabb_scale …), kept for writing"""

    def __post_init__(self) -> None:
        count = len(self.cameras)
        per_view = {"images": self.images, "image_names": self.image_names, **self.per_view}
        optional = {"near": self.near, "far": self.far, "masks": self.masks}
        optional["silhouettes"] = self.silhouettes
        per_view |= {name: value for name, value in optional.items() if value is not None}
        for name, value in per_view.items():
            if len(value) != count:
                raise ValueError(f"{count} cameras but {len(value)} of {name}")
        for name, indices in self.splits.items():
            if any(not 0 <= index < count for index in indices):
                raise ValueError(f"split {name!r} names views outside 0 … {count - 1}")

    def __len__(self) -> int:
        return len(self.cameras)

    def subset(self, indices: Sequence[int]) -> "Capture":
        """Keep the views `indices`, in that order; splits are renumbered, images stay lazy and cached."""
        chosen = [range(len(self))[index] for index in indices]
        rows = np.asarray(chosen, dtype=np.int64)
        new_index: dict[int, int] = {}
        for position, old in enumerate(chosen):
            new_index.setdefault(old, position)
        return replace(
            self,
            cameras=self.cameras[chosen],
            images=self.images.subset(chosen),
            image_names=tuple(self.image_names[index] for index in chosen),
            splits={
                name: tuple(sorted(new_index[index] for index in members if index in new_index))
                for name, members in self.splits.items()
            },
            near=None if self.near is None else self.near[rows],
            far=None if self.far is None else self.far[rows],
            per_view={name: values[rows] for name, values in self.per_view.items()},
            masks=None if self.masks is None else self.masks.subset(chosen),
            silhouettes=None if self.silhouettes is None else self.silhouettes.subset(chosen),
        )

    def view(self, index: int) -> "Capture":
        """Keep the single view `index`."""
        return self.subset([index])

    def split(self, name: str) -> "Capture":
        """Keep the views of one split; InputError says which splits hold views."""
        if not self.splits.get(name):
            there = ", ".join(f"{key} ({len(value)})" for key, value in self.splits.items() if value)
            raise InputError(
                f"The capture has no views in the split {name!r}",
                where=self.path,
                fix=f"Splits with views: {there or 'none'}",
            )
        return self.subset(self.splits[name])
