"""Shiny scenes (NeX, Wizadwongsa et al. 2021): LLFF's poses, with one lens for all images beside them.

poses_bounds.npy has a row of 14 numbers per image, a 3x4 matrix [R | t] with LLFF's camera axes, then the
nearest and farthest depth. hwf_cxcy.npy has six: height, width, both focal lengths, and the principal point.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.formats import Format
from sightline.captures.formats.image_folders import choose_image_folder
from sightline.captures.formats.llff import FILE_NAME, match_files, read_rows, to_pose
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError

LENS_FILE = "hwf_cxcy.npy"
_COLUMNS = 14


def detect(path: Path) -> bool:
    """Whether a folder has both files."""
    return (path / FILE_NAME).is_file() and (path / LENS_FILE).is_file()


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the rows, and the lens that is the same for all of them."""
    rows, lens = read_rows(path / FILE_NAME, _COLUMNS), _read_lens(path / LENS_FILE)
    stated = None if lens.width is None or lens.height is None else (lens.width, lens.height)
    whole = options.resize_rule is not None
    folder = choose_image_folder(path, options.downscale, full_size=whole, stated=stated)
    frames = []
    for index, (row, file) in enumerate(zip(rows, match_files(path, folder, len(rows)), strict=True)):
        where = f"{FILE_NAME}, row {index} ({file.name})"
        if not np.isfinite(row).all():
            raise InputError("The row holds NaN", where=where)
        pose, (near, far) = to_pose(row[:12].reshape(3, 4)), row[12:].tolist()
        name = file.relative_to(path).as_posix()
        frame = Frame(name=name, image=file, pose=pose, lens=lens, where=where, near=near, far=far)
        frames.append(replace(frame, expected_ratio=folder.expected_ratio))
    return build_capture(frames, options, shrink_by=folder.downscale, root=path, path=path, format="shiny")


def _read_lens(file: Path) -> Lens:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"Not an array that can be read ({error})", where=file) from error
    if values.size != 6 or not np.isfinite(values).all() or (values.reshape(-1)[:4] <= 0).any():
        raise InputError(
            "It should hold height, width, both focal lengths and the principal point: six numbers, the "
            f"first four above 0; it holds {np.array2string(values.reshape(-1)[:8], threshold=8)}",
            where=file,
        )
    height, width, focal_x, focal_y, centre_x, centre_y = values.astype(float).reshape(-1).tolist()
    return Lens(
        focal_x=focal_x,
        focal_y=focal_y,
        centre_x=centre_x,
        centre_y=centre_y,
        width=round(width),
        height=round(height),
    )


FORMAT = Format(
    name="shiny",
    summary="Shiny scenes: poses_bounds.npy of 14 columns with hwf_cxcy.npy",
    looked_for="hwf_cxcy.npy beside poses_bounds.npy",
    detect=detect,
    read=read,
)
