"""The categories of procedural objects, with the numbers that ShapeNet has for them."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sightline.synthesis.description import Part
from sightline.synthesis.objects import aeroplanes, chairs, lamps, shelves, tables, vases, vehicles
from sightline.synthesis.objects.kit import Draw


@dataclass(frozen=True)
class Category:
    """A kind of object."""

    name: str
    """as in `--categories`"""
    single: str
    """for ids: one of them"""
    synset: str
    """WordNet offset, which ShapeNet's folders are named by"""
    label: str
    """names in ShapeNet's taxonomy, separated by commas"""
    build: Callable[[Draw], tuple[Part, ...]]


CATEGORIES = {
    category.name: category
    for category in (
        Category("chairs", "chair", "03001627", "chair", chairs.build),
        Category("tables", "table", "04379243", "table", tables.build),
        Category("lamps", "lamp", "03636649", "lamp", lamps.build),
        Category("shelves", "shelf", "02871439", "bookshelf", shelves.build),
        Category("vases", "vase", "03593526", "jar,vase", vases.build),
        Category("vehicles", "vehicle", "02958343", "car,auto,automobile", vehicles.build),
        Category("aeroplanes", "aeroplane", "02691156", "airplane,aeroplane,plane", aeroplanes.build),
    )
}
"""in the order in which mixed sets take them in turn"""


def build_object(category: str, stream: str, index: int, seed: int) -> tuple[Part, ...]:
    """Make the object that a seed gives.

    Args:
        category: one of `CATEGORIES`.
        stream: a word that keeps series apart, such as a split: no object of one is in another.
        index: number in the series.
        seed: another seed, other objects.

    Returns:
        Its parts: standing on z = 0, facing +y, sizes of about metres.
    """
    words = [seed, zlib.crc32(category.encode()), zlib.crc32(stream.encode()), index]
    draw = Draw(np.random.default_rng(words))
    return CATEGORIES[category].build(draw)
