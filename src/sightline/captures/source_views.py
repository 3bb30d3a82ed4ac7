"""Which views show an object to a method that generalises: by number, by name, by list, by split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sightline.captures.capture import Capture
from sightline.captures.collection import CollectionObject
from sightline.foundation.errors import InputError

EACH = "each"
"""every view is the source in turn"""
_SHOWN = 3


@dataclass(frozen=True)
class SourceList:
    """A list file of source views: a row `category object view [view …]` per object (pixelNeRF)."""

    path: Path
    rows: Mapping[str, Mapping[str, tuple[str, ...]]]
    """object → category → views"""

    def views_of(self, entry: CollectionObject) -> tuple[str, ...]:
        """Find the views of an object.

        Its id is the object of a row, or ends with it after its category ("03001627/1a8bbf").

        Raises:
            InputError: the list lacks the object, or has it under several categories of which none is its.
        """
        parts = PurePosixPath(entry.id).parts
        found = self.rows.get(entry.id) or self.rows.get(parts[-1] if parts else entry.id, {})
        known = {*parts[:-1], *entry.category.split(","), entry.category}
        of_category = [views for category, views in found.items() if category in known]
        if len(found) > 1 and len(of_category) == 1:
            return of_category[0]
        if len(found) == 1:
            return next(iter(found.values()))
        raise InputError(
            f"The list has {'several rows' if found else 'no row'} for the object {entry.id!r}",
            where=self.path,
            fix="Write one row for each object: category object view [view …]",
        )


@dataclass(frozen=True)
class SourceRule:
    """How the source views of an object are chosen; one of the fields is given."""

    views: tuple[str, ...] = ()
    """numbers or names of views"""
    count: int | None = None
    """as many views, evenly spread over the object's"""
    listed: SourceList | None = None
    split: str | None = None
    """the views of this split of the object's own"""
    each: bool = False
    """every view alone, one after the other"""

    @property
    def name(self) -> str:
        """Short text for names of folders."""
        if self.each:
            return EACH
        if self.listed is not None:
            return f"list-{self.listed.path.stem}"
        if self.count is not None:
            return f"{self.count}-sources"
        return self.split or "-".join(self.views)

    @property
    def settings(self) -> dict[str, object]:
        """JSON values that tell this rule from others."""
        return {
            "views": list(self.views),
            "count": self.count,
            "list": None if self.listed is None else self.listed.path.name,
            "split": self.split,
            "each": self.each,
        }

    def choose(self, entry: CollectionObject, capture: Capture) -> list[tuple[int, ...]]:
        """Give the sources of an object as indices into its capture: one choice, or one for each view.

        Raises:
            InputError: there is no such view, or no list row for the object, or fewer views than wanted.
        """
        if self.each:
            return [(index,) for index in range(len(capture))]
        if self.split is not None:
            members = capture.splits.get(self.split, ())
            if not members:
                raise InputError(
                    f"The object {entry.id!r} has no views in its split {self.split!r}",
                    where=capture.path,
                    fix="Give source views with --sources or --num-sources",
                )
            return [tuple(members)]
        if self.count is not None:
            if not 1 <= self.count < len(capture):
                raise InputError(
                    f"{self.count} sources cannot be taken of the {len(capture)} views of {entry.id!r}",
                    where="--num-sources",
                    fix="Give 1 or more, and leave a view to predict",
                )
            return [spread(len(capture), self.count)]
        wanted = self.views if self.listed is None else self.listed.views_of(entry)
        where = None if self.listed is None else self.listed.path
        return [tuple(dict.fromkeys(find_view(capture, view, where) for view in wanted))]


def spread(total: int, count: int) -> tuple[int, ...]:
    """Choose `count` of the numbers 0 to total - 1, evenly: the middles of as many equal parts."""
    return tuple((2 * k + 1) * total // (2 * count) for k in range(count))


def find_view(capture: Capture, view: str, where: object = None) -> int:
    """Find a view by its number or name; gives its index in the capture.

    A number is that of the picture's file where the names of all are numbers (64 is `000064.png`, also where
    earlier files are missing), else the position. A name is the whole name or its stem.

    Raises:
        InputError: there is no such view.
    """
    stems = [PurePosixPath(name).stem for name in capture.image_names]
    for names in (stems, list(capture.image_names)):
        if view in names:
            return names.index(view)
    if view.isdecimal():
        numbers = [int(stem) for stem in stems if stem.isdecimal()]
        if len(numbers) == len(stems) == len(set(numbers)):
            if int(view) in numbers:
                return numbers.index(int(view))
        elif int(view) < len(capture):
            return int(view)
    shown = [*stems[:_SHOWN], *(["…", stems[-1]] if len(stems) > _SHOWN else [])]
    raise InputError(
        f"{capture.name} has no view {view!r}",
        where=where or capture.path,
        fix=f"It has {len(stems)}: {', '.join(shown)}",
    )


def states_split(capture: Capture, split: str) -> bool:
    """Whether folders tell the views of a split from the others, so that it is not a hold-out made here."""
    members = set(capture.splits.get(split, ()))
    inside, outside = set(), set()
    for index, name in enumerate(capture.image_names):
        (inside if index in members else outside).add(PurePosixPath(name).parent)
    return bool(inside) and bool(outside) and not inside & outside


def open_split(entry: CollectionObject, split: str) -> Capture:
    """Open an object without the views that other splits' folders hold, where there are such."""
    capture = entry.open()
    return capture.subset(capture.splits[split]) if states_split(capture, split) else capture


def open_training_views(entry: CollectionObject) -> Capture:
    """Open an object without its held-out views; all of them where it holds out none."""
    capture = entry.open()
    members = capture.splits.get("train", ())
    return capture.subset(members) if members else capture


def parse_sources(text: str) -> SourceRule:
    """Understand `--sources`: numbers or names with commas, a split (train), or `each`."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        raise InputError("No source view is named", where="--sources", fix="Give for example --sources 64")
    if parts == (EACH,):
        return SourceRule(each=True)
    if parts in (("train",), ("val",), ("test",)):
        return SourceRule(split=parts[0])
    return SourceRule(views=parts)


def read_source_list(path: Path) -> SourceList:
    """Read rows `category object view [view …]`, with blanks between; empty lines and # lines don't count.

    Raises:
        InputError: the file cannot be read, a row is too short, or an object is there twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the list of source views ({error})", where=path) from error
    rows: dict[str, dict[str, tuple[str, ...]]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3:
            raise InputError(
                "A row has less than a category, an object and a view",
                where=f"{path}, line {number}",
                fix="Write for example: 03001627 1a8bbf2994788e2743e99e0cae970928 5",
            )
        category, name, views = words[0], words[1], tuple(words[2:])
        if rows.setdefault(name, {}).setdefault(category, views) is not views:
            raise InputError(f"The object {name} is listed twice", where=f"{path}, line {number}")
    if not rows:
        raise InputError("The list of source views is empty", where=path)
    return SourceList(Path(path), rows)


def check_sources(sources: Sequence[int], most: int | None, method: str) -> None:
    """Refuse more source views than a method takes; `most` None is any number."""
    if most is not None and len(sources) > most:
        raise InputError(
            f"{method} sees an object from {most} view{'s' * (most > 1)}, and {len(sources)} are given",
            where="--sources, --num-sources or --source-list",
            fix=f"Give {most}, or --sources each for every view in turn" if most == 1 else f"Give {most}",
        )
