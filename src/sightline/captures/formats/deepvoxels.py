"""DeepVoxels captures: {train,validation,test}/SHAPE with rgb, pose and intrinsics.txt.

`intrinsics.txt` holds, line by line: focal length, principal point x and y and a 0; the barycentre of the
voxel grid; its near plane; its scale; height and width that the first line is for; and, where there is a
sixth line, whether poses are world to camera. A pose is 16 numbers, camera axes x right, y down, z forward.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sightline.captures.capture import Capture
from sightline.captures.decoding import read_header
from sightline.captures.formats import Format
from sightline.captures.formats.image_folders import image_files
from sightline.captures.formats.number_files import read_lines, read_pose
from sightline.captures.frames import Frame, ReadOptions, build_capture
from sightline.captures.lens import Lens
from sightline.foundation.errors import InputError, warn
from sightline.geometry.treatments import shell_range

# Folder of a split → our name of it.
_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_INTRINSICS = "intrinsics.txt"


@dataclass(frozen=True)
class _Intrinsics:
    """The content of intrinsics.txt."""

    focal: float
    centre: tuple[float, float]
    barycentre: tuple[float, ...]
    near_plane: float
    scale: float
    height: float
    width: float
    world_to_camera: bool

    def lens(self, width: int, height: int) -> Lens:
        """Scale to pictures of another size, which show the middle of the stated one at its full height."""
        factor = height / self.height
        return Lens(
            focal_x=self.focal * factor,
            centre_x=width / 2 + (self.centre[0] - self.width / 2) * factor,
            centre_y=self.centre[1] * factor,
            width=width,
            height=height,
        )


def _is_shape(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in ("rgb", "pose")) and (folder / _INTRINSICS).is_file()


def _shapes(root: Path) -> list[str]:
    """Name the shapes that any split of a data folder holds."""
    found = set()
    for split in _SPLITS:
        if (root / split).is_dir():
            found |= {entry.name for entry in (root / split).iterdir() if _is_shape(entry)}
    return sorted(found)


def _locate(path: Path) -> tuple[Path, list[str]]:
    """Find the data folder and the shapes that a path means: all of it, a split, or a shape in a split."""
    path = path.absolute()
    if path.parent.name in _SPLITS and _is_shape(path):
        return path.parent.parent, [path.name]
    root = path.parent if path.name in _SPLITS else path
    return root, _shapes(root)


def detect(path: Path) -> bool:
    """Whether this is a folder with train/SHAPE, validation/SHAPE or test/SHAPE, or one of these in it."""
    return path.is_dir() and bool(_locate(path)[1])


def read(path: Path, options: ReadOptions) -> Capture:
    """Read the splits of one shape; near and far are the mean distance of all cameras, less and plus 1."""
    root, shapes = _locate(path)
    if len(shapes) != 1:
        raise InputError(
            f"The folder holds {len(shapes)} shapes ({', '.join(shapes)})" if shapes else "There is no shape",
            where=path,
            fix=f"Give the folder of one: {root / 'train' / shapes[0]}"
            if shapes
            else f"Looked for: {FORMAT.looked_for}",
        )
    frames: list[Frame] = []
    extras: dict[str, object] = {}
    for split in _SPLITS:
        folder = root / split / shapes[0]
        if _is_shape(folder):
            intrinsics = _read_intrinsics(folder / _INTRINSICS)
            frames += _read_frames(root, folder, intrinsics, _SPLITS[split])
            extras = {
                "barycentre": list(intrinsics.barycentre),
                "near_plane": intrinsics.near_plane,
                "scale": intrinsics.scale,
            }
    if not frames:
        raise InputError("The shape has no pictures", where=root / "train" / shapes[0])
    poses = torch.from_numpy(np.stack([frame.pose for frame in frames])[:, :3])
    near, far = shell_range(poses)
    if near > 0:
        frames = [replace(frame, near=near, far=far) for frame in frames]
    capture = build_capture(frames, options, root=root, path=path, format=FORMAT.name, extras=extras)
    background = "alpha" if capture.background == "alpha" else "white"
    return replace(capture, name=shapes[0], background=background)


def _read_frames(root: Path, folder: Path, intrinsics: _Intrinsics, split: str) -> list[Frame]:
    pictures = {file.stem: file for file in image_files(folder / "rgb")}
    poses = {file.stem: file for file in sorted((folder / "pose").glob("*.txt"))}
    unposed = [file.name for stem, file in pictures.items() if stem not in poses]
    if unposed:
        warn(f"{len(unposed)} pictures have no pose and are not used, such as {unposed[0]}. Where: {folder}.")
    if not pictures:
        return []
    header = read_header(next(iter(pictures.values())))
    lens = intrinsics.lens(header.width, header.height)
    frames = []
    for stem, pose in poses.items():
        file = pictures.get(stem, folder / "rgb" / f"{stem}.png")
        frames.append(
            Frame(
                name=file.relative_to(root).as_posix(),
                image=file,
                pose=read_pose(pose, intrinsics.world_to_camera),
                lens=lens,
                where=pose.relative_to(root).as_posix(),
                splits=(split,),
            )
        )
    return frames


def _read_intrinsics(file: Path) -> _Intrinsics:
    lines = read_lines(file)
    wanted = (3, 3, 1, 1, 2)
    for number, count in enumerate(wanted):
        found = len(lines[number]) if number < len(lines) else 0
        if found < count:
            raise InputError(
                f"Line {number + 1} of the intrinsics should hold {count} numbers, it holds {found}",
                where=file,
                fix="Lines: f cx cy 0 / barycentre / near plane / scale / height width",
            )
    height, width = lines[4][:2]
    if not (np.isfinite(lines[4][:2]).all() and height >= 1 and width >= 1):
        raise InputError(f"The intrinsics are for a size of {width:g}x{height:g}", where=f"{file}, line 5")
    return _Intrinsics(
        focal=lines[0][0],
        centre=(lines[0][1], lines[0][2]),
        barycentre=tuple(lines[1][:3]),
        near_plane=lines[2][0],
        scale=lines[3][0],
        height=height,
        width=width,
        world_to_camera=len(lines) > 5 and lines[5][0] != 0,
    )


FORMAT = Format(
    name="deepvoxels",
    summary="DeepVoxels shapes: train, validation and test with rgb, pose and intrinsics.txt",
    looked_for="train/SHAPE with rgb, pose and intrinsics.txt",
    detect=detect,
    read=read,
)
