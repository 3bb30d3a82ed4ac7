"""Looking at data and writing it in another format."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.captures import (
    Collection,
    captures_inside,
    draw_cameras,
    inspect_capture,
    open_capture,
    write_capture,
)
from sightline.foundation.errors import InputError, inform
from sightline.workflows.evaluate import one_scene

_LISTED = 50
"""captures of a folder that are described"""
_LOOKED_AT = 8
"""objects of a collection that are opened, evenly spread"""


@dataclass(frozen=True)
class Inspected:
    """What was found in a data folder."""

    lines: list[str]
    """for people"""
    facts: dict[str, Any]
    picture: Path | None
    """the cameras around the scene"""

    def to_json(self) -> dict[str, Any]:
        """What `sightline data inspect --json` prints."""
        return {**self.facts, "picture": None if self.picture is None else self.picture.as_posix()}


def inspect_data(data: Path, picture: Path | None = None, **options: Any) -> Inspected:
    """Collect the facts of a data folder and draw its cameras.

    Args:
        data: folder or file of the data.
        picture: PNG file to draw into; NAME_cameras.png in the working directory where not given.
        options: those of `open_capture`.

    Returns:
        The facts of a capture; of a collection, those of its first training object too, whose cameras are
        drawn; of a folder of captures, a line for each.
    """
    try:
        opened = open_capture(data, **options)
    except InputError:
        inside = captures_inside(Path(data))
        if not inside or options.get("format") is not None:
            raise
        first = f"folder  {data} is no capture itself, but {len(inside)} of the folders in it are:"
        return _inspect_folder(Path(data), inside, options, first)
    if isinstance(opened, Collection) and opened.format == "scenes":
        splits = ", ".join(f"{len(members)} {name}" for name, members in opened.splits.items())
        first = f"collection  {opened.name} (scenes, {opened.path}): {len(opened)} captures, {splits}"
        return _inspect_folder(opened.path, [opened.path / entry.id for entry in opened], options, first)
    picture = picture or Path(f"{opened.name}_cameras.png")
    if isinstance(opened, Collection):
        return _inspect_collection(opened, picture)
    facts = inspect_capture(opened)
    draw_cameras(opened, picture)
    inform(f"The cameras are drawn in {picture}")
    return Inspected(facts.lines(), facts.to_json(), picture)


def _inspect_folder(data: Path, inside: Sequence[Path], options: Mapping[str, Any], first: str) -> Inspected:
    """Describe the captures and collections in a folder by a line each, below the first; none is drawn."""
    lines, captures = [first], []
    for path in inside[:_LISTED]:
        opened = open_capture(path, **{**options, "format": None})
        kind = "objects" if isinstance(opened, Collection) else "views"
        splits = {name: len(members) for name, members in opened.splits.items()}
        shown = ", ".join(f"{count} {name}" for name, count in splits.items())
        captures.append({"name": path.name, "format": opened.format, kind: len(opened), "splits": splits})
        lines.append(f"{path.name}  ({opened.format}) {len(opened)} {kind}: {shown}")
    if len(inside) > _LISTED:
        lines.append(f"and {len(inside) - _LISTED} more")
    facts = {"name": data.name, "path": data.as_posix(), "count": len(inside), "captures": captures}
    return Inspected(lines, facts, None)


def _inspect_collection(collection: Collection, picture: Path) -> Inspected:
    """Count objects, and look at some of them: the first to train on is described and drawn."""
    categories = Counter(entry.category for entry in collection)
    splits = {name: len(members) for name, members in collection.splits.items()}
    members = collection.splits.get("train") or [entry.id for entry in collection.objects[:1]]
    shown = collection[members[0]]
    step = max(1, -(-len(collection) // _LOOKED_AT))
    looked_at = {entry.id: entry.open() for entry in [shown, *collection.objects[::step]]}
    counts = [len(capture) for capture in looked_at.values()]
    sizes = Counter(
        f"{width}x{height}" for found in looked_at.values() for width, height in found.images.sizes.tolist()
    )
    capture = looked_at[shown.id]
    found, stated = inspect_capture(capture), _plain(capture.extras)
    facts = {
        "name": collection.name,
        "format": collection.format,
        "path": collection.path.as_posix(),
        "objects": len(collection),
        "categories": dict(categories),
        "splits": splits,
        "looked_at": len(looked_at),
        "views": [min(counts), max(counts)],
        "sizes": dict(sizes),
        "stated": stated,
        "object": {"id": shown.id, "category": shown.category, **found.to_json()},
    }
    views = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    lines = [
        f"collection  {collection.name} ({collection.format}, {collection.path})",
        f"objects     {len(collection)}",
        f"splits      {', '.join(f'{count} {name}' for name, count in splits.items())}",
        f"categories  {', '.join(f'{count} {name}' for name, count in categories.most_common())}",
        f"views       {views} of an object, {', '.join(sizes)} pixels ({len(looked_at)} objects opened)",
        *(
            [f"stated      {', '.join(f'{name} {value}' for name, value in stated.items())}"]
            if stated
            else []
        ),
        "",
        f"The object {shown.id} ({shown.category}):",
        *found.lines()[1:],
    ]
    draw_cameras(capture, picture)
    inform(f"The cameras of the object {shown.id} are drawn in {picture}")
    return Inspected(lines, facts, picture)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a set says of itself: texts and finite numbers."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    }


def convert_data(data: Path, to: str, out: Path, **options: Any) -> None:
    """Write one scene in another format into a new folder; options are those of `open_capture`."""
    capture = one_scene(open_capture(data, **options))
    write_capture(capture, out, to)
    inform(f"Wrote {len(capture)} views as {to}")
