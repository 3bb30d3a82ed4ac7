"""DTU multi-view scans in the packing of DVR: DTU/scanN/{image, mask, cameras.npz}, lists of scans by split.

`world_mat` is the whole projection into pixels, K [R | t] (axes x right, y down, z forward); `scale_mat`,
where there is one, brings the scan's millimetres to unit size: the world here is that normalised one. Scans
and lists are those of pixelNeRF (Yu et al. 2021).
"""

from functools import partial
from pathlib import Path

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.collection import Collection, CollectionObject
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
    ObjectViews,
    build_object,
    listed_splits,
    split_without_lists,
    subfolders,
)
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn

OVEREXPOSED = (3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 36, 37, 38, 39)
"""views that published figures leave out, being too bright or too dark"""
VALIDATION_SCANS = (8, 21, 30, 31, 34, 38, 40, 41, 45, 55, 63, 82, 103, 110, 114)
TRAINING_SCANS = (
    *(3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 28, 32, 33, 35, 36, 37, 42, 43),
    *(44, 46, 47, 48, 49, 50, 52, 53, 59, 60, 61, 62, 64, 65, 66, 67, 68, 69, 70, 71, 72, 74, 75, 76, 77, 84),
    *(
        85,
        86,
        87,
        88,
        89,
        90,
        91,
        92,
        93,
        94,
        95,
        96,
        97,
        98,
        99,
        100,
        101,
        102,
        104,
        105,
        106,
        107,
        108,
        109,
    ),
    *(118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128),
)
"""88 scans that show none of the objects of `VALIDATION_SCANS`"""
_LISTS = {"train": "new_train.lst", "val": "new_val.lst"}
_FOLDER = "DTU"
_DEPTH_RANGE = (0.1, 5.0)
_SKEW_TOLERANCE = 1.0


def detect(path: Path) -> bool:
    """Whether this is one scan, a folder of scans, or one with a DTU folder."""
    if not path.is_dir():
        return False
    try:
        return _is_scan(path) or _scans_folder(path) is not None
    except InputError:
        return False


