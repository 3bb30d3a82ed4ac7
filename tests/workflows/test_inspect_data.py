"""What `sightline data inspect` says of every kind of set that `sightline data make` writes."""

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from sightline.synthesis.object_sets import LAYOUTS, make_objects
from sightline.synthesis.scene_sets import make_scenes
from sightline.workflows.data import Inspected, inspect_data

TINY: dict[str, Any] = {
    "objects": 2,
    "val_objects": 1,
    "test_objects": 1,
    "views": 3,
    "test_views": 2,
    "size": 16,
    "samples": 1,
    "workers": 0,
}
ENR = 2 * math.degrees(math.atan(16 / 35))
SRN, NMR, PAIR = 2 * math.degrees(math.atan(64 / 131.25)), 30.0, 2 * math.degrees(math.atan(18 / 50))
EXPECTED = {
    "enr-rotation": ("enr", ENR, 2.0, None),
    "enr-translation": ("enr", ENR, None, None),
    "enr-rototranslation": ("enr", ENR, None, None),
    "srn": ("srn", SRN, 2.0, (1.25, 2.75)),
    "nmr": ("nmr", NMR, 2.732, (1.2, 4.0)),
    "multi-object": ("multi-object", PAIR, 6.0, (4.0, 9.0)),
}
"""layout → format, field of view in degrees, distance of the cameras where it is one, near and far"""


def inspect(data: Path, tmp_path: Path) -> Inspected:
    found = inspect_data(data, tmp_path / "cameras.png")
    json.dumps(found.to_json(), allow_nan=False)
    return found


def test_all_layouts_are_tried():
    assert {*EXPECTED, "blender"} == set(LAYOUTS)


@pytest.mark.parametrize("layout", EXPECTED)
def test_sets_of_objects(layout: str, tmp_path: Path):
    folder = make_objects(tmp_path / "set", layout=cast(Any, layout), categories=["chairs"], seed=3, **TINY)
    found = inspect(folder, tmp_path)
    format, angle, distance, bounds = EXPECTED[layout]
    facts, shown = found.facts, found.facts["object"]
    assert (facts["format"], facts["objects"], facts["looked_at"]) == (format, 4, 4)
    assert facts["splits"] == {"train": 2, "val": 1, "test": 1}
    assert (facts["views"], facts["sizes"]) == ([2, 3], {"16x16": 10})
    assert shown["id"].endswith("chair-train-00000")
    assert (shown["views"], shown["channels"]) == (3, 3 if layout in ("srn", "nmr") else 4)
    assert shown["field_of_view"] == pytest.approx([angle, angle], abs=1e-3)
    if distance is not None and layout != "nmr":
        # Three cameras at one height may have their nearest point elsewhere, but these meet in the middle.
        assert shown["focus_distance"] == pytest.approx([distance, distance], abs=1e-3)
    assert (shown["near"], shown["far"]) == (
        (None, None) if bounds is None else ([bounds[0]] * 2, [bounds[1]] * 2)
    )
    if format == "enr":
        assert facts["stated"] == {"angle_unit": "radians", "distance": 2.0, "upright": True}
        assert shown["per_view"] == ["azimuth", "elevation", "x", "y", "z"]
    text = "\n".join(found.lines)
    for part in (
        "2 train, 1 val, 1 test",
        "2 to 3 of an object, 16x16 pixels (4 objects opened)",
        "The object ",
    ):
        assert part in text
    assert "e-1" not in text
    with Image.open(tmp_path / "cameras.png") as picture:
        assert picture.size == (1430, 682)


def test_captures_of_objects_are_listed(tmp_path: Path):
    folder = make_objects(tmp_path / "set", layout="blender", seed=3, **{**TINY, "objects": 1})
    found = inspect(folder, tmp_path)
    assert found.picture is None
    assert found.facts["count"] == 3
    assert "(scenes," in found.lines[0]
    assert found.lines[0].endswith("3 captures, 2 train, 0 val, 1 test")
    assert "  (blender) 5 views: 3 train, 0 val, 2 test" in found.lines[1]
    one = inspect(sorted(path for path in folder.iterdir() if path.is_dir())[0], tmp_path)
    assert (one.facts["format"], one.facts["views"]) == ("blender", 5)


def test_scenes(tmp_path: Path):
    single = make_scenes(
        tmp_path / "one", layout="llff", scenes=1, views=4, size=16, samples=1, workers=0, seed=1
    )
    found = inspect(single, tmp_path)
    assert (found.facts["format"], found.facts["views"], found.facts["layout"]) == (
        "llff",
        4,
        "forward-facing",
    )
    assert found.facts["near"] is not None
    several = make_scenes(
        tmp_path / "two", layout="llff", scenes=2, views=4, size=16, samples=1, workers=0, seed=1
    )
    listed = inspect(several, tmp_path)
    assert [capture["format"] for capture in listed.facts["captures"]] == ["llff", "llff"]
