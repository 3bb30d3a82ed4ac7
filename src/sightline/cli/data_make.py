"""`sightline data make objects|scene`: synthetic data in the layouts of published sets."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sightline.cli.arguments import parse

USAGE = """usage: sightline data make objects --out DIR [--layout LAYOUT] [--objects N] [--views N] …
       sightline data make scene --out DIR [--layout blender|llff] [--scenes N] [--views N] …

  objects  many objects (chairs, tables, lamps …, or your own meshes) in the layouts enr-rotation,
           enr-translation, enr-rototranslation, srn, nmr, multi-object and blender
  scene    textured rooms and table tops in the layouts blender (all around) and llff (forward-facing)

`sightline data make objects --help` and `sightline data make scene --help` tell more."""


@dataclass(frozen=True)
class ObjectArguments:
    """Which objects, and how they are seen."""

    out: Path
    """folder of the set; one that was interrupted goes on with the same settings"""
    layout: Literal[
        "enr-rotation", "enr-translation", "enr-rototranslation", "srn", "nmr", "multi-object", "blender"
    ] = "enr-rotation"
    """files and cameras of the set"""
    objects: int | None = None
    """objects to train on: 100, or seven of ten meshes (multi-object: scenes)"""
    val_objects: int | None = None
    """objects to validate on: a tenth of --objects (blender: none)"""
    test_objects: int | None = None
    """objects to test on: a fifth of --objects (blender: none)"""
    categories: str = ""
    """of chairs, tables, lamps, shelves, vases, vehicles, aeroplanes, with commas; all of them for nmr and
    blender, chairs for the others"""
    views: int | None = None
    """pictures of each object to train on: 50 (nmr 24, multi-object 20, blender 100)"""
    test_views: int | None = None
    """pictures of each other object: as --views (srn 251; blender 25 of each object)"""
    size: int | None = None
    """width and height, pixels: 64 (srn and multi-object 128, blender 400)"""
    samples: int = 16
    """samples per pixel"""
    seed: int = 0
    """another seed, other objects"""
    meshes: Path | None = None
    """folder of mesh files (OBJ, PLY, GLB …; ShapeNet's layout too) instead of procedural objects"""
    up: Literal["y", "z"] = "y"
    """the axis that points up in mesh files"""
    skip_broken: bool = False
    """leave out broken mesh files, with a warning"""
    renderer: Literal["mitsuba", "blender"] = "mitsuba"
    """blender needs the program of that name"""
    workers: int | None = None
    """processes: one per core; 0 renders in this one"""


@dataclass(frozen=True)
class SceneArguments:
    """Which scenes, and how they are seen."""

    out: Path
    """folder of the capture, or of a folder for each of several; one that was interrupted goes on"""
    layout: Literal["blender", "llff"] = "blender"
    """blender: all around, with alpha; llff: forward-facing"""
    scenes: int = 1
    """how many; rooms and table tops in turn"""
    views: int | None = None
    """pictures of each: 100 to train on (llff: 30 in all)"""
    test_views: int | None = None
    """pictures of each to test on: 25 (llff: none, every 8th is held out by the reader)"""
    size: int | None = None
    """width in pixels: 400 (llff: 504, 3/4 as high)"""
    samples: int = 48
    """samples per pixel"""
    seed: int = 0
    """another seed, other scenes"""
    renderer: Literal["mitsuba", "blender"] = "mitsuba"
    """blender needs the program of that name"""
    workers: int | None = None
    """processes: one per core; 0 renders in this one"""


def main(arguments: list[str]) -> int:
    """Make a set; prints its folder."""
    what, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if what == "objects":
        return _objects(rest)
    if what == "scene":
        return _scene(rest)
    asked = what in ("", "-h", "--help")
    if not asked:
        print(f"error: There is nothing to make called {what!r}.\n", file=sys.stderr)
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def _objects(arguments: list[str]) -> int:
    parsed = parse(
        ObjectArguments,
        arguments,
        program="data make objects",
        description="Makes a set of objects, seen from many sides, for methods that learn a category.",
    )
    from sightline.workflows.making import make_object_set

    options = asdict(parsed)
    options["categories"] = [name.strip() for name in parsed.categories.split(",") if name.strip()]
    print(make_object_set(options.pop("out"), **options))
    return 0


def _scene(arguments: list[str]) -> int:
    parsed = parse(
        SceneArguments,
        arguments,
        program="data make scene",
        description="Makes textured scenes, each as a capture of its own.",
    )
    from sightline.workflows.making import make_scene_set

    options = asdict(parsed)
    print(make_scene_set(options.pop("out"), **options))
    return 0
