"""What writers share: the folder they fill, its images, and refusing what a format cannot hold."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

from sightline.captures.capture import Capture
from sightline.captures.decoding import IMAGE_SUFFIXES, read_header
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError, warn
from sightline.foundation.hardware import available_cores
from sightline.geometry import LensModel

# Relative deviation up to which intrinsics count as those of a plain pinhole.
_PLAIN_TOLERANCE = 1e-9


class OutputFolder:
    """A folder that a capture is written to."""

    def __init__(self, path: Path):
        self.path = path

    def write_images(self, capture: Capture, folder: str, *, png_only: bool = False) -> list[str]:
        """Write all images into `folder` and give their file names in it, in the order of the views.

        Files of the size that the capture has are copied as they are; shrunk images, images in memory and,
        with `png_only`, files of another kind become PNG. Names stay, unless two would be the same.
        """
        stems = unique_stems(capture.image_names)
        target = self.path / folder
        target.mkdir(parents=True, exist_ok=True)

        def write(index: int) -> str:
            source = capture.images.paths[index]
            if source is not None and _can_copy(source, capture.images, index, png_only):
                name = stems[index] + source.suffix
                shutil.copyfile(source, target / name)
                return name
            write_png(target / f"{stems[index]}.png", capture.images[index])
            return f"{stems[index]}.png"

        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(write, range(len(capture))))


def unique_stems(names: Sequence[str]) -> list[str]:
    """Give each image a file name without extension: the last part of its name, or all of it if need be."""
    paths = [PurePosixPath(name) for name in names]
    stems = [_without_suffix(path.name) for path in paths]
    if len({stem.casefold() for stem in stems}) < len(stems):
        stems = [_without_suffix("_".join(path.parts)) for path in paths]
    taken: set[str] = set()
    for index, stem in enumerate(stems):
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem}_{number}"
        stems[index] = candidate
        taken.add(candidate.casefold())
    return stems


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a uint8 image as PNG."""
    Image.fromarray(image).save(path, format="PNG")


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def _can_copy(source: Path, images: ImageStore, index: int, png_only: bool) -> bool:
    if png_only and source.suffix != ".png":
        return False
    header = read_header(source)
    return [header.width, header.height] == images.sizes[index].tolist()


def check_plain_pinhole(capture: Capture, format: str) -> None:
    """Refuse cameras that `format` cannot hold: distorted, off-centre, or with unequal focal lengths."""
    cameras = capture.cameras
    scale = cameras.width.double()
    distorted = (cameras.lens == LensModel.OPENCV_FISHEYE) | (cameras.distortion != 0).any(dim=1)
    off_centre = torch.maximum(
        (cameras.cx - cameras.width / 2).abs(), (cameras.cy - cameras.height / 2).abs()
    )
    for wrong, what in (
        (distorted, "lens distortion"),
        (off_centre > _PLAIN_TOLERANCE * scale, "a principal point off the middle of the image"),
        (
            (cameras.fx - cameras.fy).abs() > _PLAIN_TOLERANCE * scale,
            "different focal lengths across and down",
        ),
    ):
        if wrong.any():
            first = capture.image_names[int(wrong.nonzero()[0])]
            raise InputError(
                f"The format {format!r} cannot hold {what} ({int(wrong.sum())} of {len(capture)} views)",
                where=f"first of them {first}",
                fix="Write transforms or colmap, which can; or undistort the photos first",
            )


def report_lost(format: str, lost: Sequence[str]) -> None:
    """Say once what a format does not hold and the written capture therefore lacks."""
    if lost:
        warn(f"The format {format!r} does not hold all of this capture; not written: {', '.join(lost)}.")


def depth_bounds(capture: Capture) -> np.ndarray:
    """Give near and far of each view (n, 2): stated, else from points in view, else guessed."""
    if capture.near is not None and capture.far is not None:
        return np.stack([capture.near, capture.far], axis=1)
    distances = _distances_to_focus(capture)
    guess = np.stack([0.5 * distances, 1.5 * distances], axis=1)
    if capture.points is None or not len(capture.points):
        warn(
            "The capture states no depth bounds and has no points to take them from: near and far are "
            "guessed as 0.5 and 1.5 times the distance to the point that the cameras look at."
        )
        return guess
    positions = torch.from_numpy(capture.points.positions)
    bounds = guess.copy()
    for index in range(len(capture)):
        _, depth = capture.cameras.project(positions, index)
        depth = depth[capture.cameras.sees(positions, index) & (depth > 0)].numpy()
        if len(depth) > 1:
            bounds[index] = np.percentile(depth, (0.1, 99.9))
    return bounds


def _distances_to_focus(capture: Capture) -> np.ndarray:
    from sightline.geometry.poses import focus_point

    cameras = capture.cameras
    focus = focus_point(cameras.c2w)
    distances = (cameras.centres - focus).norm(dim=1).numpy()
    return np.maximum(distances, 1e-6)
