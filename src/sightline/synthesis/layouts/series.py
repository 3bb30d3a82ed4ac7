"""What all layouts get: the objects of each split, and how they are to be seen."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.synthesis.mitsuba_renderer import View
from sightline.synthesis.object_recipes import ObjectPair, SingleObject

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Item:
    """One object, or scene of two, of a set."""

    id: str
    """name of its folder"""
    category: str
    synset: str
    """number of the category in WordNet, or another name for its folder"""
    label: str
    """names of the category, separated by commas"""
    recipe: SingleObject | ObjectPair


@dataclass(frozen=True, kw_only=True)
class Series:
    """A set before it has a layout."""

    splits: Mapping[str, Sequence[Item]]
    """train, val, test → objects"""
    views: int
    """of each object to train on"""
    test_views: int
    """of each object to validate or test on"""
    size: int
    """width and height in pixels"""
    samples: int
    seed: int

    def items(self) -> Iterator[tuple[str, Item]]:
        """All objects with their splits."""
        for split in SPLITS:
            for item in self.splits.get(split, ()):
                yield split, item

    def count(self, split: str) -> int:
        """How many views an object of a split has."""
        return self.views if split == "train" else self.test_views

    def generator(self, item: Item) -> np.random.Generator:
        """Random numbers for an object's cameras, which nothing else changes."""
        return np.random.default_rng([self.seed, zlib.crc32(item.id.encode()), zlib.crc32(b"cameras")])

    def shots(self, item: Item, poses: np.ndarray, focal: float) -> list[View]:
        """Make the views of an object.

        Args:
            item: the object; its id decides the noise of each view.
            poses: (n, 3, 4).
            focal: focal length in widths of the picture.
        """
        return views(item.id, poses, focal, (self.size, self.size), self.samples)


def views(id: str, poses: np.ndarray, focal: float, size: tuple[int, int], samples: int) -> list[View]:
    """Make views from poses (n, 3, 4); `focal` in widths, `size` is (width, height), `id` seeds the noise."""
    width, height = size
    return [
        View(
            c2w=pose,
            angle_x=2 * math.atan(0.5 / focal),
            width=width,
            height=height,
            samples=samples,
            seed=zlib.crc32(f"{id}/{index}".encode()) >> 1,
        )
        for index, pose in enumerate(poses)
    ]


Made = Callable[[frozenset[str]], Mapping[str, bytes]]
"""gives the files that close a set, from the folders of the objects that were made"""
