"""ShapeNet renders in the packing of DVR: SYNSET/OBJECT/{image, mask, cameras.npz}, lists by split.

The pictures are of Kato et al. 2018 (Neural 3D Mesh Renderer): 13 categories, 64x64, 24 views. `world_mat`
maps a world whose y points up into cameras with axes x right, y down, z forward; `camera_mat` is for pixel
coordinates from -1 to 1. The same objects are split in two ways: by `softras_SPLIT.lst` of every category,
and by `gen_SPLIT.lst`, where three categories train and the others test.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.checks import ORTHONORMAL_TOLERANCE
from sightline.captures.collection import Collection, CollectionObject
from sightline.captures.decoding import read_header
from sightline.captures.formats import Format
from sightline.captures.formats.camera_archive import (
    FILE_NAME,
    PICTURES,
    CameraArchive,
    archive_kinds,
    match_masks,
    match_views,
)
from sightline.captures.formats.object_folders import (
    OPENCV_TO_OPENGL,
    SPLIT_NAMES,
    ObjectViews,
    build_object,
    listed_splits,
    split_without_lists,
    subfolders,
)
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import read_json

_METADATA = "metadata.yaml"
_BY_OBJECT, _BY_CATEGORY = "softras_", "gen_"
_TRAINING_CATEGORIES = ("02691156", "02958343", "03001627")
"""airplane, car, chair: those that the unseen-category split trains on"""
_EVERY_UNSEEN = 4
"""of the other categories' test objects, one in so many is taken where there are no lists"""
_DEPTH_RANGE = (1.2, 4.0)
_NEEDED = {"world_mat", "camera_mat"}
# ShapeNet's numbers of the 13 categories, for folders without metadata.
_NAMES = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    "03001627": "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "loudspeaker",
    "04090263": "rifle",
    "04256520": "sofa",
    "04379243": "table",
    "04401088": "telephone",
    "04530566": "vessel",
}


def detect(path: Path) -> bool:
    """Whether this is one object, a category of objects, or a folder of categories."""
    if not path.is_dir():
        return False
    if _is_object(path):
        return True
    try:
        return _has_objects(path) or any(_has_objects(path / name) for name in subfolders(path)[:20])
    except InputError:
        return False


def read(
    path: Path, options: ReadOptions, *, lists: str = _BY_OBJECT, format: str = "nmr"
) -> Capture | Collection:
    """Read all categories of a folder, or one, as a collection; or one object as a capture.

    Args:
        lists: what list files of the split begin with.
    """
    path = path.absolute()
    if _is_object(path):
        return read_object(path, options, format)
    if _has_objects(path):
        root, categories = path.parent, [path.name]
    else:
        root, categories = path, [name for name in subfolders(path) if _has_objects(path / name)]
    if not categories:
        raise InputError("There are no objects", where=path, fix=f"Looked for: {FORMAT.looked_for}")
    names = _category_names(root)
    objects = [
        CollectionObject(
            id=f"{category}/{name}",
            category=names.get(category, category),
            open=partial(read_object, root / category / name, options, format),
        )
        for category in categories
        for name in subfolders(root / category)
    ]
    return Collection(
        name=path.name,
        objects=objects,
        splits=_splits(root, categories, [entry.id for entry in objects], lists, options),
        format=format,
        path=path,
        options=options_to_json(options),
    )


def read_unseen(path: Path, options: ReadOptions) -> Capture | Collection:
    """Read the same with the split by category."""
    return read(path, options, lists=_BY_CATEGORY, format="nmr-unseen")


def read_object(folder: Path, options: ReadOptions, format: str = "nmr") -> Capture:
    """Read one object; the world keeps the file's axes, y up.

    Raises:
        InputError: no pictures, no poses, other numbers of them, or matrices that are not as they should be.
    """
    archive = CameraArchive.read(folder / FILE_NAME)
    pairs = match_views(folder, archive, options.strict)
    numbers = [number for number, _ in pairs]
    header = read_header(pairs[0][1])
    return build_object(
        ObjectViews(
            pictures=[picture for _, picture in pairs],
            poses=[_pose(archive, number) for number in numbers],
            lenses=[_lens(archive, number, header.width, header.height) for number in numbers],
            where=[f"{archive.path}, world_mat_{number}" for number in numbers],
            depth_range=_DEPTH_RANGE,
            silhouettes=match_masks(folder, numbers),
        ),
        options,
        folder=folder,
        format=format,
        background="white",
    )


