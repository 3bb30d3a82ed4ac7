"""Producing folders of many objects: each appears when it is whole, and interrupted work goes on.

What is not finished lies in `.partial` of the output folder. `synthesis.json` holds the settings.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, RunError, warn
from sightline.foundation.files import read_json, write_json
from sightline.synthesis.description import SceneRecipe
from sightline.synthesis.farm import work
from sightline.synthesis.mitsuba_renderer import View
from sightline.synthesis.shooting import Finish, Outcome, Renderer, Shot, ShotBatch, shoot, write_bytes

SETTINGS_FILE = "synthesis.json"
PARTIAL = ".partial"
HERE = "."
"""the folder of an entry that fills the output folder itself"""
_BATCH_SAMPLES = 2_000_000
"""samples of a batch, about a second of work"""
_BYTES_PER_PIXEL = {"rgba": 2.4, "white-rgba": 1.4, "white-rgb": 1.6}
"""of PNG files, rather too many than too few"""
_BYTES_PER_FILE = 4096

Progress = Callable[[int, int], None]
"""called with the number of finished views and of all views"""


@dataclass(frozen=True)
class Picture:
    """A picture of an object."""

    file: str
    """relative to the object's folder"""
    view: View
    mask: str | None = None


@dataclass(frozen=True)
class Content:
    """What is in the folder of one object."""

    pictures: tuple[Picture, ...]
    files: Mapping[str, bytes]
    """relative to the object's folder"""


@dataclass(frozen=True)
class Entry:
    """One object of a set."""

    folder: str
    """relative to the output folder, or `HERE`"""
    recipe: SceneRecipe
    views: int
    content: Callable[[], Content]
    """made when it is its turn: poses of thousands of objects need not be in memory"""


@dataclass(frozen=True)
class Plan:
    """A whole set."""

    entries: Sequence[Entry]
    finish: Finish
    pixels: int
    """of one picture"""
    closing: Callable[[frozenset[str]], Mapping[str, bytes]] = field(default=lambda _: {})
    """gives the files that are written when all is done, from the folders of the entries that exist"""


def produce(
    out: Path,
    plan: Plan,
    settings: Mapping[str, Any],
    *,
    samples: int,
    bounces: int = 2,
    renderer: Renderer = "mitsuba",
    workers: int | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Render a set into a folder; what is there already, of the same settings, is kept.

    Args:
        out: the folder.
        plan: what to make.
        settings: everything that decides the pictures, as JSON.
        samples: samples per pixel, to share the work out evenly.
        bounces: see `MitsubaRenderer`.
        renderer: what renders.
        workers: see `work`.
        skip_broken: leave out objects whose file is broken, with a warning.
        progress: called when the work starts and with every batch.

    Raises:
        InputError: the folder holds something else, a mesh is broken, or the disk is too small.
        RunError: a file cannot be written, or the renderer fails.
    """
    _check_space(out, plan)
    claim(out, settings)
    return _Production(out, plan, samples, bounces, renderer, skip_broken, progress).run(workers)


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into an empty folder, or check that they are those of the set begun there."""
    file = out / SETTINGS_FILE
    if file.is_file():
        found = read_json(file)
        if found != settings:
            raise InputError(
                f"The folder holds a set made with other settings ({_difference(found, settings)})",
                where=file,
                fix="Give the same settings to go on with it, choose another folder, or remove this one",
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "The folder is not empty and holds no synthetic set", where=out, fix="Choose another folder"
        )
    else:
        write_json(file, dict(settings))


def _difference(found: Any, wanted: Mapping[str, Any]) -> str:
    if not isinstance(found, dict):
        return "they cannot be understood"
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    short = [name for name in names if len(f"{found.get(name)}{wanted.get(name)}") <= 80]
    shown = [f"{name}: {found.get(name)} there, {wanted.get(name)} now" for name in short]
    return "; ".join([*shown, *(name for name in names if name not in short)])


def _check_space(out: Path, plan: Plan) -> None:
    missing = (entry for entry in plan.entries if entry.folder == HERE or not (out / entry.folder).is_dir())
    views = sum(entry.views for entry in missing)
    needed = views * (plan.pixels * _BYTES_PER_PIXEL[plan.finish] + _BYTES_PER_FILE)
    place = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"The set of {views} pictures may need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            where=place,
            fix="Make fewer or smaller pictures, or choose a folder on another disk",
        )


