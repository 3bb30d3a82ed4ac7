"""Looking at data and writing it in another format."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.captures import Collection, draw_cameras, inspect_capture, open_capture, write_capture
from sightline.foundation.errors import inform
from sightline.workflows.evaluate import one_scene


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
    """
    opened = open_capture(data, **options)
    if isinstance(opened, Collection):
        return _inspect_collection(opened)
    facts = inspect_capture(opened)
    picture = picture or Path(f"{opened.name}_cameras.png")
    draw_cameras(opened, picture)
    inform(f"The cameras are drawn in {picture}")
    return Inspected(facts.lines(), facts.to_json(), picture)


def _inspect_collection(collection: Collection) -> Inspected:
    categories = Counter(entry.category for entry in collection)
    splits = {name: len(members) for name, members in collection.splits.items()}
    facts = {
        "name": collection.name,
        "format": collection.format,
        "path": collection.path.as_posix(),
        "objects": len(collection),
        "categories": dict(categories),
        "splits": splits,
    }
    lines = [
        f"collection  {collection.name} ({collection.format}, {collection.path})",
        f"objects     {len(collection)}",
        f"splits      {', '.join(f'{count} {name}' for name, count in splits.items())}",
        f"categories  {', '.join(f'{count} {name}' for name, count in categories.most_common())}",
    ]
    return Inspected(lines, facts, None)


def convert_data(data: Path, to: str, out: Path, **options: Any) -> None:
    """Write one scene in another format into a new folder; options are those of `open_capture`."""
    capture = one_scene(open_capture(data, **options))
    write_capture(capture, out, to)
    inform(f"Wrote {len(capture)} views as {to}")
