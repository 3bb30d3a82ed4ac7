"""Many objects or scenes as one thing: what methods that generalise learn from and are judged on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.captures.capture import Capture
from sightline.foundation.errors import InputError, warn


@dataclass(frozen=True)
class CollectionObject:
    """One object of a collection; its files are not touched before `open`."""

    id: str
    """unique in the collection"""
    category: str
    """class of the object ("chair"); the same text for all where a data set has one class"""
    open: Callable[[], Capture]
    """opens the object's capture, anew at each call; can be pickled, for worker processes"""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Objects with the data set's own splits; thousands cost nothing before they are opened."""

    name: str
    objects: Sequence[CollectionObject]
    splits: Mapping[str, tuple[str, ...]]
    """split name → object ids"""
    format: str = "memory"
    path: Path = field(default_factory=Path)
    options: Mapping[str, object] = field(default_factory=dict)
    """the arguments of `open_capture` that made this collection"""

    def __post_init__(self) -> None:
        by_id = {entry.id: entry for entry in self.objects}
        if len(by_id) < len(self.objects):
            raise ValueError("two objects of a collection have the same id")
        for split, members in self.splits.items():
            unknown = [member for member in members if member not in by_id]
            if unknown:
                raise ValueError(f"split {split!r} names unknown objects: {unknown[:3]}")
        object.__setattr__(self, "_by_id", by_id)

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[CollectionObject]:
        return iter(self.objects)

    def __getitem__(self, id: str) -> CollectionObject:
        """Find an object by its id; InputError names some that there are."""
        by_id: dict[str, CollectionObject] = self.__dict__["_by_id"]
        if id not in by_id:
            raise InputError(
                f"The collection has no object {id!r}",
                where=self.path,
                fix=f"It has {len(self)}, for example {', '.join(list(by_id)[:3])}",
            )
        return by_id[id]

    @property
    def categories(self) -> tuple[str, ...]:
        """The classes of the objects, sorted."""
        return tuple(sorted({entry.category for entry in self.objects}))

    def split(self, name: str) -> tuple[CollectionObject, ...]:
        """Give the objects of a split in the order of its list; InputError says which splits hold objects."""
        if not self.splits.get(name):
            there = ", ".join(
                f"{split} ({len(members)})" for split, members in self.splits.items() if members
            )
            raise InputError(
                f"The collection has no objects in the split {name!r}",
                where=self.path,
                fix=f"Splits with objects: {there or 'none'}",
            )
        return tuple(self[id] for id in self.splits[name])


def read_id_list(path: Path) -> tuple[str, ...]:
    """Read a list file of a data set: an id per line; empty lines and blanks around ids don't count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the list of objects ({error})", where=path) from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def splits_from_lists(
    lists: Mapping[str, Path], objects: Sequence[CollectionObject], *, strict: bool = False
) -> dict[str, tuple[str, ...]]:
    """Make splits from list files, leaving out ids that have no data, with one warning for all.

    Args:
        lists: split name → list file.
        objects: what is there.
        strict: refuse ids without data instead.
    """
    there = {entry.id for entry in objects}
    listed = {split: read_id_list(path) for split, path in lists.items()}
    missing = {split: [id for id in ids if id not in there] for split, ids in listed.items()}
    count = sum(len(ids) for ids in missing.values())
    if count:
        detail = "; ".join(f"{split}: {len(ids)}, first {ids[0]}" for split, ids in missing.items() if ids)
        summary = f"{count} of {sum(map(len, listed.values()))} listed objects have no data ({detail})"
        where = next(path for split, path in lists.items() if missing[split])
        if strict:
            raise InputError(summary, where=where, fix="Add them, or skip them by leaving out --strict")
        warn(f"{summary}. They are skipped. Where: {where}.")
    return {split: tuple(id for id in ids if id in there) for split, ids in listed.items()}
