"""Folders of scenes: each folder in it is a capture of its own, as IBRNet's and LLFF's collections are."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sightline.captures.capture import Capture
from sightline.captures.collection import Collection, CollectionObject
from sightline.captures.formats import Format, get_format, list_formats
from sightline.captures.formats.object_folders import (
    SPLIT_NAMES,
    listed_splits,
    split_without_lists,
    subfolders,
)
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.foundation.errors import InputError, inform

# Formats of one scene, in which cameras of a collection come.
_OF_SCENES = ("llff", "shiny", "colmap", "colmap-text", "transforms", "blender")
_LEAST = 2
_SHOWN = 3
# Of IBRNet's collections: files that are damaged, and copies of the scenes that LLFF is judged on.
_DAMAGED = frozenset(
    {
        "howardzhou_010_internal_drawing_vase",
        "howardzhou_059_narcissus",
        "howardzhou_085_sweet_onions",
        "howardzhou_087_yellow_chain_links",
        "howardzhou_089_whilte_bmw_x3_front",
        "qq18",
        "qq33",
    }
)
_JUDGED_ON = frozenset(
    {
        "data2_fernvlsb",
        "data2_hugetrike",
        "data2_trexsanta",
        "data3_orchid",
        "data5_leafscene",
        "data5_lotr",
        "data5_redflower",
    }
)


def detect(path: Path) -> bool:
    """Whether there are several folders that are scenes, in this one or in folders of splits."""
    if not path.is_dir():
        return False
    found = 0
    for inside in _parents(path):
        for name in subfolders(inside):
            found += _format_of(inside / name) is not None
            if found >= _LEAST:
                return True
    return False


def read(path: Path, options: ReadOptions) -> Collection:
    """Read the folder as a collection; no scene is opened yet.

    Scenes are in the splits of train.txt, val.txt and test.txt, of which each line names a folder; else in
    those of the folders train, val and test; else every so many-th scene is held out. Of scenes to train on
    all views are learnt from; in others, views are held out too.

    Raises:
        InputError: there is no scene.
    """
    path = path.absolute()
    found = {
        (inside / name).relative_to(path).as_posix(): kind
        for inside in _parents(path)
        for name in subfolders(inside)
        if (kind := _format_of(inside / name)) is not None
    }
    if not found:
        raise InputError("No folder in it is a scene", where=path)
    left_out = [id for id in found if Path(id).name in _DAMAGED | _JUDGED_ON]
    if left_out:
        shown = ", ".join(left_out[:_SHOWN]) + (", …" if len(left_out) > _SHOWN else "")
        inform(
            f"{len(left_out)} scenes of IBRNet's collections are left out, as they are in papers: damaged "
            f"files, and copies of the scenes that LLFF is judged on ({shown})"
        )
    ids = sorted(set(found) - set(left_out))
    splits = _splits(path, ids, options)
    trained = set(splits["train"])
    objects = [
        CollectionObject(
            id, "scene", partial(open_scene, path / id, found[id], _options(id in trained, options))
        )
        for id in ids
    ]
    return Collection(
        name=path.name,
        objects=objects,
        splits=splits,
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def open_scene(path: Path, kind: str, options: ReadOptions) -> Capture:
    """Open one scene, whose name is its folder's.

    Raises:
        InputError: it is no single scene.
    """
    found = get_format(kind).read(path, options)
    if not isinstance(found, Capture):
        raise InputError("The folder holds several scenes", where=path)
    return replace(found, name=path.name)


def _options(trained: bool, options: ReadOptions) -> ReadOptions:
    return replace(options, split_rule="holdout", holdout=0) if trained else options


def _parents(path: Path) -> Sequence[Path]:
    """Folders in which scenes are looked for."""
    split = [path / name for name in SPLIT_NAMES if (path / name).is_dir()]
    return [path] if not split or _format_of(split[0]) is not None else split


def _format_of(folder: Path) -> str | None:
    for format in list_formats():
        if format.name in _OF_SCENES and format.detect(folder):
            return format.name
    return None


def _splits(path: Path, ids: Sequence[str], options: ReadOptions) -> dict[str, tuple[str, ...]]:
    lists = {split: path / f"{split}.txt" for split in SPLIT_NAMES}
    there = {split: [(file, "")] for split, file in lists.items() if file.is_file()}
    if there:
        return {split: () for split in SPLIT_NAMES} | listed_splits(there, ids, strict=options.strict)
    named = {split: tuple(id for id in ids if id.startswith(f"{split}/")) for split in SPLIT_NAMES}
    return named if any(named.values()) else split_without_lists(ids, options)


FORMAT = Format(
    name="scenes",
    summary="a folder of captures, each of one scene (IBRNet's collections, LLFF's scenes)",
    looked_for=f"several folders that are captures of one scene ({', '.join(_OF_SCENES)})",
    detect=detect,
    read=read,
)
