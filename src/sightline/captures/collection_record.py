"""A collection without its files, as JSON: which objects there are and how they are split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightline.captures.checks import check_schema
from sightline.captures.collection import Collection
from sightline.foundation.errors import InputError

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class CollectionRecord:
    """The objects of a collection; no object is opened for it.

    As JSON, categories are listed once and splits hold positions of objects, so that ten thousand objects
    take a few hundred kilobytes.
    """

    name: str
    format: str
    path: str
    """as opened"""
    options: Mapping[str, Any]
    """arguments of `open_capture`"""
    objects: Mapping[str, str]
    """id → category, in the collection's order"""
    splits: Mapping[str, tuple[str, ...]]
    reference: str | None = None
    """id of the object whose cameras stand for all: those of camera paths"""

    @classmethod
    def from_collection(cls, collection: Collection, reference: str | None = None) -> "CollectionRecord":
        """Record a collection."""
        return cls(
            name=collection.name,
            format=collection.format,
            path=collection.path.as_posix(),
            options=dict(collection.options),
            objects={entry.id: entry.category for entry in collection},
            splits={split: tuple(members) for split, members in collection.splits.items()},
            reference=reference,
        )

    def to_json(self) -> dict[str, Any]:
        """Give plain lists, numbers and texts; `from_json` gives the same record."""
        categories = list(dict.fromkeys(self.objects.values()))
        category_at = {category: position for position, category in enumerate(categories)}
        position = {id: index for index, id in enumerate(self.objects)}
        return {
            "schema": SCHEMA,
            "name": self.name,
            "format": self.format,
            "path": self.path,
            "options": dict(self.options),
            "categories": categories,
            "objects": list(self.objects),
            "category_of": [category_at[category] for category in self.objects.values()],
            "splits": {split: [position[id] for id in members] for split, members in self.splits.items()},
            "reference": self.reference,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: object = None) -> "CollectionRecord":
        """Read what `to_json` gave; InputError for a newer schema or missing parts."""
        try:
            check_schema(data["schema"], SCHEMA, "collection", where)
            ids, categories = data["objects"], data["categories"]
            return cls(
                name=data["name"],
                format=data["format"],
                path=data["path"],
                options=data["options"],
                objects={id: categories[k] for id, k in zip(ids, data["category_of"], strict=True)},
                splits={split: tuple(ids[k] for k in members) for split, members in data["splits"].items()},
                reference=data["reference"],
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(f"The record of the collection is damaged ({error!r})", where=where) from error
