"""Sets of Equivariant Neural Rendering: a folder per object with numbered views and render_params.json.

The axes of angles and shifts are those of `geometry.turning_volume`; so is the world of the cameras.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sightline.captures.capture import Capture
from sightline.captures.collection import Collection, CollectionObject
from sightline.captures.decoding import decode, read_header
from sightline.captures.formats import Format
from sightline.captures.formats.enr_params import (
    NUMBERS,
    PARAMS,
    SET_FILE,
    AngleUnit,
    Params,
    SetFacts,
    check_unit,
    read_params,
    read_set_facts,
    settle_unit,
)
from sightline.captures.formats.image_folders import image_files
from sightline.captures.frames import Frame, ReadOptions, build_capture, options_to_json
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn
from sightline.geometry.turning_volume import turntable_poses

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SHOWN = 3


@dataclass(frozen=True)
class ObjectFolder:
    """A folder of one object's views, and the split that its place says; None where it says none."""

    path: Path
    split: str | None


@dataclass(frozen=True)
class EnrSet:
    """What opening one object needs to know of its set; can be pickled."""

    root: Path
    facts: SetFacts
    unit: AngleUnit | None
    """None where each file states its own"""
    options: ReadOptions


def detect(path: Path) -> bool:
    """Whether this is an object's folder, a folder of such, or one of splits with such."""
    return path.is_dir() and (_is_object(path) or any(map(_holds_objects, [path, *_subfolders(path)])))


def read(path: Path, options: ReadOptions) -> Capture | Collection:
    """Read a set as a collection, or the folder of one object as a capture.

    Raises:
        InputError: no objects, objects of several sets, or angles whose unit cannot be told.
    """
    path = path.absolute()
    if _is_object(path):
        return _read_one(path, options)
    folders = _find_objects(path)
    if options.split_rule not in (None, "format"):
        folders = [replace(folder, split=None) for folder in folders]
    facts = read_set_facts(path)
    unit = settle_unit(options.angle_unit, facts, [folder.path / PARAMS for folder in folders], path)
    by_id: dict[str, list[ObjectFolder]] = {}
    for folder in folders:
        by_id.setdefault(folder.path.name, []).append(folder)
    known = EnrSet(path, facts, unit, options)
    objects = [
        CollectionObject(id, facts.category or path.name, partial(open_object, known, tuple(parts)))
        for id, parts in sorted(by_id.items())
    ]
    return Collection(
        name=path.name,
        objects=objects,
        splits=_splits(by_id),
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def open_object(known: EnrSet, folders: Sequence[ObjectFolder]) -> Capture:
    """Open one object: the views of its folders, each in the split of its folder.

    Views without an entry in the parameter file are left out with a warning, as are entries without a view.

    Raises:
        InputError: no view with angles, or what `read_params` and `build_capture` refuse.
    """
    frames: list[Frame] = []
    units = set()
    for folder in folders:
        params = read_params(folder.path / PARAMS)
        unit = known.unit or params.unit or "radians"
        check_unit(params, unit)
        units.add(unit)
        frames += _read_frames(known, folder, params, unit)
    capture = build_capture(
        frames,
        known.options,
        root=known.root,
        path=folders[0].path,
        format=FORMAT.name,
        background=_background(frames[0].image),
        extras={
            "angle_unit": ", ".join(sorted(units)),
            "distance": known.facts.distance,
            "upright": known.facts.upright,
        },
    )
    sizes = {(int(width), int(height)) for width, height in capture.images.sizes}
    if len(sizes) > 1:
        listing = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:_SHOWN])
        warn(f"The views of {folders[0].path.name} have {len(sizes)} sizes: {listing}.")
    return replace(capture, name=folders[0].path.name)


def _read_one(path: Path, options: ReadOptions) -> Capture:
    """Read one object; what its set states is beside it, or one folder further up where it is in a split."""
    described = [folder for folder in path.parents[:2] if (folder / SET_FILE).is_file()]
    facts = read_set_facts(described[0]) if described else SetFacts()
    unit = settle_unit(options.angle_unit, facts, [path / PARAMS], path)
    return open_object(EnrSet(path, facts, unit, options), (ObjectFolder(path, None),))


