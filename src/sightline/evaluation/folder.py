"""Scoring a folder of pictures, made by anything, against the held-out views of a capture."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from PIL import Image
from torch import Tensor

from sightline.captures import Capture
from sightline.evaluation.evaluate import evaluate_subjects
from sightline.evaluation.protocols import DEFAULT_PROTOCOL
from sightline.evaluation.results import Evaluation
from sightline.evaluation.views import Background, Subject, background_for, file_stems, select_views
from sightline.foundation.errors import InputError, inform, warn
from sightline.media.images import composite_over, read_image, to_float

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Matching:
    """Which picture is the prediction of which view."""

    paths: dict[int, Path]
    """view index → picture"""
    rule: str
    """"name" or "order\""""
    missing: tuple[int, ...]
    """views without a picture"""
    unused: tuple[Path, ...]
    """pictures without a view"""


def evaluate_folder(
    folder: Path,
    capture: Capture,
    out: Path | None,
    *,
    split: str = "test",
    every: int = 1,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    method: str = "pictures",
    on_view: Callable[[int], None] | None = None,
) -> Evaluation:
    """Compare the pictures of a folder with the photos of a split.

    Pictures belong to views as `match_pictures` says. Views without a picture are left out of the means and
    listed in the result. Transparent pictures are put before the background, as the truth is.

    Raises:
        InputError: no picture matches, two pictures claim the same view, a picture cannot be read or
            has another size than the photo.
    """
    indices = select_views(capture, split, every)
    matching = match_pictures(folder, capture, indices)
    _report(matching, capture, folder)
    _check_sizes(matching, capture)
    behind = background_for(capture, background)
    subject = Subject(
        capture=capture,
        indices=tuple(index for index in indices if index in matching.paths),
        predict=lambda index: _load(matching.paths[index], behind),
    )
    return evaluate_subjects(
        [subject],
        out,
        method=method,
        data=str(capture.path),
        split=split,
        protocol=protocol,
        background=background,
        facts={
            "images": str(folder),
            "matched_by": matching.rule,
            "missing": [capture.image_names[index] for index in matching.missing],
            "unused": [path.name for path in matching.unused],
        },
        on_view=on_view,
    )


def match_pictures(folder: Path, capture: Capture, indices: Sequence[int]) -> Matching:
    """Find each view's picture among those directly in a folder.

    By name: `a/b.jpg` is predicted by `b.png`, or by `a_b.png` where stems repeat. Where names fit only some
    views or none, but there are as many pictures as views, by order: sorted names, numbers by value. Else by
    name for the views that have one.

    Raises:
        InputError: there is no folder, no picture in it, or nothing fits.
    """
    pictures = _list_pictures(folder)
    by_stem = _by_stem(pictures, folder)
    names = [capture.image_names[index] for index in indices]
    candidates = zip(indices, file_stems(names), [PurePosixPath(name).stem for name in names], strict=True)
    unique = len({PurePosixPath(name).stem for name in names}) == len(names)
    found: dict[int, Path] = {}
    for index, own_stem, stem in candidates:
        path = by_stem.get(own_stem) or (by_stem.get(stem) if unique else None)
        if path is not None:
            found[index] = path
    if len(found) < len(indices) and len(pictures) == len(indices):
        return Matching(dict(zip(indices, pictures, strict=True)), "order", (), ())
    if not found:
        raise InputError(
            f"None of the {len(pictures)} pictures has the name of one of the {len(indices)} views, and the "
            "numbers differ, so that order does not tell either",
            where=folder,
            fix=f"Name the pictures like the views: {', '.join(file_stems(names)[:3])} …",
        )
    missing = tuple(index for index in indices if index not in found)
    used = set(found.values())
    return Matching(found, "name", missing, tuple(path for path in pictures if path not in used))


def _list_pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError("There is no such folder of pictures", where=folder)
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not pictures:
        raise InputError(
            "No pictures are directly in the folder",
            where=folder,
            fix=f"Looked for {', '.join(sorted(SUFFIXES))}",
        )
    return sorted(pictures, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _by_stem(pictures: Sequence[Path], folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in pictures:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise InputError(
                f"Two pictures have the same name: {other.name} and {path.name}",
                where=folder,
                fix="Leave one of them there",
            )
    return found


def _report(matching: Matching, capture: Capture, folder: Path) -> None:
    if matching.rule == "order":
        first = next(iter(matching.paths))
        inform(
            f"The names in {folder} are not those of the views: matched by order, from "
            f"{matching.paths[first].name} for {capture.image_names[first]}."
        )
    if matching.missing:
        names = [capture.image_names[index] for index in matching.missing]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        warn(f"{len(names)} views have no picture and are left out: {', '.join(names[:5])}{more}.")
    if matching.unused:
        inform(
            f"{len(matching.unused)} pictures in {folder} belong to no view of the split and are not used."
        )


def _check_sizes(matching: Matching, capture: Capture) -> None:
    for index, path in matching.paths.items():
        try:
            with Image.open(path) as picture:
                found = picture.size
        except (OSError, Image.DecompressionBombError) as error:
            raise InputError(f"Cannot read the picture ({error})", where=path) from error
        expected = tuple(int(value) for value in capture.images.sizes[index])
        if found != expected:
            raise InputError(
                f"The picture has {found[0]}x{found[1]} pixels and the photo {expected[0]}x{expected[1]}",
                where=f"{path}, view {capture.image_names[index]}",
                fix="Open the capture with the downscale factor of the pictures (--downscale)",
            )


def _load(path: Path, background: Background) -> Tensor:
    image = to_float(read_image(path))
    if image.ndim == 2:
        image = image[..., None].repeat(3, axis=-1)
    return torch.from_numpy(composite_over(image, background.colour))
