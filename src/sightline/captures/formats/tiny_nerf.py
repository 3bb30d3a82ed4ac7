"""The data of NeRF's notebook: one .npz file with images, poses and the focal length.

`images` is (n, height, width, 3 or 4) in [0, 1], `poses` (n, 4, 4) camera to world with axes x right, y up,
z backward, `focal` in pixels.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from sightline.captures.capture import Capture
from sightline.captures.checks import check_pose
from sightline.captures.formats import Format
from sightline.captures.frames import ReadOptions, options_to_json
from sightline.captures.image_store import ImageStore
from sightline.captures.splits import SplitViews, choose_splits
from sightline.foundation.errors import InputError, warn
from sightline.geometry import Cameras

FILE_NAME = "tiny_nerf_data.npz"
_KEYS = ("images", "poses", "focal")
_TRAINING = 100
"""the notebook trains on the first so many images"""
_ROUNDING = 1e-3
"""colours may leave [0, 1] by this"""
_PAINTED = 0.9
"""share of edge pixels of one colour that makes it the background"""


def _file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() else path


def detect(path: Path) -> bool:
    """Whether this is an .npz file with images, poses and focal, or a folder with the notebook's."""
    file = _file(path)
    if file.suffix.lower() != ".npz" or not file.is_file():
        return False
    if file.name == FILE_NAME:
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            return {f"{key}.npy" for key in _KEYS} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the arrays; colours are rounded to 8 bits. The first 100 images train, the others test.

    With 100 images or fewer there is no split in the data, and views are held out.
    """
    file = _file(path)
    arrays = _load(file)
    images = _images(arrays["images"], file)
    count = len(images)
    if arrays["poses"].shape not in ((count, 4, 4), (count, 3, 4)):
        raise InputError(
            f"There are {count} images, and the poses have the shape {arrays['poses'].shape}",
            where=f"{file}, poses",
            fix="Poses should be one 4x4 matrix per image",
        )
    poses = np.stack(
        [check_pose(pose, f"{file.name}, poses[{index}]") for index, pose in enumerate(arrays["poses"])]
    )
    cameras = Cameras.create(
        torch.from_numpy(poses), _focal(arrays["focal"], file), width=images.shape[2], height=images.shape[1]
    ).downscaled(options.downscale)
    if count == 1:
        warn(f"There is only one view: enough to look at, too little to train on. Where: {path}.")
    names = tuple(f"{index:03d}.png" for index in range(count))
    given = {"train": tuple(range(_TRAINING)), "test": tuple(range(_TRAINING, count))}
    views = SplitViews(names, poses[:, :, 3], given if count > _TRAINING else {})
    return Capture(
        name=file.stem,
        cameras=cameras,
        images=ImageStore(
            list(images),
            torch.stack([cameras.width, cameras.height], -1).numpy(),
            channels=images.shape[3],
            resize_rule=options.resize_rule,
        ),
        image_names=names,
        splits=choose_splits(options.split_rule, views, options.holdout),
        background=_background(images),
        format=FORMAT.name,
        path=path,
        options=options_to_json(options),
    )


def _load(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise InputError(f"There is no {FILE_NAME}", where=file.parent)
    try:
        with np.load(file, allow_pickle=False) as data:
            missing = [key for key in _KEYS if key not in data.files]
            if missing:
                raise InputError(
                    f"The file lacks the array {missing[0]!r}",
                    where=file,
                    fix=f"It should hold {', '.join(_KEYS)}; it holds {', '.join(data.files) or 'nothing'}",
                )
            return {key: data[key] for key in _KEYS}
    except (
        OSError,
        ValueError,
        EOFError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(
            f"Not a file of arrays that can be read ({error})", where=file, fix="Copy or download it again"
        ) from error


def _images(values: np.ndarray, file: Path) -> np.ndarray:
    """Check the images and give them as uint8."""
    where = f"{file}, images"
    if values.ndim != 4 or values.shape[3] not in (3, 4) or 0 in values.shape:
        raise InputError(
            f"Images should have the shape (n, height, width, 3 or 4), not {values.shape}", where=where
        )
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        raise InputError("Images should be finite floating-point numbers, or bytes", where=where)
    low, high = float(values.min()), float(values.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"Colours should be in [0, 1], these are from {low:g} to {high:g}",
            where=where,
            fix="Divide them by their largest possible value, or store bytes",
        )
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


def _background(images: np.ndarray) -> str:
    """Say what lies behind the subject: opacity, the colour of most of the pictures' edges, or a photo."""
    if images.shape[3] == 4:
        return "alpha"
    edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    pixels = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    for name, level in (("black", 0), ("white", 255)):
        if (pixels == level).all(axis=1).mean() > _PAINTED:
            return name
    return "photo"


def _focal(value: np.ndarray, file: Path) -> float:
    numeric = np.issubdtype(value.dtype, np.number)
    if value.size != 1 or not numeric or not np.isfinite(value).all() or not value.reshape(-1)[0] > 0:
        raise InputError("The focal length should be one positive number", where=f"{file}, focal")
    return float(value.reshape(-1)[0])


FORMAT = Format(
    name="tiny_nerf",
    summary="tiny_nerf_data.npz of NeRF's notebook: images, poses and focal",
    looked_for=f"{FILE_NAME}, or an .npz file with {', '.join(_KEYS)}",
    detect=detect,
    read=read,
)
