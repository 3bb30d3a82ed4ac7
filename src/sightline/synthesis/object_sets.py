"""Sets of objects, procedural ones or mesh files, in the layouts of the published sets."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sightline.foundation.errors import InputError
from sightline.synthesis.checking import check_number, check_renderer
from sightline.synthesis.layouts import blender, enr, multi_object, nmr, srn
from sightline.synthesis.layouts.series import SPLITS, Item, Series
from sightline.synthesis.mesh_files import MeshFile, find_meshes
from sightline.synthesis.object_recipes import MeshObject, ObjectPair, ProceduralObject
from sightline.synthesis.objects.catalogue import CATEGORIES
from sightline.synthesis.production import Plan, Progress, produce
from sightline.synthesis.shooting import Renderer

GENERATOR_VERSION = 1
"""raised with every change that alters objects or pictures, so that no folder mixes two generators"""
ObjectLayout = Literal[
    "enr-rotation", "enr-translation", "enr-rototranslation", "srn", "nmr", "multi-object", "blender"
]
LAYOUTS: dict[str, Callable[[Series], Plan]] = {
    "enr-rotation": partial(enr.plan, turning=True, shifting=False),
    "enr-translation": partial(enr.plan, turning=False, shifting=True),
    "enr-rototranslation": partial(enr.plan, turning=True, shifting=True),
    "srn": srn.plan,
    "nmr": nmr.plan,
    "multi-object": multi_object.plan,
    "blender": blender.plan,
}
DEFAULT_SAMPLES = 16
DEFAULT_OBJECTS = 100
_CHAIRS = ("chairs",)
_DEFAULT_CATEGORIES = {"nmr": tuple(CATEGORIES), "blender": tuple(CATEGORIES)}
_DEFAULT_VIEWS = {"nmr": nmr.VIEWS, "multi-object": 20, "blender": 100}
_DEFAULT_TEST_VIEWS = {"srn": srn.TEST_VIEWS, "blender": 25}
_DEFAULT_SIZE = {"srn": 128, "multi-object": 128, "blender": 400}
_VIEWS, _SIZE = 50, 64
_MESH_SHARES = {"val": 0.1, "test": 0.2}


def make_objects(
    out: Path | str,
    *,
    layout: ObjectLayout = "enr-rotation",
    objects: int | None = None,
    val_objects: int | None = None,
    test_objects: int | None = None,
    categories: Sequence[str] = (),
    views: int | None = None,
    test_views: int | None = None,
    size: int | None = None,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    meshes: Path | str | None = None,
    up: Literal["y", "z"] = "y",
    skip_broken: bool = False,
    renderer: Renderer = "mitsuba",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a set of objects; each appears in the folder when it is whole, and interrupted work goes on.

    Args:
        out: the folder.
        layout: what is written, and from where objects are seen.
        objects: how many to train on; of meshes, 7 of 10 where not given.
        val_objects, test_objects: how many to validate and test on; a tenth and a fifth of `objects` where
            not given (rounded up), none in the layout `blender`.
        categories: of procedural objects, in turn; those of the layout where not given.
        views: pictures of an object to train on.
        test_views: pictures of each other object (in the layout `blender` of each object, to test on).
        size: width and height in pixels.
        samples: samples per pixel.
        seed: another seed, other objects; of meshes, another order.
        meshes: folder of mesh files instead of procedural objects.
        up: the axis that points up in mesh files.
        skip_broken: leave out broken mesh files, with a warning.
        renderer: `mitsuba` or `blender`.
        workers: processes; one per available core where not given, 0 for this process.
        progress: called with the number of finished views and of all views.

    Returns:
        The folder.

    Raises:
        InputError: something is out of range, a mesh is broken, or the folder holds something else.
        RunError: a file cannot be written, or the renderer fails.
    """
    if layout not in LAYOUTS:
        raise InputError(f"There is no layout {layout!r}", fix=f"Choose one of: {', '.join(LAYOUTS)}")
    count = _DEFAULT_VIEWS.get(layout, _VIEWS) if views is None else views
    series = Series(
        splits={},
        views=count,
        test_views=_DEFAULT_TEST_VIEWS.get(layout, count) if test_views is None else test_views,
        size=_DEFAULT_SIZE.get(layout, _SIZE) if size is None else size,
        samples=samples,
        seed=seed,
    )
    _check(series)
    check_renderer(renderer)
    wanted = {"train": objects, "val": val_objects, "test": test_objects}
    for split, number in wanted.items():
        name = "--objects" if split == "train" else f"--{split}-objects"
        check_number(name, 1 if number is None else number, 1 if split == "train" else 0, 1_000_000)
    if layout == "blender":
        wanted |= {split: number or 0 for split, number in wanted.items() if split != "train"}
    diagonal = blender.DIAGONAL if layout == "blender" else 1.0
    if meshes is None:
        splits, source = _procedural(layout, wanted, categories, seed, diagonal)
    else:
        if categories:
            raise InputError("--categories chooses procedural objects", fix="Leave it away with --meshes")
        splits, source = _from_meshes(layout, wanted, Path(meshes), up, seed, diagonal)
    settings = {
        "generator": GENERATOR_VERSION,
        "kind": "objects",
        "layout": layout,
        **source,
        "objects": {split: len(items) for split, items in splits.items()},
        "views": {"train": series.views, "test": series.test_views},
        "size": series.size,
        "samples": samples,
        "seed": seed,
        "renderer": renderer,
    }
    return produce(
        Path(out),
        LAYOUTS[layout](replace(series, splits=splits)),
        settings,
        samples=samples,
        renderer=renderer,
        workers=workers,
        skip_broken=skip_broken,
        progress=progress,
    )


