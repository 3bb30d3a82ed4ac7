"""LLFF captures: poses_bounds.npy beside images, images_4, images_8.

One row of 17 numbers per image in lexicographic order of file names: a 3x5 matrix [R | t | (height, width,
focal)] whose camera axes are (down, right, backward), then the nearest and farthest depth.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.formats import Format
from sightline.captures.formats.colmap_model import find_model, read_images
from sightline.captures.formats.image_folders import (
    ImageFolder,
    choose_image_folder,
    has_images,
    image_files,
)
from sightline.captures.formats.output import OutputFolder, check_plain_pinhole, depth_bounds, report_lost
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.captures.lens import Lens
from sightline.captures.splits import hold_out
from sightline.foundation.errors import InputError, inform, warn

FILE_NAME = "poses_bounds.npy"
COLUMNS = 17


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def detect(path: Path) -> bool:
    """Whether a folder has poses_bounds.npy, or this is that file."""
    return (path / FILE_NAME).is_file() or (path.name == FILE_NAME and path.is_file())


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the rows; each has its own size and focal length, the principal point is the middle.

    The file itself, with no images beside it, gives a capture of cameras alone: enough for camera paths.
    """
    root = _root(path)
    rows = read_rows(root / FILE_NAME, COLUMNS)
    if path.is_file() and not has_images(root):
        return _read_cameras(rows, path, options)
    folder = choose_image_folder(
        root, options.downscale, full_size=options.resize_rule is not None, stated=_stated_size(rows)
    )
    files = match_files(root, folder, len(rows))
    frames = [
        replace(_frame(row, index, root, file), expected_ratio=folder.expected_ratio)
        for index, (row, file) in enumerate(zip(rows, files, strict=True))
    ]
    if find_model(root) is not None:
        inform(
            "There is a COLMAP model too; with its intrinsics of each image, distortion and points, it may "
            "give better results. To use it, add --format colmap."
        )
    return build_capture(frames, options, shrink_by=folder.downscale, root=root, path=path, format="llff")


def _stated_size(rows: np.ndarray) -> tuple[int, int] | None:
    """Give the width and height of the first row, where they are a size."""
    if not len(rows) or not np.isfinite(rows[0, [4, 9]]).all():
        return None
    return round(rows[0, 9]), round(rows[0, 4])


def _read_cameras(rows: np.ndarray, path: Path, options: ReadOptions) -> Capture:
    root = _root(path)
    if not len(rows):
        raise InputError("The array has no rows, so there are no cameras", where=path)
    warn(f"There are no images, so this is enough for camera paths and not for training. Where: {root}.")
    digits = max(3, len(str(len(rows))))
    frames = [
        _frame(row, index, root, root / "images" / f"{index:0{digits}d}.png")
        for index, row in enumerate(rows)
    ]
    return build_capture(frames, options, root=root, path=path, format="llff", cameras_only=True)


def _frame(row: np.ndarray, index: int, root: Path, file: Path) -> Frame:
    matrix = row[:15].reshape(3, 5)
    height, width, focal = matrix[:, 4]
    where = f"{FILE_NAME}, row {index} ({file.name})"
    if not (np.isfinite(row).all() and height >= 1 and width >= 1):
        raise InputError(f"The row holds NaN or no usable size ({width:g}x{height:g})", where=where)
    return Frame(
        name=file.relative_to(root).as_posix(),
        image=file,
        pose=to_pose(matrix),
        lens=Lens(focal_x=float(focal), width=round(width), height=round(height)),
        where=where,
        near=float(row[15]),
        far=float(row[16]),
    )


def to_pose(matrix: np.ndarray) -> np.ndarray:
    """Turn the camera's axes of the file's first four columns: right, up, backward, and where it stands."""
    return np.stack([matrix[:, 1], -matrix[:, 0], matrix[:, 2], matrix[:, 3]], axis=1)


def read_rows(file: Path, columns: int) -> np.ndarray:
    """Read an array of so many numbers per image."""
    try:
        rows = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"Not an array that can be read ({error})", where=file) from error
    if rows.ndim != 2 or rows.shape[1] != columns or not np.issubdtype(rows.dtype, np.floating):
        raise InputError(
            f"The array should hold {columns} numbers per image, its shape is {rows.shape}", where=file
        )
    return rows.astype(np.float64)


def match_files(root: Path, folder: ImageFolder, count: int) -> list[Path]:
    """Match images to rows by order; where there are more, by the names that COLMAP registered."""
    files = image_files(folder.path)
    if len(files) == count:
        return files
    model = find_model(root)
    if model is not None:
        registered = {Path(image.name).stem for image in read_images(model)}
        chosen = [file for file in files if file.stem in registered]
        if len(chosen) == count:
            return chosen
    raise InputError(
        f"{FILE_NAME} has {count} rows, but there are {len(files)} images",
        where=folder.path,
        fix="Rows belong to images in the order of their names: remove the images that have no pose",
    )


def write(capture: Capture, out: Path) -> None:
    """Write images and poses_bounds.npy; refuses lenses that it cannot hold."""
    check_plain_pinhole(capture, "llff")
    order = sorted(range(len(capture)), key=lambda index: Path(capture.image_names[index]).name)
    names = OutputFolder(out).write_images(capture.subset(order), "images")
    # File names that had to change to be unique may sort in another way than before.
    order = [order[rank] for rank in sorted(range(len(names)), key=lambda rank: names[rank])]
    cameras, bounds = capture.cameras, depth_bounds(capture)
    rows = np.empty((len(capture), 17))
    for row, index in zip(rows, order, strict=True):
        pose = cameras.c2w[index].numpy()
        size = [float(cameras.height[index]), float(cameras.width[index]), float(cameras.fx[index])]
        columns = [-pose[:, 1], pose[:, 0], pose[:, 2], pose[:, 3], np.array(size)]
        row[:15] = np.stack(columns, axis=1).reshape(-1)
        row[15:] = bounds[index]
    np.save(out / FILE_NAME, rows)
    lost = [] if capture.masks is None else ["masks"]
    lost += [] if capture.points is None else ["points"]
    default = hold_out([Path(name).name for name in capture.image_names], 8)
    if {name: members for name, members in capture.splits.items() if members} != {
        name: members for name, members in default.items() if members
    }:
        lost.append("the splits (every 8th view will be held out)")
    report_lost("llff", lost)


FORMAT = Format(
    name="llff",
    summary="LLFF poses_bounds.npy with images, images_4, images_8",
    looked_for="poses_bounds.npy",
    detect=detect,
    read=read,
    write=write,
)
