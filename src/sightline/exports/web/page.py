"""Writing the page: one HTML file of facts, voxels as text, a still picture and the scripts."""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightline import __version__
from sightline.exports.source import Source
from sightline.exports.web import marching, shading
from sightline.exports.web.packing import Packed, to_text
from sightline.exports.web.space import Space
from sightline.exports.web.tracing import STRIDE, March, show
from sightline.exports.web.voxels import Voxels
from sightline.geometry import Cameras
from sightline.geometry.poses import up_direction

_SCRIPTS = ("decode.js", "camera.js", "renderer.js", "viewer.js", "hands.js")
_MOST_CAMERAS = 300
_STILL_SIDE = 800


@dataclass(frozen=True)
class Views:
    """Cameras that the page can fly to."""

    cameras: Cameras
    names: tuple[str, ...]
    splits: tuple[str, ...]
    """of each camera; empty for those of none"""
    distances: tuple[float, ...]
    """model units to what lies in the middle of each picture"""
    opening: int

    def to_json(self) -> list[dict[str, Any]]:
        """What the page knows of each."""
        found = []
        for k in range(len(self.cameras)):
            intrinsics = {name: float(getattr(self.cameras, name)[k]) for name in ("fx", "fy", "cx", "cy")}
            found.append(
                {
                    "name": self.names[k],
                    "split": self.splits[k],
                    "c2w": [[round(v, 7) for v in row] for row in self.cameras.c2w[k].tolist()],
                    **{name: round(value, 4) for name, value in intrinsics.items()},
                    "width": int(self.cameras.width[k]),
                    "height": int(self.cameras.height[k]),
                    "distance": round(self.distances[k], 5),
                }
            )
        return found


def choose_views(source: Source, voxels: Voxels, space: Space) -> Views:
    """Take the test and training cameras, and the one to begin with: usual in distance and height."""
    cameras, names, splits = source.cameras, [str(k) for k in range(len(source.cameras))], [""]
    splits = splits * len(cameras)
    if source.capture is not None:
        cameras, names = source.capture.cameras, list(source.capture.image_names)
        splits = _splits_of(source.capture.splits, len(cameras))
    order = sorted(range(len(cameras)), key=lambda k: (splits[k] != "test", k))
    if len(order) > _MOST_CAMERAS:
        order = [order[k] for k in np.linspace(0, len(order) - 1, _MOST_CAMERAS).round().astype(int)]
    chosen = cameras[order].to("cpu")
    distances = _distances_to_content(chosen, voxels, space)
    return Views(
        cameras=chosen,
        names=tuple(names[k] for k in order),
        splits=tuple(splits[k] for k in order),
        distances=distances,
        opening=_usual_view(chosen, space, [splits[k] for k in order]),
    )


def _splits_of(splits: Any, count: int) -> list[str]:
    found = [""] * count
    for name, members in splits.items():
        for k in members:
            found[k] = found[k] or name
    return found


def _distances_to_content(cameras: Cameras, voxels: Voxels, space: Space) -> tuple[float, ...]:
    """Mean distance along the ray in the middle of each picture; to the middle of the scene where none is."""
    posed = cameras.transformed(space.to_model)
    middle = torch.stack([cameras.width, cameras.height], -1).double() / 2
    rays = posed.rays(torch.arange(len(cameras)), middle)
    origins, directions = (np.ascontiguousarray(a.numpy()) for a in (rays.origins, rays.directions))
    seen = show(voxels, March(space), origins, directions)
    opacity = 1 - seen[:, 3]
    instead = np.maximum(np.linalg.norm(origins, axis=-1), 0.1)
    found = np.where(opacity > 0.5, seen[:, 4] / np.maximum(opacity, 1e-6), instead)
    return tuple(float(value) for value in np.minimum(found, 4 * instead + 1))


def _usual_view(cameras: Cameras, space: Space, splits: Sequence[str]) -> int:
    """The camera nearest to the others' median distance and height above the scene's middle."""
    up = up_direction(cameras.c2w)
    centres = space.to_model.apply(cameras.centres.double())
    distance, height = centres.norm(dim=-1), centres @ space.to_model.apply_directions(up)
    off = (distance - distance.median()).abs() + (height - height.median()).abs()
    first = torch.tensor([0.0 if split == "test" else 0.05 for split in splits]).double()
    return int((off + first).argmin())


def still_picture(picture: np.ndarray) -> str:
    """A small JPEG of a picture (height, width, 3) in [0, 1], as base64."""
    image = Image.fromarray(np.rint(255 * picture).astype(np.uint8))
    image.thumbnail((_STILL_SIDE, _STILL_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def scene_facts(
    space: Space, voxels: Voxels, packed: Packed, views: Views, behind: tuple[float, float, float]
) -> dict[str, Any]:
    """What the page's scripts know of the scene."""
    up = space.to_model.apply_directions(up_direction(views.cameras.c2w))
    return {
        "cells": voxels.cells,
        "contracted": space.contracted,
        "near": space.near,
        "far": space.far,
        "frame": {
            "scale": space.to_model.scale,
            "rotation": space.to_model.rotation.tolist(),
            "translation": space.to_model.translation.tolist(),
        },
        "terms": len(packed.ranges),
        "ranges": [list(row) for row in packed.ranges],
        "streams": [len(stream) for stream in packed.streams],
        "points": len(voxels.keys),
        "stride": STRIDE,
        "thinnest": marching.THINNEST,
        "rise": marching.RISE,
        "leastLight": marching.LEAST_LIGHT,
        "leastSheen": shading.LEAST_SHEEN,
        "behind": list(behind),
        "up": up.tolist(),
        "opening": views.opening,
        "cameras": views.to_json(),
    }


def page_bytes(title: str, facts: dict[str, Any], packed: Packed, still: str) -> bytes:
    """The whole file."""
    folder = files("sightline.exports.web")

    def read(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8").strip()

    colour = "#" + "".join(f"{round(255 * value):02x}" for value in facts["behind"])
    values = {
        "version": __version__,
        "title": html.escape(title),
        "style": Template(read("style.css")).substitute(behind=colour),
        "still": still,
        "scene": json.dumps(facts, allow_nan=False, separators=(",", ":")).replace("</", "<\\/"),
        "marcher": read("marcher.glsl"),
        "voxels": to_text(b"".join(packed.streams)),
        "script": "\n".join(read(name) for name in _SCRIPTS),
    }
    return Template(read("page.html")).substitute(values).encode("utf-8")