def _check(series: Series) -> None:
    check_number("--views", series.views, 1, 99_999)
    check_number("--test-views", series.test_views, 1, 99_999)
    check_number("--size", series.size, 8, 8192)
    check_number("--samples", series.samples, 1, 1 << 16)
    check_number("--seed", series.seed, 0, 1 << 62)


def _counts(wanted: dict[str, int | None], default: int) -> dict[str, int]:
    train = default if wanted["train"] is None else wanted["train"]
    found = {"train": train}
    for split, share in _MESH_SHARES.items():
        number = wanted[split]
        found[split] = math.ceil(share * train) if number is None else number
    return found


def _procedural(
    layout: str, wanted: dict[str, int | None], categories: Sequence[str], seed: int, diagonal: float
) -> tuple[dict[str, list[Item]], dict[str, object]]:
    names = tuple(categories) or _DEFAULT_CATEGORIES.get(layout, _CHAIRS)
    unknown = [name for name in names if name not in CATEGORIES]
    if unknown:
        raise InputError(f"There is no category {unknown[0]!r}", fix=f"Choose from: {', '.join(CATEGORIES)}")

    def item(split: str, index: int) -> Item:
        category = CATEGORIES[names[index % len(names)]]
        number = index // len(names)

        def single(stream: str, kind: str) -> ProceduralObject:
            return ProceduralObject(category=kind, stream=stream, index=number, seed=seed, diagonal=diagonal)

        recipe: ProceduralObject | ObjectPair = single(split, category.name)
        if layout == "multi-object":
            other = names[(index + number) % len(names)]
            recipe = ObjectPair(
                first=recipe, second=single(f"{split} second", other), seed=_number(seed, split, index)
            )
        id = f"{category.single}-{split}-{number:05d}"
        return Item(id, category.name, category.synset, category.label, recipe)

    counts = _counts(wanted, DEFAULT_OBJECTS)
    splits = {split: [item(split, index) for index in range(counts[split])] for split in SPLITS}
    return splits, {"categories": list(names)}


def _from_meshes(
    layout: str, wanted: dict[str, int | None], folder: Path, up: str, seed: int, diagonal: float
) -> tuple[dict[str, list[Item]], dict[str, object]]:
    found = find_meshes(folder)
    counts = _counts(wanted, 0) if wanted["train"] is not None else _shares(wanted, len(found))
    if sum(counts.values()) > len(found):
        listing = ", ".join(f"{number} to {split}" for split, number in counts.items())
        raise InputError(
            f"There are {len(found)} meshes, and {sum(counts.values())} are asked for ({listing})",
            where=folder,
            fix="Ask for fewer with --objects, --val-objects and --test-objects",
        )
    order = np.random.default_rng([seed, zlib.crc32(b"order of meshes")]).permutation(len(found))
    chosen = [found[index] for index in order]
    splits: dict[str, list[Item]] = {}
    for split in SPLITS:
        members, chosen = chosen[: counts[split]], chosen[counts[split] :]
        splits[split] = [
            _mesh_item(layout, member, members[index - 1], up, diagonal, _number(seed, split, index))
            for index, member in enumerate(members)
        ]
    ids = zlib.crc32("\n".join(mesh.id for mesh in found).encode())
    return splits, {"meshes": {"folder": folder.name, "files": len(found), "ids": ids, "up": up}}


def _shares(wanted: dict[str, int | None], count: int) -> dict[str, int]:
    """Share meshes out: those that nobody asked for by number go to training, but a tenth and a fifth."""
    found = {"train": count}
    for split, share in _MESH_SHARES.items():
        number = wanted[split]
        found[split] = (max(1, round(share * count)) if count >= 3 else 0) if number is None else number
        found["train"] -= found[split]
    return {**found, "train": max(1, found["train"])}


def _mesh_item(
    layout: str, mesh: MeshFile, neighbour: MeshFile, up: str, diagonal: float, number: int
) -> Item:
    known = next((entry for entry in CATEGORIES.values() if entry.synset == mesh.category), None)
    recipe = MeshObject(path=str(mesh.path.absolute()), up=up, diagonal=diagonal)
    pair = None
    if layout == "multi-object":
        second = MeshObject(path=str(neighbour.path.absolute()), up=up)
        pair = ObjectPair(first=recipe, second=second, seed=number)
    name = mesh.category if known is None else known.name
    label = mesh.category if known is None else known.label
    return Item(mesh.id, name, mesh.category, label, pair or recipe)


def _number(seed: int, split: str, index: int) -> int:
    return zlib.crc32(f"{seed}/{split}/{index}".encode())
