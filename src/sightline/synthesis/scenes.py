"""Synthetic scenes as captures: what is made, from where it is seen, and with how much care."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.synthesis.capture_folders import Progress, write_blender_capture
from sightline.synthesis.description import SceneDescription
from sightline.synthesis.still_life import StillLife
from sightline.synthesis.views import cameras_around, fitting_distance, hemisphere_directions

GENERATOR_VERSION = 1
"""raised with every change that alters pictures, so that no folder mixes two generators"""
FIELD_OF_VIEW = np.radians(40.0)
DEFAULT_SAMPLES = 36
"""samples per pixel: leaves noise at about 44 dB and takes under a second of one core for 200x200"""
_HEIGHTS = 17
_MOST_VIEWS, _MOST_PIXELS = 100_000, 8192


def make_still_life(
    out: Path | str,
    *,
    seed: int = 0,
    train_views: int = 60,
    test_views: int = 10,
    size: int = 200,
    samples: int = DEFAULT_SAMPLES,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a still life and its views as a Blender capture with alpha; an interrupted one goes on.

    Args:
        out: folder of the capture.
        seed: another seed, another still life.
        train_views, test_views: how many pictures; each set covers the upper hemisphere evenly.
        size: width and height in pixels.
        samples: samples per pixel.
        workers: processes; one per available core where not given, 0 for this process.
        progress: called with the number of finished views and of all views.

    Returns:
        The folder, which `open_capture` reads.

    Raises:
        InputError: a number is out of range, or the folder holds something else.
        RunError: a file cannot be written, or the renderer fails.
    """
    _check("views", min(train_views, test_views), 1, _MOST_VIEWS)
    _check("size", size, 8, _MOST_PIXELS)
    _check("samples", samples, 1, 1 << 16)
    _check("seed", seed, 0, 1 << 63)
    recipe = StillLife(seed=seed)
    splits = hemisphere_splits(recipe.build(), {"train": train_views, "test": test_views}, size)
    settings = {
        "generator": GENERATOR_VERSION,
        "scene": {"kind": "still life", **asdict(recipe)},
        "views": {"train": train_views, "test": test_views},
        "size": size,
        "samples": samples,
    }
    return write_blender_capture(
        Path(out), recipe, splits, settings, samples=samples, workers=workers, progress=progress
    )


def hemisphere_splits(scene: SceneDescription, views: dict[str, int], size: int) -> dict[str, Cameras]:
    """Make cameras on the upper hemisphere that look at the axis of a scene and see all of it.

    The height they look at is between the middle of the scene and the height from which it fills the pictures
    best: the first leaves much of them empty, the second pushes the scene to their edges.

    Args:
        scene: what to look at.
        views: split name → number of cameras; each split is spread evenly, turned against the others.
        size: width and height in pixels.

    Returns:
        Split name → cameras, all at one distance.
    """
    directions = {
        split: hemisphere_directions(count, turn=index * 1.3)
        for index, (split, count) in enumerate(views.items())
    }
    everywhere = np.concatenate(list(directions.values()))
    low, high = scene.bounds.astype(np.float64)
    middle = (low + high) / 2

    def distance_at(height: float) -> float:
        target = np.array([middle[0], middle[1], height])
        return fitting_distance(scene.vertices, target, everywhere, FIELD_OF_VIEW)

    fullest = min(np.linspace(low[2], high[2], _HEIGHTS), key=distance_at)
    target = np.array([middle[0], middle[1], (middle[2] + fullest) / 2])
    distance = distance_at(target[2])
    return {
        split: cameras_around(target, chosen, distance, angle=FIELD_OF_VIEW, size=size)
        for split, chosen in directions.items()
    }


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise InputError(f"{name} is {value}", fix=f"Choose a number between {lowest} and {highest}")
