"""COLMAP captures: a sparse model (binary or text) beside its images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sightline.captures.capture import Capture, Points
from sightline.captures.checks import resolve_inside
from sightline.captures.decoding import IMAGE_SUFFIXES
from sightline.captures.formats import Format
from sightline.captures.formats.colmap_model import (
    ModelCamera,
    ModelImage,
    ModelPoints,
    find_model,
    read_cameras,
    read_images,
    read_points,
    write_model,
)
from sightline.captures.formats.image_folders import ImageFolder, choose_image_folder, has_images
from sightline.captures.formats.output import OutputFolder, report_lost
from sightline.captures.formats.transforms_frames import ImageFinder
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import write_atomic
from sightline.geometry import LensModel
from sightline.geometry.poses import quaternion_to_rotation, rotation_to_quaternion

# COLMAP model → our lens, number of focal lengths, and where its further parameters go in our coefficients.
_LENSES = {
    "SIMPLE_PINHOLE": (LensModel.PINHOLE, 1, ()),
    "PINHOLE": (LensModel.PINHOLE, 2, ()),
    "SIMPLE_RADIAL": (LensModel.OPENCV, 1, (0,)),
    "RADIAL": (LensModel.OPENCV, 1, (0, 1)),
    "OPENCV": (LensModel.OPENCV, 2, (0, 1, 2, 3)),
    "FULL_OPENCV": (LensModel.OPENCV, 2, (0, 1, 2, 3, 4, 5, 6, 7)),
    "SIMPLE_FISHEYE": (LensModel.OPENCV_FISHEYE, 1, ()),
    "FISHEYE": (LensModel.OPENCV_FISHEYE, 2, ()),
    "SIMPLE_RADIAL_FISHEYE": (LensModel.OPENCV_FISHEYE, 1, (0,)),
    "RADIAL_FISHEYE": (LensModel.OPENCV_FISHEYE, 1, (0, 1)),
    "OPENCV_FISHEYE": (LensModel.OPENCV_FISHEYE, 2, (0, 1, 2, 3)),
}
# Depths of observed points that bound a view; the rest counts as outliers.
_PERCENTILES = (0.1, 99.9)
# OpenGL camera axes ↔ COLMAP's.
_FLIP = np.array([1.0, -1.0, -1.0])
# Lists of image names in the model's folder, as Gaussian-splatting captures have them.
_SPLIT_LISTS = ("val", "test")


def _image_root(path: Path, model: Path) -> Path | None:
    """Find the folder that holds the image folders: the data folder, or a parent of the model."""
    for folder in (path, *model.parents[:3]):
        if has_images(folder):
            return folder
    return None


def detect(path: Path) -> bool:
    """Whether there is a model (images.bin or images.txt with its cameras) in one of the usual places."""
    return path.is_dir() and find_model(path) is not None


def read(path: Path, options: ReadOptions) -> Capture:
    """Read a model; views are sorted by name, near and far come from the points that each image observes."""
    model = find_model(path)
    if model is None:
        raise InputError(
            "There is no COLMAP model",
            where=path,
            fix=f"Looked for: {FORMAT.looked_for}",
        )
    root = _image_root(path, model)
    if root is None:
        raise InputError("There is no folder 'images' beside the COLMAP model", where=path)
    others = sorted(entry.name for entry in model.parent.iterdir() if entry.is_dir() and entry != model)
    if model.name == "0" and others:
        warn(f"COLMAP made several models; {model} is used, left out are: {', '.join(others)}.")
    folder = choose_image_folder(root, options.downscale, full_size=options.resize_rule is not None)
    cameras, points = read_cameras(model), read_points(model)
    images = sorted(read_images(model), key=lambda image: image.name)
    splits = _listed_splits(model, [image.name for image in images])
    finder = ImageFinder()
    frames = [
        _frame(image, cameras, model, _locate(image, folder, finder, model), root, near_far, splits)
        for image, near_far in zip(images, _bounds(images, points), strict=True)
    ]
    _report_unregistered(folder.path, {frame.image for frame in frames})
    return build_capture(
        [replace(frame, expected_ratio=folder.expected_ratio) for frame in frames],
        options,
        shrink_by=folder.downscale,
        root=root,
        path=path,
        format=FORMAT.name,
        points=None if points is None or not len(points.ids) else Points(points.positions, points.colours),
    )


def _locate(image: ModelImage, folder: ImageFolder, finder: ImageFinder, model: Path) -> Path:
    """Find the file of an image; smaller copies may have another extension."""
    _, file = resolve_inside(folder.path, image.name, f"{model}, image {image.id}")
    names = finder.names(file.parent)
    if file.name not in names:
        for suffix in IMAGE_SUFFIXES:
            if file.with_suffix(suffix).name in names:
                return file.with_suffix(suffix)
    return file


def _frame(
    image: ModelImage,
    cameras: dict[int, ModelCamera],
    model: Path,
    file: Path,
    root: Path,
    near_far: tuple[float, float] | None,
    splits: dict[str, tuple[str, ...]],
) -> Frame:
    where = f"{model}, image {image.id} ({image.name})"
    if image.camera_id not in cameras:
        raise InputError(f"The camera {image.camera_id} of an image is not in the model", where=where)
    return Frame(
        name=file.relative_to(root).as_posix(),
        image=file,
        pose=_pose(image),
        lens=_lens(cameras[image.camera_id], model),
        where=where,
        splits=splits.get(image.name, ()),
        near=None if near_far is None else near_far[0],
        far=None if near_far is None else near_far[1],
    )


def _rotation(image: ModelImage) -> np.ndarray:
    """Give world → camera as a matrix; NaN where the quaternion is not usable."""
    return quaternion_to_rotation(torch.tensor(image.quaternion, dtype=torch.float64)).numpy()


def _pose(image: ModelImage) -> np.ndarray:
    to_world = _rotation(image).T
    return np.concatenate([to_world * _FLIP, (-to_world @ np.array(image.translation))[:, None]], axis=1)


def _lens(camera: ModelCamera, model: Path) -> Lens:
    if camera.model not in _LENSES:
        raise InputError(
            f"The camera model {camera.model} is not supported",
            where=f"{model}, camera {camera.id}",
            fix=f"Undistort the images with COLMAP, or use one of: {', '.join(_LENSES)}",
        )
    lens, focals, places = _LENSES[camera.model]
    if len(camera.params) != focals + 2 + len(places):
        raise InputError(
            f"A {camera.model} camera has {focals + 2 + len(places)} parameters, not {len(camera.params)}",
            where=f"{model}, camera {camera.id}",
        )
    distortion = [0.0] * 8
    for place, value in zip(places, camera.params[focals + 2 :], strict=True):
        distortion[place] = value
    return Lens(
        focal_x=camera.params[0],
        focal_y=camera.params[focals - 1],
        centre_x=camera.params[focals],
        centre_y=camera.params[focals + 1],
        width=camera.width,
        height=camera.height,
        model=lens,
        distortion=tuple(distortion),
    )


def _bounds(images: Sequence[ModelImage], points: ModelPoints | None) -> list[tuple[float, float] | None]:
    """Take percentiles of the depths of the points that each image observes.

    A view that observes nothing in front of it gets the median of the others; all get None without points.
    """
    found: list[tuple[float, float] | None] = []
    order = np.argsort(points.ids) if points is not None else np.empty(0, np.int64)
    for image in images:
        if points is None or not len(image.point_ids) or not len(points.ids):
            found.append(None)
            continue
        # A point may be observed at several places of one image; it counts once.
        seen = np.unique(image.point_ids)
        rows = order[np.searchsorted(points.ids, seen, sorter=order).clip(max=len(order) - 1)]
        rows = rows[points.ids[rows] == seen]
        depth = points.positions[rows] @ _rotation(image)[2] + image.translation[2]
        depth = depth[depth > 0]
        near, far = np.percentile(depth, _PERCENTILES) if len(depth) else (0.0, 0.0)
        found.append((float(near), float(far)) if far > near else None)
    known = np.array([bounds for bounds in found if bounds is not None])
    if not len(known):
        return found
    near, far = np.median(known, axis=0)
    return [bounds or (float(near), float(far)) for bounds in found]


def _listed_splits(model: Path, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read test.txt and val.txt in the model's folder, a name per line; all other images are for training."""
    members: dict[str, tuple[str, ...]] = {}
    listed = False
    for split in _SPLIT_LISTS:
        file = model / f"{split}.txt"
        if file.is_file():
            listed = True
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    members[line.strip()] = (*members.get(line.strip(), ()), split)
    return {name: members.get(name, ("train",)) for name in names} if listed else {}


