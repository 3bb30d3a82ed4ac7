"""From what a reader found (a frame per image) to a checked capture: what all formats of scenes share."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.captures.capture import SPLITS, Capture, Points
from sightline.captures.checks import check_pose, size_ratio
from sightline.captures.decoding import ImageHeader, read_header
from sightline.captures.image_store import AbsentImages, ImageStore
from sightline.captures.lens import Intrinsics, Lens
from sightline.captures.resizing import check_resize_rule
from sightline.captures.splits import DEFAULT_HOLDOUT, SplitViews, check_split_rule, choose_splits
from sightline.foundation.errors import InputError, warn
from sightline.foundation.hardware import available_cores
from sightline.geometry import Cameras


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a capture is to be opened; the arguments of `open_capture`."""

    downscale: float = 1
    holdout: int = DEFAULT_HOLDOUT
    split_rule: str | None = None
    resize_rule: str | None = None
    strict: bool = False
    angle_unit: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.downscale) and self.downscale >= 1):
            raise InputError(
                f"Cannot downscale by {self.downscale}", where="--downscale", fix="Give 1 or more"
            )
        if self.split_rule is not None:
            check_split_rule(self.split_rule)
        check_resize_rule(self.resize_rule)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image with its camera, as a reader found it; nothing is checked yet."""

    name: str
    image: Path
    pose: Any
    """camera-to-world in this package's axes, 3x4 or 4x4"""
    lens: Lens
    where: str
    """file and entry, for messages"""
    splits: tuple[str, ...] = ()
    mask: Path | None = None
    near: float | None = None
    far: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    expected_ratio: Fraction | None = None
    """image size / stated size up to rounding, where the folder's name says so (images_4: 1/4)"""


def build_capture(
    frames: Sequence[Frame],
    options: ReadOptions,
    *,
    root: Path,
    path: Path,
    format: str,
    shrink_by: float | None = None,
    mask_keeps: bool = True,
    points: Points | None = None,
    box: np.ndarray | None = None,
    background: str | None = None,
    extras: Mapping[str, Any] | None = None,
    cameras_only: bool = False,
) -> Capture:
    """Check frames, drop those without an image, and make the capture at the size asked for.

    Frames keep their order. Where any frame names a split those splits stand; otherwise views are held out.

    Args:
        frames: what the reader found.
        options: how to open.
        root: the data folder, which names are relative to.
        path: what was opened: the data folder, a file or a folder in it.
        format: name of the format.
        shrink_by: what is left of the downscale asked for, where the reader chose smaller images.
        mask_keeps: masks are nonzero where a pixel counts (else where it is to be ignored).
        points: sparse points.
        box: (2, 3) scene bounds.
        background: as in `Capture`; default: alpha where any image has it, else photo.
        extras: further values of the file, kept for writing.
        cameras_only: there are no images; lenses state their size.
    """
    frames = (
        merge_duplicates(frames) if cameras_only else drop_missing(merge_duplicates(frames), options, path)
    )
    if len(frames) == 1:
        warn(f"There is only one view: enough to look at, too little to train on. Where: {path}.")
    poses = np.stack([check_pose(frame.pose, frame.where) for frame in frames])
    headers = _stated_headers(frames) if cameras_only else _read_headers(frames)
    lenses, sizes = _fit_lenses(frames, headers, shrink_by or options.downscale)
    channels = 4 if any(header.has_alpha for header in headers) else 3
    names = tuple(frame.name for frame in frames)
    near, far = _depth_bounds(frames, path)
    return Capture(
        name=root.resolve().name,
        cameras=_cameras(poses, lenses, sizes),
        images=(AbsentImages if cameras_only else ImageStore)(
            [frame.image for frame in frames], sizes, channels=channels, resize_rule=options.resize_rule
        ),
        image_names=names,
        splits=choose_splits(
            options.split_rule, SplitViews(names, poses[:, :, 3], _given_splits(frames)), options.holdout
        ),
        near=near,
        far=far,
        per_view=_numbers(frames),
        masks=_masks(frames, sizes, mask_keeps),
        points=points,
        box=box,
        background=background or ("alpha" if channels == 4 else "photo"),
        format=format,
        path=path,
        options=options_to_json(options),
        extras=dict(extras or {}),
    )


def options_to_json(options: ReadOptions) -> dict[str, Any]:
    """Give the arguments of `open_capture` that make the same capture again."""
    return {
        "downscale": options.downscale,
        "holdout": options.holdout,
        "split_rule": options.split_rule,
        "resize_rule": options.resize_rule,
        "strict": options.strict,
        "angle_unit": options.angle_unit,
    }


def merge_duplicates(frames: Sequence[Frame]) -> list[Frame]:
    """Join frames of the same image: one view in all their splits; different poses are an InputError."""
    kept: dict[str, Frame] = {}
    repeated: list[str] = []
    for frame in frames:
        first = kept.get(frame.name)
        if first is None:
            kept[frame.name] = frame
            continue
        if not np.array_equal(np.asarray(first.pose), np.asarray(frame.pose)):
            raise InputError(
                f"The image {frame.name!r} is listed twice with different poses",
                where=f"{first.where} and {frame.where}",
                fix="Remove the wrong one",
            )
        if set(frame.splits) <= set(first.splits):
            repeated.append(frame.name)
        kept[frame.name] = replace(first, splits=tuple(dict.fromkeys(first.splits + frame.splits)))
    if repeated:
        warn(f"{len(repeated)} images are listed more than once and are used once: {_some(repeated)}.")
    leaked = [frame.name for frame in kept.values() if "train" in frame.splits and "test" in frame.splits]
    if leaked:
        warn(
            f"{len(leaked)} images are in the training and in the test split ({_some(leaked)}): "
            "scores on the test split will be too good."
        )
    return list(kept.values())


