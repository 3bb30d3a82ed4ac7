"""The layout of the Neural Mesh Renderer's sets, as Differentiable Volumetric Rendering packs them."""

import io
import json
import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from sightline.synthesis.camera_laws import nmr_ring
from sightline.synthesis.layouts.series import SPLITS, Item, Series
from sightline.synthesis.production import Content, Entry, Picture, Plan

FOCAL = 0.5 / math.tan(math.radians(15))
"""focal length in widths of the picture: a field of view of 30 degrees"""
VIEWS = 24
SEEN = ("02691156", "02958343", "03001627")
"""aeroplanes, cars and chairs: what the experiment with unseen categories trains on"""
_UNSEEN_STEP = 4


def plan(series: Series) -> Plan:
    """Plan a set: even steps around each object, cameras.npz, masks, and the lists of both experiments."""

    def content(split: str, item: Item) -> Content:
        poses = nmr_ring(series.count(split))
        shots = series.shots(item, poses, FOCAL)
        pictures = tuple(
            Picture(f"image/{index:04d}.png", view, f"mask/{index:04d}.png")
            for index, view in enumerate(shots)
        )
        return Content(pictures, {"cameras.npz": _cameras(poses)})

    entries = [
        Entry(f"{item.synset}/{item.id}", item.recipe, series.count(split), partial(content, split, item))
        for split, item in series.items()
    ]
    return Plan(entries, "white-rgb", series.size**2, partial(_closing, series))


def _closing(series: Series, made: frozenset[str]) -> Mapping[str, bytes]:
    files: dict[str, bytes] = {}
    labels: dict[str, dict[str, str]] = {}
    ids: dict[str, dict[str, list[str]]] = {}
    for split, item in series.items():
        if f"{item.synset}/{item.id}" not in made:
            continue
        labels[item.synset] = {"id": item.synset, "name": item.label}
        ids.setdefault(item.synset, {name: [] for name in SPLITS})[split].append(item.id)
    for synset, by_split in ids.items():
        lists = {f"softras_{split}": members for split, members in by_split.items()}
        lists |= unseen_lists(synset, by_split)
        files |= {f"{synset}/{name}.lst": _lines(members) for name, members in lists.items() if members}
    files["metadata.yaml"] = (json.dumps(labels, indent=1) + "\n").encode()  # JSON, whatever its name says
    return files


def unseen_lists(synset: str, by_split: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Give a category's lists for the experiment with unseen categories.

    The three seen ones have `gen_train` and `gen_val`; the others have `gen_test`, every fourth of all their
    objects in the order of their ids.
    """
    if synset in SEEN:
        return {f"gen_{split}": list(by_split.get(split, ())) for split in ("train", "val")}
    everything = sorted(id for members in by_split.values() for id in members)
    return {"gen_test": everything[::_UNSEEN_STEP]}


def _lines(ids: list[str]) -> bytes:
    return "".join(f"{id}\n" for id in ids).encode()


def _cameras(poses: np.ndarray) -> bytes:
    """Matrices of each view: world to camera with y up in the world and x right, y down, z forward."""
    # The world's (x, y, z) with z up is (x, z, -y) with y up.
    to_y_up = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    intrinsics = np.diag([2 * FOCAL, 2 * FOCAL, 1.0, 1.0])  # for pixel coordinates in [-1, 1]
    arrays: dict[str, np.ndarray] = {}
    for index, pose in enumerate(poses):
        matrix = np.eye(4)
        matrix[:3] = pose * [1, -1, -1, 1]
        c2w = to_y_up @ matrix
        arrays |= {
            f"world_mat_{index}": np.linalg.inv(c2w),
            f"world_mat_inv_{index}": c2w,
            f"camera_mat_{index}": intrinsics,
            f"camera_mat_inv_{index}": np.linalg.inv(intrinsics),
        }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
