"""Rendering into files, in worker processes: pictures of a batch, with their background and masks."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from sightline.foundation.errors import InputError, RunError
from sightline.synthesis.blender_renderer import render_views
from sightline.synthesis.description import SceneRecipe
from sightline.synthesis.farm import scene_renderer, stopping
from sightline.synthesis.mitsuba_renderer import View

Renderer = Literal["mitsuba", "blender"]
Finish = Literal["rgba", "white-rgba", "white-rgb"]
"""straight alpha; on white with an alpha of 255; on white without alpha"""


@dataclass(frozen=True)
class Shot:
    """A picture and the files it goes to."""

    view: View
    picture: Path
    mask: Path | None = None
    """8-bit, 255 where at least half of a pixel is covered"""


@dataclass(frozen=True)
class ShotBatch:
    """Shots of one scene."""

    recipe: SceneRecipe
    shots: tuple[Shot, ...]
    finish: Finish
    bounces: int = 2
    renderer: Renderer = "mitsuba"


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    done: int
    """pictures that were written; fewer than asked for where the work was to stop"""
    broken: InputError | None = None
    """what is wrong with the recipe's file, where that is why there are none"""


def shoot(batch: ShotBatch) -> Outcome:
    """Render a batch into its files; each appears when it is whole.

    Raises:
        RunError: a file cannot be written, or the renderer fails.
    """
    done = 0
    try:
        for shot, picture in zip(batch.shots, _pictures(batch), strict=False):
            if shot.mask is not None:
                write_bytes(shot.mask, encode_png(np.where(picture[..., 3] >= 128, 255, 0).astype(np.uint8)))
            write_bytes(shot.picture, encode_png(finished(picture, batch.finish)))
            done += 1
    except InputError as error:
        return Outcome(done, broken=error)
    return Outcome(done)


def _pictures(batch: ShotBatch) -> Iterator[np.ndarray]:
    views = [shot.view for shot in batch.shots]
    if batch.renderer == "blender":
        yield from render_views(batch.recipe.build(), views, stopping)
        return
    renderer = scene_renderer(batch.recipe, batch.bounces)
    for view in views:
        if stopping():
            return
        yield renderer.render(view)


def finished(picture: np.ndarray, finish: Finish) -> np.ndarray:
    """Put a picture (h, w, 4) of straight alpha on its background: uint8 (h, w, 3 or 4)."""
    if finish == "rgba":
        return picture
    alpha = picture[..., 3:].astype(np.uint16)
    white = ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if finish == "white-rgb":
        return white
    return np.concatenate([white, np.full_like(picture[..., 3:], 255)], axis=-1)


def encode_png(picture: np.ndarray) -> bytes:
    """Encode uint8 (h, w), (h, w, 3) or (h, w, 4)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under another name first; RunError where that fails."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(
            f"Cannot write the file ({error.strerror or error})",
            where=path,
            fix="Free some space; the same command goes on where it stopped",
        ) from error