def drop_missing(frames: Sequence[Frame], options: ReadOptions, path: Path) -> list[Frame]:
    """Leave out frames whose image does not exist, with one warning for all; `strict` refuses them."""
    missing = [frame.name for frame in frames if not frame.image.is_file()]
    if not missing:
        if not frames:
            raise InputError("The capture lists no frames", where=path, fix="Export its cameras again")
        return list(frames)
    if len(missing) == len(frames):
        raise InputError(
            f"None of the {len(frames)} listed images exists, for example {missing[0]!r}",
            where=path,
            fix="Put the images where the file lists them, or correct the paths in it",
        )
    summary = f"{len(missing)} of {len(frames)} listed images do not exist: {_some(missing)}"
    if options.strict:
        raise InputError(
            summary, where=path, fix="Add the images, or skip these frames by leaving out --strict"
        )
    warn(f"{summary}. They are skipped, {len(frames) - len(missing)} remain. Where: {path}.")
    return [frame for frame in frames if frame.image.is_file()]


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")


def _read_headers(frames: Sequence[Frame]) -> list[ImageHeader]:
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(lambda frame: read_header(frame.image), frames))


def _stated_headers(frames: Sequence[Frame]) -> list[ImageHeader]:
    """Stand-ins for images that are not there, at the size that the lenses state."""
    return [ImageHeader(frame.lens.width or 0, frame.lens.height or 0, has_alpha=False) for frame in frames]


def _fit_lenses(
    frames: Sequence[Frame], headers: Sequence[ImageHeader], downscale: float
) -> tuple[list[Intrinsics], np.ndarray]:
    """Bring the stated intrinsics to the size at which the images are given; sizes are (n, 2)."""
    lenses, sizes, rescaled = [], [], {}
    for frame, header in zip(frames, headers, strict=True):
        lens = frame.lens.completed(header.width, header.height, frame.where)
        stated, actual = (lens.width, lens.height), (header.width, header.height)
        expected = frame.expected_ratio
        if expected is None or any(
            abs(have - said * expected) >= 1 for have, said in zip(actual, stated, strict=True)
        ):
            ratio = size_ratio(stated, actual, f"{frame.image}, {frame.where}")
            if ratio != 1 and expected is None:
                rescaled[stated, actual] = rescaled.get((stated, actual), 0) + 1
        width, height = (scaled_length(length, downscale) for length in actual)
        lenses.append(lens.resized(width, height))
        sizes.append((width, height))
    for (stated, actual), count in rescaled.items():
        warn(
            f"{count} images have {actual[0]}x{actual[1]} pixels, their cameras are stated for "
            f"{stated[0]}x{stated[1]}; the intrinsics are rescaled to the images."
        )
    return lenses, np.asarray(sizes, dtype=np.int64)


def scaled_length(length: int, factor: float) -> int:
    """Give the length in pixels after downscaling, rounded to nearest (halves up), at least 1."""
    return max(1, math.floor(length / factor + 0.5))


def _cameras(poses: np.ndarray, lenses: Sequence[Intrinsics], sizes: np.ndarray) -> Cameras:
    def column(values: list[Any]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64)

    return Cameras.create(
        torch.from_numpy(poses),
        column([lens.focal_x for lens in lenses]),
        column([lens.focal_y for lens in lenses]),
        column([lens.centre_x for lens in lenses]),
        column([lens.centre_y for lens in lenses]),
        width=torch.from_numpy(sizes[:, 0].copy()),
        height=torch.from_numpy(sizes[:, 1].copy()),
        lens=torch.tensor([int(lens.model) for lens in lenses]),
        distortion=column([list(lens.distortion) for lens in lenses]),
    )


def _given_splits(frames: Sequence[Frame]) -> dict[str, tuple[int, ...]]:
    """Collect the splits that frames name; empty where none does."""
    if not any(frame.splits for frame in frames):
        return {}
    names = dict.fromkeys([*SPLITS, *(split for frame in frames for split in frame.splits)])
    return {
        split: tuple(index for index, frame in enumerate(frames) if split in frame.splits) for split in names
    }


def _depth_bounds(frames: Sequence[Frame], path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Collect near and far; None where any view lacks them or they cannot be depths."""
    if any(frame.near is None or frame.far is None for frame in frames):
        return None, None
    near = np.array([frame.near for frame in frames], dtype=np.float64)
    far = np.array([frame.far for frame in frames], dtype=np.float64)
    usable = np.isfinite(near) & np.isfinite(far) & (near > 0) & (far > near)
    if not usable.all():
        first = frames[int(np.argmin(usable))]
        warn(
            f"The depth bounds of {int((~usable).sum())} views are not 0 < near < far (first: {first.near:g} "
            f"and {first.far:g} in {first.where}); the bounds of this capture are left out. Where: {path}."
        )
        return None, None
    return near, far


def _numbers(frames: Sequence[Frame]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for frame in frames for name in frame.numbers)
    return {
        name: np.array([frame.numbers.get(name, math.nan) for frame in frames], dtype=np.float64)
        for name in names
    }


def _masks(frames: Sequence[Frame], sizes: np.ndarray, keeps: bool) -> ImageStore | None:
    paths = [frame.mask for frame in frames]
    if not any(paths):
        return None
    missing = [path.name for path in paths if path is not None and not path.is_file()]
    if missing:
        warn(f"{len(missing)} masks do not exist and are left out: {_some(missing)}.")
    there = [path if path is not None and path.is_file() else None for path in paths]
    return ImageStore(there, sizes, channels=1, invert=keeps)
