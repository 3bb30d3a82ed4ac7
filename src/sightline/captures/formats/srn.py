"""ShapeNet objects as Scene Representation Networks (Sitzmann et al. 2019) packed them.

NAME_train/OBJECT/{rgb/*.png, pose/*.txt, intrinsics.txt}, and NAME_val and NAME_test; the public training
chairs lie one folder deeper (chairs_train/chairs_2.0_train). A pose is 16 numbers, camera to world, with axes
x right, y down, z forward. `intrinsics.txt`: focal length, principal point and 0; barycentre; scale; height
and width; and, where there is a fifth line, whether poses are world to camera.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.collection import Collection, CollectionObject
from sightline.captures.formats import Format
from sightline.captures.formats.number_files import read_lines, read_pose
from sightline.captures.formats.object_folders import (
    OPENCV_TO_OPENGL,
    SPLIT_NAMES,
    ObjectViews,
    build_object,
    pictures_in,
    subfolders,
)
from sightline.captures.formats.output import OutputFolder, check_plain_pinhole, report_lost
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn

_INTRINSICS = "intrinsics.txt"
_SPLIT_FOLDER = re.compile(r"(?:(?P<name>.+)_)?(?P<split>train|val|validation|test)")
_SPLITS = {"validation": "val"}
# Near and far of the published sets, whose cameras are 2.0 (chairs) and 1.3 (others) from the origin.
_CHAIRS, _OTHERS = (1.25, 2.75), (0.8, 1.8)
# Part of the cameras' distance that objects of other sets may reach before and behind the origin.
_REACH = 0.375


@dataclass(frozen=True)
class _SplitFolder:
    """A folder of objects."""

    name: str
    """of the set: cars, chairs"""
    split: str
    path: Path


def detect(path: Path) -> bool:
    """Whether this is one object, a split, or a folder of splits; one object of each is looked into."""
    if not path.is_dir():
        return False
    if _is_object(path):
        return True
    try:
        return any(_first_object(folder.path) for folder in _split_folders(path))
    except InputError:
        return False


def read(path: Path, options: ReadOptions) -> Capture | Collection:
    """Read all splits of a folder as a collection, or one object as a capture."""
    path = path.absolute()
    if _is_object(path):
        return read_object(path, options, _name_of(path))
    folders = _split_folders(path)
    if not folders:
        raise InputError("There are no objects", where=path, fix=f"Looked for: {FORMAT.looked_for}")
    several = len({folder.name for folder in folders}) > 1
    listed = [(folder, name) for folder in folders for name in _objects(folder.path)]
    repeated = {name for name, count in Counter(name for _, name in listed).items() if count > 1}
    objects: list[CollectionObject] = []
    splits: dict[str, list[str]] = {split: [] for split in SPLIT_NAMES}
    for folder, name in listed:
        before = f"{folder.name}/" if several else ""
        id = f"{before}{folder.split}/{name}" if name in repeated else f"{before}{name}"
        opener = partial(read_object, folder.path / name, options, folder.name)
        objects.append(CollectionObject(id=id, category=folder.name, open=opener))
        splits[folder.split].append(id)
    if not objects:
        raise InputError(
            f"No folder in {folders[0].path.name} holds {_INTRINSICS}",
            where=path,
            fix=f"Looked for: {FORMAT.looked_for}",
        )
    return Collection(
        name=folders[0].name if not several else path.name,
        objects=objects,
        splits={split: tuple(members) for split, members in splits.items()},
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def read_object(folder: Path, options: ReadOptions, name: str) -> Capture:
    """Read one object.

    Args:
        name: of the set, which near and far depend on.

    Raises:
        InputError: no pictures, no poses, other numbers of them, or files that are not as they should be.
    """
    lens, world_to_camera = _read_intrinsics(folder / _INTRINSICS)
    pictures = pictures_in(folder / "rgb")
    files = _pose_files(folder / "pose")
    pairs = _pair(pictures, files, folder, options.strict)
    poses = [read_pose(file, world_to_camera) for _, file in pairs]
    return build_object(
        ObjectViews(
            pictures=[picture for picture, _ in pairs],
            poses=poses,
            lenses=[lens],
            where=[str(file) for _, file in pairs],
            depth_range=_depth_range(name, poses),
        ),
        options,
        folder=folder,
        format=FORMAT.name,
        background="white",
    )


def _is_object(folder: Path) -> bool:
    """Whether there are the parts of an object, with intrinsics as here and not as of DeepVoxels."""
    if not ((folder / "rgb").is_dir() and (folder / "pose").is_dir()):
        return False
    try:
        lines = (folder / _INTRINSICS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    filled = [line.split() for line in lines if line.strip()]
    return len(filled) >= 4 and len(filled[3]) >= 2


def _name_of(folder: Path) -> str:
    """Name the set of an object by the nearest folder above it that is called like a split."""
    for parent in folder.parents:
        match = _SPLIT_FOLDER.fullmatch(parent.name)
        if match and match["name"]:
            return match["name"]
    return folder.parent.name


def _split_folders(path: Path) -> list[_SplitFolder]:
    """Find the folders of objects that a path means: those in it, or itself."""
    match = _SPLIT_FOLDER.fullmatch(path.name)
    own = [path.name] if match else []
    inside = [name for name in subfolders(path) if _SPLIT_FOLDER.fullmatch(name)]
    found = []
    for name in inside or own:
        match = _SPLIT_FOLDER.fullmatch(name)
        folder = path / name if inside else path
        deeper = _without_level(folder)
        if match and deeper is not None:
            split = _SPLITS.get(match["split"], match["split"])
            # The inner folder of the chairs is called like a split itself; the outer one names the set.
            found.append(_SplitFolder(match["name"] or folder.parent.name, split, deeper))
    return found


def _without_level(folder: Path) -> Path | None:
    """Give the folder itself, or the only one in it, whichever holds objects; None where neither does."""
    if _first_object(folder) is not None:
        return folder
    inside = subfolders(folder)
    if len(inside) == 1 and _first_object(folder / inside[0]) is not None:
        return folder / inside[0]
    return None


def _first_object(folder: Path) -> str | None:
    names = subfolders(folder)
    return next((name for name in names if _is_object(folder / name)), None)


def _objects(folder: Path) -> list[str]:
    return [name for name in subfolders(folder) if os.path.isfile(folder / name / _INTRINSICS)]


def _pose_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(folder / name for name in os.listdir(folder) if name.endswith(".txt"))


def _pair(pictures: list[Path], poses: list[Path], folder: Path, strict: bool) -> list[tuple[Path, Path]]:
    """Join pictures and poses of the same name; all of them in sorted order where names tell nothing."""
    if not pictures or not poses:
        missing = "pose" if pictures else "rgb"
        raise InputError(
            f"The object has no {'poses' if pictures else 'pictures'}",
            where=folder / missing,
            fix="Copy the object again, or remove its folder",
        )
    by_stem = {file.stem: file for file in poses}
    pairs = [(picture, by_stem[picture.stem]) for picture in pictures if picture.stem in by_stem]
    if len(pairs) == len(pictures) == len(poses):
        return pairs
    if not pairs and len(pictures) == len(poses):
        return list(zip(pictures, poses, strict=True))
    summary = f"The object has {len(pictures)} pictures and {len(poses)} poses"
    if strict or not pairs:
        raise InputError(
            summary,
            where=folder,
            fix="Copy the object again" + (", or use the pairs by leaving out --strict" if pairs else ""),
        )
    warn(f"{summary}; the {len(pairs)} whose names agree are used. Where: {folder}.")
    return pairs


def _depth_range(name: str, poses: list[np.ndarray]) -> tuple[float, float]:
    """Give near and far: of the published sets by their name, unless the cameras are elsewhere."""
    published = _CHAIRS if "chair" in name.lower() else _OTHERS
    distances = np.linalg.norm(np.stack(poses)[:, :3, 3], axis=1)
    middle = sum(published) / 2
    if np.abs(distances - middle).max() < 0.1 * middle or not np.isfinite(distances).all():
        return published
    return float(distances.min() * (1 - _REACH)), float(distances.max() * (1 + _REACH))


def _read_intrinsics(file: Path) -> tuple[Lens, bool]:
    """Read the lens, and whether poses are world to camera."""
    lines = read_lines(file)
    for number, count in ((1, 3), (4, 2)):
        found = len(lines[number - 1]) if number <= len(lines) else 0
        if found < count:
            raise InputError(
                f"Line {number} of the intrinsics should hold {count} numbers or more, it holds {found}",
                where=file,
                fix="Lines: f cx cy 0 / barycentre / scale / height width",
            )
    focal, centre_x, centre_y = lines[0][:3]
    height, width = lines[3][:2]
    if not (np.isfinite([height, width]).all() and height >= 1 and width >= 1):
        raise InputError(f"The intrinsics are for a size of {width:g}x{height:g}", where=f"{file}, line 4")
    lens = Lens(focal_x=focal, centre_x=centre_x, centre_y=centre_y, width=int(width), height=int(height))
    return lens, len(lines) > 4 and lines[4][0] != 0


def write(capture: Capture, out: Path) -> None:
    """Write one object: rgb, pose and intrinsics.txt; InputError for cameras with several lenses."""
    cameras = capture.cameras
    check_plain_pinhole(capture, FORMAT.name)
    rows = np.stack([cameras.fx.numpy(), cameras.width.numpy(), cameras.height.numpy()], axis=1)
    if np.ptp(rows, axis=0).max() > 1e-6 * rows.max():
        raise InputError(
            f"The format {FORMAT.name!r} has one lens and one size for all views of an object",
            where=capture.path,
            fix="Write transforms, which has one for each view",
        )
    lost = [name for name in ("masks", "points", "silhouettes") if getattr(capture, name) is not None]
    report_lost(FORMAT.name, lost)
    if capture.images.channels == 4:
        capture = _on_white(capture)
    names = OutputFolder(out).write_images(capture, "rgb", png_only=True)
    (out / "pose").mkdir()
    for name, pose in zip(names, cameras.c2w.numpy(), strict=True):
        matrix = np.vstack([pose[:3] * OPENCV_TO_OPENGL, [0, 0, 0, 1]])
        numbers = " ".join(repr(float(value)) for value in matrix.reshape(-1))
        (out / "pose" / f"{Path(name).stem}.txt").write_text(numbers + "\n", encoding="utf-8")
    focal, centre = float(cameras.fx[0]), (float(cameras.cx[0]), float(cameras.cy[0]))
    height, width = int(cameras.height[0]), int(cameras.width[0])
    lines = [f"{focal!r} {centre[0]!r} {centre[1]!r} 0.", "0. 0. 0.", "1.", f"{height} {width}"]
    (out / _INTRINSICS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _on_white(capture: Capture) -> Capture:
    """Put pictures with opacity on white, as this format's are."""
    from dataclasses import replace

    from sightline.captures.image_store import ImageStore

    def flat(image: np.ndarray) -> np.ndarray:
        alpha = image[..., 3:].astype(np.float32) / 255
        return np.rint(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)

    return replace(capture, images=ImageStore.from_arrays([flat(image) for image in capture.images]))


FORMAT = Format(
    name="srn",
    summary="ShapeNet objects of SRN: NAME_train, NAME_val, NAME_test with rgb, pose and intrinsics.txt",
    looked_for="NAME_train/OBJECT with rgb, pose and intrinsics.txt",
    detect=detect,
    read=read,
    write=write,
)
