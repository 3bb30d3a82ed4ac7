"""The layout of Equivariant Neural Rendering: SPLIT/OBJECT/00000.png … and render_params.json."""

import json
from collections.abc import Mapping
from functools import partial

from sightline.synthesis.camera_laws import turntable
from sightline.synthesis.layouts.series import Item, Series
from sightline.synthesis.production import Content, Entry, Picture, Plan

DISTANCE = 2.0
FOCAL = 35 / 32
"""focal length in widths of the picture: a lens of 35 mm before a sensor of 32 mm"""


def plan(series: Series, *, turning: bool, shifting: bool) -> Plan:
    """Plan a set whose views turn around the object, shift it, or both; angles are written as radians."""

    def content(split: str, item: Item) -> Content:
        table = turntable(series.generator(item), series.count(split), turning=turning, shifting=shifting)
        shots = series.shots(item, table.poses(DISTANCE), FOCAL)
        pictures = tuple(Picture(f"{index:05d}.png", view) for index, view in enumerate(shots))
        return Content(pictures, {"render_params.json": _json(table.params())})

    def closing(_: frozenset[str]) -> Mapping[str, bytes]:
        categories = sorted({item.category for _, item in series.items()})
        facts = {
            "angle_unit": "radians",
            "distance": DISTANCE,
            "focal": FOCAL,
            "upright": True,
            **({"category": categories[0]} if len(categories) == 1 else {}),
        }
        return {"sightline.json": _json(facts)}

    entries = [
        Entry(f"{split}/{item.id}", item.recipe, series.count(split), partial(content, split, item))
        for split, item in series.items()
    ]
    return Plan(entries, "white-rgba", series.size**2, closing)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
