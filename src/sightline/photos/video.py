"""From a video to photos: sharp frames, as far from each other as the picture has moved.

Frames are looked at small and in grey first. Between neighbours the median motion of tracked corners is
measured; the way that the picture has gone is cut into equal parts, and of each the sharpest frame is taken.
Where the camera stands still no frame is taken twice, and where it is fast more are.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.photos.opencv import opencv
from sightline.photos.photo_files import sharpness

_SIDE = 320
"""longer side at which motion is measured"""
_STILL = 0.002
"""motion below this part of the longer side is noise"""
_LARGEST_STEP = 0.05
"""of the longer side: motion between frames that are taken, where the video is long enough"""
_CORNERS = 200
_QUALITY = 95


@dataclass(frozen=True)
class FrameFacts:
    """What a first look at the frames of a video found."""

    sharpness: np.ndarray
    """float (n,)"""
    motion: np.ndarray
    """float (n,): since the frame before, parts of the longer side; 0 for the first"""


def choose_frames(facts: FrameFacts, most: int) -> list[int]:
    """Choose frames: at most `most`, evenly along the way that the picture went, the sharpest of each part.

    Neighbours are apart by a twentieth of the longer side at most, unless that would be more than `most`.
    """
    moved = np.where(facts.motion < _STILL, 0.0, facts.motion)
    way = np.cumsum(moved)
    if len(way) == 0:
        return []
    count = max(3, min(most, len(way), int(np.ceil(way[-1] / _LARGEST_STEP)) + 1))
    if way[-1] == 0:
        count = 1
    part = np.minimum((way / max(way[-1], 1e-12) * count).astype(int), count - 1)
    chosen = []
    for number in range(count):
        members = np.flatnonzero(part == number)
        if len(members):
            chosen.append(int(members[np.argmax(facts.sharpness[members])]))
    return chosen


def look_at(path: Path, on_frame: Callable[[int], None] = lambda done: None) -> FrameFacts:
    """Decode a video once, small, and measure sharpness and motion.

    Raises:
        InputError: it cannot be decoded, or holds no frames.
    """
    sharp, motion = [], []
    before = None
    for number, frame in enumerate(read_frames(path, _SIDE * 2)):
        cv2 = opencv()
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        sharp.append(sharpness(grey))
        small = cv2.resize(grey, (max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2)))
        motion.append(0.0 if before is None else _motion(before, small))
        before = small
        on_frame(number + 1)
    if not sharp:
        raise InputError("The video holds no frames", where=path)
    return FrameFacts(np.array(sharp), np.array(motion))


def _motion(before: np.ndarray, after: np.ndarray) -> float:
    """Median motion of corners, in parts of the longer side; half a picture where none is found again."""
    cv2 = opencv()
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, 0.01, 5)
    if corners is None:
        return 0.0
    found, good, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    kept = good.reshape(-1).astype(bool)
    if kept.sum() < 8:
        return 0.5
    away = np.linalg.norm((found - corners).reshape(-1, 2)[kept], axis=1)
    return float(min(np.median(away) / max(before.shape), 0.5))


def write_frames(path: Path, chosen: list[int], folder: Path, on_frame: Callable[[int], None]) -> list[str]:
    """Write frames of a video as JPEG files at full size; gives their names, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted, names = set(chosen), []
    for number, frame in enumerate(read_frames(path, None)):
        if number in wanted:
            name = f"frame_{number + 1:06d}.jpg"
            partial = folder / f".{name}.tmp"
            Image.fromarray(frame).save(partial, format="JPEG", quality=_QUALITY, subsampling=0)
            partial.replace(folder / name)
            names.append(name)
            on_frame(len(names))
        if len(names) == len(chosen):
            break
    return names


def read_frames(path: Path, side: int | None) -> Iterator[np.ndarray]:
    """Decode the frames of a video upright: uint8 (height, width, 3), at most `side` pixels long."""
    import imageio_ffmpeg

    # It tells every change of size.
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)
    limits = f"'min({side},iw)':'min({side},ih)'"
    shrink = [] if side is None else ["-vf", f"scale={limits}:force_original_aspect_ratio=decrease"]
    try:
        reader: Any = imageio_ffmpeg.read_frames(str(path), output_params=shrink)
        facts = next(reader)
    except (OSError, RuntimeError, StopIteration, KeyError, IndexError) as error:
        raise _not_decoded(path, error) from error
    width, height = facts["size"]
    try:
        for data in reader:
            if len(data) != width * height * 3:
                raise _not_decoded(path, "a frame has another size than the video says")
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    except (OSError, RuntimeError) as error:
        raise _not_decoded(path, error) from error
    finally:
        reader.close()


def _not_decoded(path: Path, error: object) -> InputError:
    lines = str(error).strip().splitlines()
    return InputError(
        f"The video cannot be decoded ({lines[-1] if lines else 'nothing is in it'})",
        where=path,
        fix="Give a video that ffmpeg reads (MP4, MOV, MKV, WebM), or a folder of photos",
    )
