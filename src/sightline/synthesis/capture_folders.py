"""Writing a rendered scene as a capture folder, view by view, so that an interrupted one can go on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.geometry import Cameras
from sightline.media.images import write_png
from sightline.synthesis.description import SceneRecipe
from sightline.synthesis.farm import Batch, render_batches
from sightline.synthesis.mitsuba_renderer import View

RECIPE_FILE = "synthesis.json"
_BATCH = 4
"""views that a worker renders before it reports"""

Progress = Callable[[int, int], None]
"""called with the number of finished views and of all views"""


@dataclass(frozen=True)
class _Picture:
    path: Path
    view: View


def write_blender_capture(
    out: Path,
    recipe: SceneRecipe,
    splits: Mapping[str, Cameras],
    settings: Mapping[str, Any],
    *,
    samples: int,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Render a scene and write it in the layout of the NeRF-synthetic scenes.

    Pictures that are there already are kept. The transforms files come last: a folder without them is
    not finished.

    Args:
        out: the folder; it may hold an unfinished capture of the same settings.
        recipe: what to render.
        splits: split name → cameras: pinholes of one field of view, with the principal point in the middle.
        settings: everything that decides the pictures, as JSON; kept in `synthesis.json`.
        samples: samples per pixel.
        workers: see `render_batches`.
        progress: called when the work starts and after each view.

    Raises:
        InputError: the folder holds something else.
        RunError: a file cannot be written, or the renderer fails.
    """
    _claim(out, settings)
    pictures = _plan(out, splits, samples)
    missing = [picture for picture in pictures if not picture.path.is_file()]
    done = len(pictures) - len(missing)
    _report(progress, done, len(pictures))
    groups = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
    batches = [Batch(recipe, tuple(picture.view for picture in group)) for group in groups]
    for index, images in render_batches(batches, workers):
        for picture, image in zip(groups[index], images, strict=True):
            write_png(picture.path, image)
            done += 1
            _report(progress, done, len(pictures))
    for split, cameras in splits.items():
        write_json(out / f"transforms_{split}.json", _transforms(split, cameras))
    return out


def _claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into an empty folder, or check that they are those of the capture begun there."""
    file = out / RECIPE_FILE
    if file.is_file():
        if read_json(file) != settings:
            raise InputError(
                "The folder holds a synthetic capture made with other settings",
                where=file,
                fix="Choose another folder, or remove this one",
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "The folder is not empty and holds no synthetic capture", where=out, fix="Choose another folder"
        )
    else:
        write_json(file, settings)


def _plan(out: Path, splits: Mapping[str, Cameras], samples: int) -> list[_Picture]:
    pictures = []
    for split, cameras in splits.items():
        for index in range(len(cameras)):
            view = View(
                c2w=cameras.c2w[index].numpy(),
                angle_x=_angle_x(cameras, index),
                width=int(cameras.width[index]),
                height=int(cameras.height[index]),
                samples=samples,
                seed=len(pictures),  # a picture's noise is its own, however often the work is interrupted
            )
            pictures.append(_Picture(out / f"{_stem(split, index)}.png", view))
    return pictures


def _transforms(split: str, cameras: Cameras) -> dict[str, Any]:
    frames = [
        {
            "file_path": f"./{_stem(split, index)}",
            "transform_matrix": [*cameras.c2w[index].tolist(), [0.0, 0.0, 0.0, 1.0]],
        }
        for index in range(len(cameras))
    ]
    return {"camera_angle_x": _angle_x(cameras, 0), "frames": frames}


def _stem(split: str, index: int) -> str:
    return f"{split}/{index:03d}"


def _angle_x(cameras: Cameras, index: int) -> float:
    return 2 * math.atan(0.5 * float(cameras.width[index]) / float(cameras.fx[index]))


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