def read(path: Path, options: ReadOptions) -> Capture | Collection:
    """Read all scans of a folder as a collection, or one as a capture.

    Without lists, the published ones choose; scans that they don't name are in no split.
    """
    path = path.absolute()
    if _is_scan(path):
        return read_scan(path, options)
    root = _scans_folder(path)
    if root is None:
        raise InputError("There are no scans", where=path, fix=f"Looked for: {FORMAT.looked_for}")
    names = sorted(subfolders(root), key=_scan_order)
    objects = [
        CollectionObject(id=name, category=_FOLDER, open=partial(read_scan, root / name, options))
        for name in names
    ]
    return Collection(
        name=path.name,
        objects=objects,
        splits=_splits(root, names, options),
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def read_scan(folder: Path, options: ReadOptions) -> Capture:
    """Read one scan, in the normalised frame where the file has one.

    Raises:
        InputError: no pictures, no poses, other numbers of them, or projections that are none.
    """
    archive = CameraArchive.read(folder / FILE_NAME)
    pairs = match_views(folder, archive, options.strict)
    numbers = [number for number, _ in pairs]
    scaled = [archive.get("scale_mat", number) for number in numbers]
    cameras = [_camera(archive, number, scale) for number, scale in zip(numbers, scaled, strict=True)]
    normalised = all(scale is not None for scale in scaled)
    if not normalised:
        warn(
            f"The scan has no scale_mat: its cameras stay in millimetres, and near and far are not known. "
            f"Where: {archive.path}."
        )
    return build_object(
        ObjectViews(
            pictures=[picture for _, picture in pairs],
            poses=[pose for pose, _ in cameras],
            lenses=[lens for _, lens in cameras],
            where=[f"{archive.path}, world_mat_{number}" for number in numbers],
            depth_range=_DEPTH_RANGE if normalised else None,
            silhouettes=match_masks(folder, numbers),
            numbers={"overexposed": np.isin(numbers, OVEREXPOSED).astype(np.float64)},
        ),
        options,
        folder=folder,
        format=FORMAT.name,
        background="photo",
    )


def _is_scan(folder: Path) -> bool:
    kinds = archive_kinds(folder / FILE_NAME)
    return (folder / PICTURES).is_dir() and "world_mat" in kinds and "camera_mat" not in kinds


def _scans_folder(path: Path) -> Path | None:
    """Find the folder whose folders are scans: this one, or DTU in it."""
    for folder in (path, path / _FOLDER):
        if folder.is_dir() and any(_is_scan(folder / name) for name in subfolders(folder)[:5]):
            return folder
    return None


def _scan_order(name: str) -> tuple[int, str]:
    number = _scan_number(name)
    return (1 << 30 if number is None else number), name


def _scan_number(name: str) -> int | None:
    digits = name.removeprefix("scan")
    return int(digits) if digits.isdecimal() else None


def _splits(root: Path, names: list[str], options: ReadOptions) -> dict[str, tuple[str, ...]]:
    """Read the lists; the scans for validation are those for testing too, since there is no third list."""
    files = {split: [(root / file, "")] for split, file in _LISTS.items() if (root / file).is_file()}
    if files:
        splits = listed_splits(files, names, strict=options.strict)
        validation = splits.get("val", ())
        return {"train": splits.get("train", ()), "val": validation, "test": validation}
    train = tuple(name for name in names if _scan_number(name) in TRAINING_SCANS)
    validation = tuple(name for name in names if _scan_number(name) in VALIDATION_SCANS)
    if train or validation:
        return {"train": train, "val": validation, "test": validation}
    return split_without_lists(names, options)


def _camera(archive: CameraArchive, view: int, scale: np.ndarray | None) -> tuple[np.ndarray, Lens]:
    """Take a projection apart into pose and lens."""
    where = f"{archive.path}, world_mat_{view}"
    projection = archive.require("world_mat", view)[:3]
    intrinsics, rotation = _decompose(projection[:, :3], where)
    centre = -np.linalg.solve(projection[:, :3], projection[:, 3])
    if scale is not None:
        factors = np.diag(scale)[:3]
        if (factors <= 0).any() or np.ptp(factors) > 1e-6 * factors.max():
            raise InputError(
                "The scale must be one positive number for x, y and z",
                where=f"{archive.path}, scale_mat_{view}",
            )
        centre = (centre - scale[:3, 3]) / factors
    if abs(intrinsics[0, 1]) > _SKEW_TOLERANCE:
        warn(
            f"The intrinsics have a skew of {intrinsics[0, 1]:.2f} pixels, which is left out. Where: {where}."
        )
    pose = np.concatenate([rotation.T * OPENCV_TO_OPENGL[:3], centre[:, None]], axis=1)
    lens = Lens(
        focal_x=intrinsics[0, 0],
        focal_y=intrinsics[1, 1],
        centre_x=intrinsics[0, 2],
        centre_y=intrinsics[1, 2],
    )
    return pose, lens


def _decompose(matrix: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Factor a 3x3 matrix into an upper triangular one with K[2, 2] = 1 and a rotation (RQ).

    A projection is known up to its sign: that is chosen which makes the rotation a proper one.
    """
    determinant = np.linalg.det(matrix)
    if abs(determinant) < 1e-9 * np.linalg.norm(matrix) ** 3:
        raise InputError("The matrix is no projection: it has no inverse", where=where)
    matrix = matrix * np.sign(determinant)
    reverse = np.eye(3)[::-1]
    q, r = np.linalg.qr((reverse @ matrix).T)
    upper, rotation = reverse @ r.T @ reverse, reverse @ q.T
    signs = np.sign(np.diag(upper))
    upper, rotation = upper * signs, rotation * signs[:, None]
    return upper / upper[2, 2], rotation


FORMAT = Format(
    name="dtu",
    summary="DTU scans (DVR, pixelNeRF): DTU/scanN with image, mask and cameras.npz",
    looked_for="DTU/scanN with image and cameras.npz (world_mat that projects into pixels)",
    detect=detect,
    read=read,
)