def _read_frames(known: EnrSet, folder: ObjectFolder, params: Params, unit: AngleUnit) -> list[Frame]:
    pictures = {file.stem[-5:]: file for file in image_files(folder.path)}
    if not pictures:
        raise InputError("The object has no pictures", where=folder.path)
    _report(pictures, params, known.options.strict)
    keys = [key for key in pictures if key in params.views]
    if not keys:
        raise InputError(
            f"None of the {len(pictures)} pictures has its angles in {PARAMS}",
            where=folder.path,
            fix="Entries are named by the last five characters of the picture's name: 00000",
        )
    values = np.array([[params.views[key][name] for name in NUMBERS] for key in keys])
    angles = torch.from_numpy(values[:, :2] * (math.pi / 180 if unit == "degrees" else 1.0))
    poses = turntable_poses(
        angles[:, 0],
        angles[:, 1],
        torch.from_numpy(values[:, 2:]),
        known.facts.distance,
        upright=known.facts.upright,
    ).numpy()
    angle = 2 * math.atan(0.5 / known.facts.focal_for(unit))
    return [
        Frame(
            name=pictures[key].relative_to(known.root).as_posix(),
            image=pictures[key],
            pose=pose,
            lens=Lens(angle_x=angle),
            where=f"{params.path}, {key!r}",
            splits=() if folder.split is None else (folder.split,),
            numbers=params.views[key],
        )
        for key, pose in zip(keys, poses, strict=True)
    ]


def _report(pictures: Mapping[str, Path], params: Params, strict: bool) -> None:
    """Tell, or refuse with `strict`, views without angles and angles without views."""
    missing = [key for key in pictures if key not in params.views]
    extra = [key for key in params.views if key not in pictures]
    found = []
    if missing:
        incomplete = len(set(missing) & set(params.incomplete))
        part = f" ({incomplete} of them have an entry that lacks an angle)" if incomplete else ""
        found.append(f"{len(missing)} of {len(pictures)} pictures have no angles{part}: {_some(missing)}")
    if extra:
        found.append(f"{len(extra)} of {len(params.views)} entries have no picture: {_some(extra)}")
    if not found:
        return
    summary = "; ".join(found)
    if strict:
        raise InputError(summary, where=params.path, fix="Complete the set, or leave --strict away")
    warn(f"{summary}. They are skipped. Where: {params.path}.")


def _find_objects(root: Path) -> list[ObjectFolder]:
    """Find the objects directly in a folder, or in folders that are named after splits."""
    direct = _objects_in(root)
    if direct:
        split = _split_name(root.name)
        return [ObjectFolder(path, split) for path in direct]
    parts = {folder: _objects_in(folder) for folder in _subfolders(root)}
    parts = {folder: objects for folder, objects in parts.items() if objects}
    unknown = [folder.name for folder in parts if _split_name(folder.name) is None]
    if not parts or unknown:
        raise InputError(
            f"The folder holds several sets: {', '.join(folder.name for folder in parts)}"
            if parts
            else "The folder holds no objects",
            where=root,
            fix="Give one of them; folders of one set are named after its splits: train, val, test"
            if parts
            else f"Looked for: {FORMAT.looked_for}",
        )
    return [
        ObjectFolder(path, _split_name(folder.name)) for folder, objects in parts.items() for path in objects
    ]


def _splits(by_id: Mapping[str, Sequence[ObjectFolder]]) -> dict[str, tuple[str, ...]]:
    """Give the objects of each split; where folders say none, all are trained on and all are tested."""
    found: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for id, folders in sorted(by_id.items()):
        for split in dict.fromkeys(folder.split for folder in folders):
            for name in ("train", "test") if split is None else (split,):
                found[name].append(id)
    return {split: tuple(members) for split, members in found.items()}


def _split_name(folder: str) -> str | None:
    """Tell the split from a folder's name: train, chairs-train, test_1_scene."""
    words = re.split(r"[^a-z]+", folder.lower())
    return next((_SPLIT_NAMES[word] for word in words if word in _SPLIT_NAMES), None)


def _is_object(folder: Path) -> bool:
    return (folder / PARAMS).is_file()


def _holds_objects(folder: Path) -> bool:
    return any(_is_object(entry) for entry in _subfolders(folder))


def _objects_in(folder: Path) -> list[Path]:
    """List the objects in a folder; a folder of pictures that lacks its parameters is told."""
    entries = _subfolders(folder)
    found = [entry for entry in entries if _is_object(entry)]
    if found and len(found) < len(entries):
        lacking = [entry.name for entry in entries if entry not in found and any(entry.glob("*.png"))]
        if lacking:
            warn(f"{len(lacking)} folders with pictures lack {PARAMS} and are skipped: {_some(lacking)}.")
    return found


def _subfolders(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: entry.name)


def _background(picture: Path) -> str:
    """Tell from one picture whether opacity is used, or white painted in, as in the published sets."""
    if read_header(picture).has_alpha and decode(picture, 4)[..., 3].min() < 255:
        return "alpha"
    return "white"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


FORMAT = Format(
    name="enr",
    summary="Equivariant Neural Rendering: OBJECT/00000.png … with render_params.json, one set or its splits",
    looked_for=f"OBJECT/{PARAMS}, or train/OBJECT/{PARAMS}",
    detect=detect,
    read=read,
)
