"""Scenes of several objects (pixelNeRF's two chairs): SPLIT/**/transforms.json with pictures STEM_obj.png."""

import os
from functools import partial
from pathlib import Path, PureWindowsPath

from sightline.captures.capture import Capture
from sightline.captures.collection import Collection, CollectionObject
from sightline.captures.formats import Format
from sightline.captures.formats.object_folders import SPLIT_NAMES, ObjectViews, build_object, subfolders
from sightline.captures.formats.transforms_frames import read_transforms
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn

_FILE, _ENDING = "transforms.json", "_obj.png"
_DEPTH_RANGE = (4.0, 9.0)
_MOST_LOOKED_AT = 50
"""folders that detection walks through"""


def detect(path: Path) -> bool:
    """Whether this is one scene, or a folder with splits of scenes; the first scene found is looked at."""
    if not path.is_dir():
        return False
    if _is_scene(path):
        return True
    roots = [path / split for split in SPLIT_NAMES if (path / split).is_dir()]
    return any(_first_scene(root) for root in (roots or ([path] if path.name in SPLIT_NAMES else [])))


def read(path: Path, options: ReadOptions) -> Capture | Collection:
    """Read all scenes below the splits as a collection, or one scene as a capture."""
    path = path.absolute()
    if _is_scene(path):
        return read_scene(path, options)
    roots = {split: path / split for split in SPLIT_NAMES if (path / split).is_dir()}
    if not roots and path.name in SPLIT_NAMES:
        roots = {path.name: path}
    found = {split: sorted(_scenes(root)) for split, root in roots.items()}
    scenes = [(split, name) for split, names in found.items() for name in names]
    if not scenes:
        raise InputError("There are no scenes", where=path, fix=f"Looked for: {FORMAT.looked_for}")
    seen = {name for _, name in scenes}
    shared = len(seen) < len(scenes)
    ids = {(split, name): f"{split}/{name}" if shared else name for split, name in scenes}
    objects = [
        CollectionObject(
            id=ids[split, name],
            category=name.partition("/")[0] if "/" in name else path.name,
            open=partial(read_scene, roots[split] / name, options),
        )
        for split, name in scenes
    ]
    return Collection(
        name=path.name,
        objects=objects,
        splits={split: tuple(ids[split, name] for name in found.get(split, ())) for split in SPLIT_NAMES},
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def read_scene(folder: Path, options: ReadOptions) -> Capture:
    """Read one scene; pictures lie beside the file, whatever folders it names.

    Raises:
        InputError: the file is damaged, or names no frame, no lens, or pictures that are not there.
    """
    file = folder / _FILE
    data = read_transforms(file)
    angle = data.get("camera_angle_x")
    if not isinstance(angle, (int, float)) or not 0 < angle < 3.141592:
        raise InputError(f"camera_angle_x is {angle!r}, no angle in radians", where=file)
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError("The scene lists no frames", where=file)
    pictures, poses, where, missing = [], [], [], []
    for number, frame in enumerate(frames):
        at = f"{file}, frame {number}"
        name = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(name, str) or not PureWindowsPath(name).stem:
            raise InputError("The frame has no file_path", where=at)
        picture = folder / f"{PureWindowsPath(name).stem}{_ENDING}"
        if not picture.is_file():
            missing.append(picture.name)
            continue
        pictures.append(picture)
        poses.append(frame.get("transform_matrix"))
        where.append(at)
    if missing:
        summary = f"{len(missing)} of {len(frames)} listed pictures do not exist, such as {missing[0]}"
        if options.strict or not pictures:
            raise InputError(summary, where=file, fix="Add them, or skip them by leaving out --strict")
        warn(f"{summary}. They are skipped. Where: {file}.")
    return build_object(
        ObjectViews(
            pictures=pictures,
            poses=poses,
            lenses=[Lens(angle_x=angle)],
            where=where,
            depth_range=_DEPTH_RANGE,
        ),
        options,
        folder=folder,
        format=FORMAT.name,
        background="alpha",
        channels=4,
    )


def _is_scene(folder: Path) -> bool:
    """Whether there is a file of frames with pictures of this format's ending beside it."""
    if not (folder / _FILE).is_file():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(_ENDING) for entry in entries)


def _first_scene(root: Path) -> Path | None:
    for looked_at, (folder, inside, files) in enumerate(os.walk(root)):
        inside.sort()
        if _FILE in files:
            return Path(folder) if any(name.endswith(_ENDING) for name in files) else None
        if looked_at >= _MOST_LOOKED_AT:
            return None
    return None


def _scenes(root: Path) -> list[str]:
    """List the folders below one that hold scenes, as paths with forward slashes; none is looked into."""
    found, waiting = [], [""]
    while waiting:
        inside = waiting.pop()
        folder = root / inside
        if (folder / _FILE).is_file():
            found.append(inside)
        else:
            waiting += [f"{inside}/{name}".lstrip("/") for name in subfolders(folder)]
    return [name for name in found if name]


FORMAT = Format(
    name="multi-object",
    summary="scenes of several objects (pixelNeRF): SPLIT/…/transforms.json with pictures STEM_obj.png",
    looked_for="train, val or test with transforms.json and *_obj.png in folders below",
    detect=detect,
    read=read,
)