def _report_unregistered(folder: Path, used: set[Path]) -> None:
    there = {file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES}
    unused = sorted(str(file.relative_to(folder)) for file in there - used)
    if unused:
        warn(
            f"{len(unused)} images have no pose in the COLMAP model and are not used: "
            f"{', '.join(unused[:3])}{', …' if len(unused) > 3 else ''}. Where: {folder}."
        )


def _camera_of(capture: Capture, index: int) -> ModelCamera:
    """Choose the plainest COLMAP model that holds a camera."""
    cameras = capture.cameras
    lens, k = LensModel(int(cameras.lens[index])), cameras.distortion[index].tolist()
    if lens == LensModel.OPENCV_FISHEYE:
        name, count = "OPENCV_FISHEYE", 4
    elif lens == LensModel.PINHOLE or not any(k):
        name, count = "PINHOLE", 0
    else:
        name, count = ("FULL_OPENCV", 8) if any(k[4:]) else ("OPENCV", 4)
    params = [float(values[index]) for values in (cameras.fx, cameras.fy, cameras.cx, cameras.cy)]
    size = int(cameras.width[index]), int(cameras.height[index])
    return ModelCamera(0, name, *size, (*params, *k[:count]))


def _write(capture: Capture, out: Path, *, text: bool) -> None:
    names = OutputFolder(out).write_images(capture, "images")
    model = out / "sparse" / "0"
    rows: dict[ModelCamera, int] = {}
    images = []
    for index, name in enumerate(names):
        camera_id = rows.setdefault(_camera_of(capture, index), len(rows) + 1)
        pose = capture.cameras.c2w[index].numpy()
        to_camera = (pose[:, :3] * _FLIP).T
        quaternion = rotation_to_quaternion(torch.from_numpy(to_camera))
        # From the rotation as it will be read, so that the centre stays exact for poses of few digits.
        x, y, z = (-quaternion_to_rotation(quaternion).numpy() @ pose[:, 3]).tolist()
        qw, qx, qy, qz = quaternion.tolist()
        images.append(ModelImage(index + 1, (qw, qx, qy, qz), (x, y, z), camera_id, name))
    cameras = [replace(camera, id=number) for camera, number in rows.items()]
    points = None
    if capture.points is not None:
        ids = np.arange(1, len(capture.points) + 1)
        points = ModelPoints(ids, capture.points.positions, capture.points.colours)
    write_model(model, cameras, images, points, text=text)
    for split in _SPLIT_LISTS:
        members = "".join(f"{names[index]}\n" for index in capture.splits.get(split, ()))
        # An empty list of test views says that none is held out.
        if members or split == "test":
            write_atomic(model / f"{split}.txt", members.encode("utf-8"))
    lost = [] if capture.masks is None else ["masks"]
    lost += [] if capture.near is None else ["near and far depths"]
    report_lost("colmap", lost)


FORMAT = Format(
    name="colmap",
    summary="COLMAP sparse model (binary or text) with its images",
    looked_for="cameras and images (.bin or .txt) in sparse/0, sparse, colmap/sparse/0 or the folder itself",
    detect=detect,
    read=read,
    write=partial(_write, text=False),
)

FORMAT_TEXT = Format(
    name="colmap-text",
    summary="COLMAP sparse model, written as text",
    looked_for="",
    detect=lambda path: False,
    read=read,
    write=partial(_write, text=True),
)