def _is_object(folder: Path) -> bool:
    return (folder / PICTURES).is_dir() and archive_kinds(folder / FILE_NAME) >= _NEEDED


def _has_objects(folder: Path) -> bool:
    """Whether one of the first folders in a folder is an object; broken objects may be among them."""
    return any(_is_object(folder / name) for name in subfolders(folder)[:5])


def _category_names(root: Path) -> Mapping[str, str]:
    """Name the categories; metadata.yaml, which is JSON, has several names for each, the usual one first."""
    names = dict(_NAMES)
    file = root / _METADATA
    if not file.is_file():
        return names
    content = read_json(file)
    entries = content.items() if isinstance(content, dict) else ()
    for category, entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name.strip():
            names[category] = name.split(",")[0].strip()
    return names


def _splits(
    root: Path, categories: Sequence[str], ids: Sequence[str], before: str, options: ReadOptions
) -> dict[str, tuple[str, ...]]:
    lists = {
        split: [
            (root / category / f"{before}{split}.lst", f"{category}/")
            for category in categories
            if (root / category / f"{before}{split}.lst").is_file()
        ]
        for split in SPLIT_NAMES
    }
    if any(lists.values()):
        return listed_splits(lists, ids, strict=options.strict)
    if before == _BY_CATEGORY:
        return _without_category_lists(root, categories, ids, options)
    warn(
        f"There are no lists {before}train.lst … in the categories: every {options.holdout}-th object is for "
        f"testing, the others train. Where: {root}."
    )
    return split_without_lists(ids, options)


def _without_category_lists(
    root: Path, categories: Sequence[str], ids: Sequence[str], options: ReadOptions
) -> dict[str, tuple[str, ...]]:
    """Split by category where the lists are missing: three categories train, a part of the others tests."""
    warn(
        f"There are no lists gen_train.lst … in the categories: airplane, car and chair train, and every "
        f"{_EVERY_UNSEEN}-th test object of the others is for testing, which is not the published selection. "
        f"Where: {root}."
    )
    given = _splits(root, categories, ids, _BY_OBJECT, options)

    def seen(id: str) -> bool:
        return id.partition("/")[0] in _TRAINING_CATEGORIES

    return {
        "train": tuple(id for id in given["train"] if seen(id)),
        "val": tuple(id for id in given["val"] if seen(id)),
        "test": tuple(id for id in given["test"] if not seen(id))[::_EVERY_UNSEEN],
    }


def _pose(archive: CameraArchive, view: int) -> np.ndarray:
    """Give camera to world; the stored inverse, which the published programs take, where there is one."""
    inverse = archive.get("world_mat_inv", view)
    matrix = archive.inverse("world_mat", view) if inverse is None else inverse
    return matrix * OPENCV_TO_OPENGL


def _lens(archive: CameraArchive, view: int, width: int, height: int) -> Lens:
    """Turn intrinsics for coordinates from -1 to 1 into pixels."""
    matrix = archive.require("camera_mat", view)
    skew = abs(matrix[0, 1]) + abs(matrix[1, 0])
    if skew > ORTHONORMAL_TOLERANCE * abs(matrix[0, 0]):
        raise InputError(
            "The intrinsics are skewed, which cameras here cannot be",
            where=f"{archive.path}, camera_mat_{view}",
        )
    return Lens(
        focal_x=matrix[0, 0] * width / 2,
        focal_y=matrix[1, 1] * height / 2,
        centre_x=(1 + matrix[0, 2]) * width / 2,
        centre_y=(1 + matrix[1, 2]) * height / 2,
        width=width,
        height=height,
    )


FORMAT = Format(
    name="nmr",
    summary="ShapeNet in 13 categories (NMR, DVR): SYNSET/OBJECT with image, mask and cameras.npz",
    looked_for="SYNSET/OBJECT with image and cameras.npz (world_mat, camera_mat)",
    detect=detect,
    read=read,
)
FORMAT_UNSEEN = Format(
    name="nmr-unseen",
    summary="the same, split by category (gen_train.lst …): three train, the others test",
    looked_for="",
    detect=lambda path: False,
    read=read_unseen,
)
