"""What is judged: which views of a capture, against which truth, before which background."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.foundation.errors import InputError, warn
from sightline.media.images import composite_over, parse_colour, to_float

Predict = Callable[[int], Tensor]
"""view index → picture (height, width, 3) in [0, 1] on any device"""

Refit = Callable[[int, Tensor, Tensor | None], Tensor]
"""view index, truth, pixels that count → picture with what was fitted to this truth"""

_NOT_IN_FILE_NAMES = re.compile(r'[<>:"|?*/\\\x00-\x1f]')


@dataclass(frozen=True)
class Background:
    """What is behind the transparent parts of truth and prediction."""

    name: str
    colour: tuple[float, float, float]
    """sRGB in [0, 1]"""


@dataclass(frozen=True)
class Subject:
    """Views of one scene or object, and what predicts them."""

    capture: Capture
    indices: tuple[int, ...]
    predict: Predict
    name: str | None = None
    """id of the object; None for a single scene"""
    category: str | None = None
    baselines: Mapping[str, Predict] = field(default_factory=dict)
    """trivial predictors that are judged on the same views"""
    sources: tuple[int, ...] | None = None
    """views that the object is shown by; None where the scene itself was learnt"""
    place: str | None = None
    """folder for its pictures; made of the name where not given"""
    refit: Refit | None = None
    """predicts views once more with something fitted to the truth; judged beside the plain prediction"""

    @property
    def folder(self) -> str | None:
        """Folder below that of the pictures; None for a single scene."""
        return self.place or (None if self.name is None else safe_name(self.name))


def background_for(capture: Capture, wanted: str | None = None) -> Background:
    """Decide what truth and prediction are composited over; renderers of predictions must use the same
    colour.

    Args:
        wanted: a colour as `parse_colour` reads it; white where not given. A background that is painted into
            the photos cannot be changed: there it is that colour, with a warning if another was wanted.
    """
    painted = capture.background if capture.background in ("white", "black") else None
    if painted is not None and capture.images.channels != 4:
        if wanted is not None and parse_colour(wanted) != parse_colour(painted):
            warn(f"The pictures of {capture.name} have {painted} painted in as background, not {wanted}.")
        return Background(painted, parse_colour(painted))
    name = wanted or "white"
    return Background(name, parse_colour(name))


def select_views(capture: Capture, split: str = "test", every: int = 1) -> tuple[int, ...]:
    """Give each `every`-th view of a split, as indices into the capture.

    Raises:
        InputError: the capture has no views in that split, or `every` is not positive.
    """
    if every < 1:
        raise InputError(f"Each {every}-th view cannot be taken", where="--every", fix="Give 1 or more")
    indices = capture.splits.get(split, ())
    if not indices:
        there = ", ".join(f"{name} ({len(views)})" for name, views in capture.splits.items() if views)
        raise InputError(
            f"The capture has no views in the split {split!r}",
            where=capture.path,
            fix=f"Splits with views: {there or 'none'}",
        )
    return tuple(indices[::every])


def truth_picture(capture: Capture, index: int, background: Background) -> Tensor:
    """Load the truth of a view, over the background where it is transparent: float32 (height, width, 3)."""
    return torch.from_numpy(composite_over(to_float(capture.images[index]), background.colour))


def counted_pixels(capture: Capture, index: int) -> Tensor | None:
    """Load which pixels of a view count: bool (height, width), False under the ignore-mask; None for all."""
    if capture.masks is None:
        return None
    return torch.from_numpy(capture.masks[index] == 0)


def safe_name(text: str) -> str:
    """Make one file or folder name of a text that may be a path, legal on every system."""
    return _NOT_IN_FILE_NAMES.sub("_", text)


def file_stems(names: Sequence[str]) -> list[str]:
    """Make a file name (without suffix) for each view.

    It is the stem of its picture where those differ, else its whole path with underscores, else numbered.
    """
    paths = [PurePosixPath(name) for name in names]
    stems = [safe_name(path.stem) for path in paths]
    if len(set(map(str.casefold, stems))) < len(stems):
        stems = [safe_name(str(path.with_suffix(""))) for path in paths]
    counts = Counter(map(str.casefold, stems))
    return [f"{s}_{i}" if counts[s.casefold()] > 1 else s for i, s in enumerate(stems)]
