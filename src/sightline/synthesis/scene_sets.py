"""Sets of textured scenes, rooms and table tops in turn: captures all around or forward-facing."""

import math
import zlib
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sightline.synthesis.camera_laws import facing_rig
from sightline.synthesis.checking import check_number, check_renderer
from sightline.synthesis.interiors import Room, TableTop
from sightline.synthesis.layouts import blender, llff
from sightline.synthesis.layouts.series import views
from sightline.synthesis.production import HERE, Content, Entry, Picture, Plan, Progress, produce
from sightline.synthesis.shooting import Renderer

GENERATOR_VERSION = 1
"""raised with every change that alters pictures, so that no folder mixes two generators"""
SceneLayout = Literal["blender", "llff"]
DEFAULT_SAMPLES = 48
DEFAULT_VIEWS = {"blender": (100, 25), "llff": (30, 0)}
"""layout → views to train on and to test on"""
DEFAULT_SIZE = {"blender": 400, "llff": 504}
_BOUNCES = 3
_LLFF_FOCAL = 0.5 / math.tan(math.radians(30))
_ASPECT = 3 / 4
_ROOM_SECTOR = (math.radians(-20), math.radians(110))


def make_scenes(
    out: Path | str,
    *,
    layout: SceneLayout = "blender",
    scenes: int = 1,
    views: int | None = None,
    test_views: int | None = None,
    size: int | None = None,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    renderer: Renderer = "mitsuba",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make captures of rooms and table tops; interrupted work goes on.

    Args:
        out: the folder: of the one capture, or of a folder for each (`room-0000`, `table-0001` …).
        layout: `blender` goes around the scene, with alpha; `llff` stands before it.
        scenes: how many; every second one is a table top.
        views, test_views: pictures of each; `llff` has no test views, its reader holds some out.
        size: width in pixels; `llff` pictures are 3/4 as high, those of `blender` as high as wide.
        samples: samples per pixel.
        seed: another seed, other scenes.
        renderer: `mitsuba` or `blender`.
        workers: processes; one per available core where not given, 0 for this process.
        progress: called with the number of finished views and of all views.

    Returns:
        The folder.

    Raises:
        InputError: a number is out of range, or the folder holds something else.
        RunError: a file cannot be written, or the renderer fails.
    """
    counts = DEFAULT_VIEWS[layout]
    count = counts[0] if views is None else views
    tests = counts[1] if test_views is None else test_views
    width = DEFAULT_SIZE[layout] if size is None else size
    check_number("--scenes", scenes, 1, 1_000_000)
    check_number("--views", count, 2 if layout == "llff" else 1, 100_000)
    check_number("--test-views", tests, 0, 100_000 if layout == "blender" else 0)
    check_number("--size", width, 8, 8192)
    check_number("--samples", samples, 1, 1 << 16)
    check_number("--seed", seed, 0, 1 << 62)
    check_renderer(renderer)
    names = [f"{'table' if index % 2 else 'room'}-{index:04d}" for index in range(scenes)]
    make = partial(_around, (count, tests)) if layout == "blender" else partial(_facing, count)
    entries = [
        Entry(
            HERE if scenes == 1 else name,
            _recipe(layout, index, seed),
            count + tests,
            partial(make, name, _recipe(layout, index, seed), width, samples),
        )
        for index, name in enumerate(names)
    ]
    settings = {
        "generator": GENERATOR_VERSION,
        "kind": "scenes",
        "layout": layout,
        "scenes": scenes,
        "views": count,
        "test_views": tests,
        "size": width,
        "samples": samples,
        "seed": seed,
        "renderer": renderer,
    }
    pixels = width * (width if layout == "blender" else round(width * _ASPECT))
    plan = Plan(entries, "rgba" if layout == "blender" else "white-rgb", pixels)
    return produce(
        Path(out),
        plan,
        settings,
        samples=samples,
        bounces=_BOUNCES,
        renderer=renderer,
        workers=workers,
        progress=progress,
    )


def _recipe(layout: SceneLayout, index: int, seed: int) -> Room | TableTop:
    number = zlib.crc32(f"{seed}/{index}".encode())
    if layout == "blender":
        kind = TableTop if index % 2 else Room
        return kind(seed=number, diagonal=blender.DIAGONAL)
    return TableTop(seed=number, wall=True) if index % 2 else Room(seed=number, closed=True)


def _around(counts: tuple[int, int], name: str, recipe: Room | TableTop, width: int, samples: int) -> Content:
    around = isinstance(recipe, TableTop)
    poses = {
        split: blender.hemisphere(
            count,
            turn=1.3 * index,
            sector=None if around else _ROOM_SECTOR,
            highest=math.radians(80 if around else 60),
        )
        for index, (split, count) in enumerate(zip(("train", "test"), counts, strict=True))
        if count
    }
    shots = views(name, np.concatenate(list(poses.values())), blender.FOCAL, (width, width), samples)
    files = [f"{split}/{index:03d}.png" for split, part in poses.items() for index in range(len(part))]
    pictures = tuple(Picture(file, view) for file, view in zip(files, shots, strict=True))
    return Content(pictures, blender.transforms_files(poses))


def _facing(count: int, name: str, recipe: Room | TableTop, width: int, samples: int) -> Content:
    generator = np.random.default_rng([recipe.seed, zlib.crc32(b"rig")])
    if isinstance(recipe, Room):
        poses = facing_rig(generator, count, 3.6, np.array([0.0, -0.4, 0.95]), elevation=math.radians(9))
    else:
        poses = facing_rig(generator, count, 1.55, np.array([0.0, -0.1, 0.1]), elevation=math.radians(27))
    shots = views(name, poses, _LLFF_FOCAL, (width, round(width * _ASPECT)), samples)
    pictures = tuple(Picture(f"images/{index:03d}.png", view) for index, view in enumerate(shots))
    return Content(pictures, {"poses_bounds.npy": llff.poses_bounds(recipe.build(), shots)})