@dataclass
class _Open:
    """An entry whose pictures are being made."""

    entry: Entry
    content: Content
    folder: Path
    missing: int


class _Production:
    def __init__(
        self,
        out: Path,
        plan: Plan,
        samples: int,
        bounces: int,
        renderer: Renderer,
        skip_broken: bool,
        progress: Progress | None,
    ):
        self._out, self._plan, self._samples = out, plan, samples
        self._bounces, self._skip_broken = bounces, skip_broken
        self._renderer: Renderer = renderer
        self._progress = progress
        self._total = sum(entry.views for entry in plan.entries)
        self._done = 0
        self._open: dict[str, _Open] = {}
        self._made: set[str] = set()
        self._broken: set[str] = set()
        self._of_batch: list[str] = []

    def run(self, workers: int | None) -> Path:
        self._report(0)
        results = work(shoot, self._batches(), workers)
        try:
            for index, outcome in results:
                self._take(self._of_batch[index], outcome)
        finally:
            results.close()  # type: ignore[attr-defined]
        if not self._made:
            raise InputError("No object could be made: the meshes are all broken")
        for file, data in self._plan.closing(frozenset(self._made)).items():
            write_bytes(self._out / file, data)
        shutil.rmtree(self._out / PARTIAL, ignore_errors=True)
        return self._out

    def _batches(self) -> Iterator[ShotBatch]:
        """Share out the pictures that are not there, entry by entry."""
        for entry in self._plan.entries:
            if entry.folder != HERE and (self._out / entry.folder).is_dir():
                self._made.add(entry.folder)
                self._report(entry.views)
                continue
            folder = self._out if entry.folder == HERE else self._out / PARTIAL / entry.folder
            try:
                content = entry.content()
            except InputError as error:
                self._drop(entry.folder, entry.views, error)
                continue
            missing = [picture for picture in content.pictures if not (folder / picture.file).is_file()]
            self._open[entry.folder] = _Open(entry, content, folder, len(missing))
            self._report(len(content.pictures) - len(missing))
            if not missing:
                self._finish(entry.folder)
            first = missing[0].view if missing else None
            size = max(1, _BATCH_SAMPLES // (first.width * first.height * first.samples)) if first else 1
            for start in range(0, len(missing), size):
                self._of_batch.append(entry.folder)
                yield self._batch(entry, folder, missing[start : start + size])

    def _batch(self, entry: Entry, folder: Path, pictures: Sequence[Picture]) -> ShotBatch:
        shots = tuple(
            Shot(
                picture.view,
                folder / picture.file,
                None if picture.mask is None else folder / picture.mask,
            )
            for picture in pictures
        )
        return ShotBatch(entry.recipe, shots, self._plan.finish, self._bounces, self._renderer)

    def _take(self, name: str, outcome: Outcome) -> None:
        if name in self._broken:
            return
        opened = self._open[name]
        if outcome.broken is not None:
            if name != HERE:
                shutil.rmtree(opened.folder, ignore_errors=True)
            del self._open[name]
            self._drop(name, opened.missing, outcome.broken)
            return
        opened.missing -= outcome.done
        self._report(outcome.done)
        if opened.missing == 0:
            self._finish(name)

    def _drop(self, name: str, views: int, error: InputError) -> None:
        if not self._skip_broken:
            raise error
        warn(f"{error} The object is left out.")
        self._broken.add(name)
        self._report(views)

    def _finish(self, name: str) -> None:
        """Write what belongs to an object's pictures, and move it to its place."""
        opened = self._open.pop(name)
        for file, data in opened.content.files.items():
            write_bytes(opened.folder / file, data)
        if name != HERE:
            target = self._out / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                opened.folder.rename(target)
            except OSError as error:
                raise RunError(
                    f"Cannot move the finished object to its place ({error.strerror or error})", where=target
                ) from error
        self._made.add(name)

    def _report(self, views: int) -> None:
        self._done += views
        if self._progress is not None:
            self._progress(self._done, self._total)
