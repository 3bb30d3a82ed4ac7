"""Camera paths by their name on the command line."""

import re
from collections.abc import Callable
from pathlib import Path

import torch

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, published_paths, trajectories, transform_poses
from sightline.geometry.treatments import Treated, recentre_and_scale, spherify
from sightline.workflows import pixelnerf_videos

PATHS = ("orbit", "spiral", "circle", "interpolate", pixelnerf_videos.PATH)
SPLITS = ("train", "val", "test")
USUAL_FRAMES = 120
_WITH_ELEVATION = ("orbit", pixelnerf_videos.PATH)
_PUBLISHED: dict[tuple[str, str], Callable[[Treated, int], torch.Tensor]] = {
    ("spiral", "nerf_pl"): lambda scene, frames: published_paths.nerf_pl_spiral(scene.c2w, frames),
    ("spiral", "flax_nerf"): lambda scene, frames: published_paths.flax_nerf_spiral(scene.c2w, frames),
    ("spiral", "bmild"): lambda scene, frames: published_paths.bmild_spiral(
        scene.c2w, scene.near, scene.far, frames
    ),
    ("spiral", "bmild-zflat"): lambda scene, frames: published_paths.bmild_spiral_zflat(
        scene.c2w, scene.near, scene.far, frames
    ),
    ("circle", "nerf_pl"): lambda scene, frames: published_paths.nerf_pl_circle(
        float(torch.minimum(scene.near, scene.far).min()), frames
    ),
    ("circle", "bmild"): lambda scene, frames: published_paths.bmild_spherify_circle(scene.c2w, frames),
}
"""(path, variant) → its poses, in the frame of the treated scene"""
_OF_BLENDER = ("circle", "blender")
_SPHERIFIED = ("circle", "bmild")
VARIANTS = {
    path: tuple(name for of, name in (*_PUBLISHED, _OF_BLENDER) if of == path)
    for path in ("spiral", "circle")
}
"""path → published systems whose path of that name is there too"""


def choose_cameras(
    capture: Capture,
    path: str,
    *,
    frames: int | None = None,
    size: str | None = None,
    elevation: float | None = None,
    variant: str | None = None,
) -> Cameras:
    """Make the cameras of a path around a capture.

    Args:
        path: one of `PATHS`, one of `SPLITS` (the capture's own cameras, with their lenses), or a JSON file.
        frames: number of cameras of a path that is made; 120, or as published for `pixelnerf`, where not
            given.
        size: WIDTHxHEIGHT, or N for the longer side; the capture's own where not given.
        elevation: degrees above the focus, for an orbit and for `pixelnerf`.
        variant: one of `VARIANTS[path]`: the path as that published system makes it.

    Raises:
        InputError: an unknown path, variant or size, a split without views, or data without what a variant
            needs.
    """
    if elevation is not None and path not in _WITH_ELEVATION:
        raise InputError("Only an orbit has an elevation", where="--elevation", fix="Use --path orbit")
    if variant is not None and variant not in VARIANTS.get(path, ()):
        known = "; ".join(f"--path {name}: {', '.join(names)}" for name, names in VARIANTS.items())
        raise InputError(
            f"The path {path!r} has no variant {variant!r}", where="--variant", fix=f"There are, with {known}"
        )
    if path in SPLITS:
        return resize_cameras(capture.split(path).cameras, size)
    reference = capture.cameras
    if capture.splits.get("train"):
        reference = reference[list(capture.splits["train"])]
    width, height = parse_size(size, reference) if size else (None, None)
    if path == pixelnerf_videos.PATH:
        poses = pixelnerf_videos.path_poses(capture, frames, elevation)
        return trajectories.path_cameras(reference, poses, width, height)
    frames = USUAL_FRAMES if frames is None else frames
    if variant is not None:
        poses = _published(capture, path, variant, frames)
        return trajectories.path_cameras(reference, poses, width, height)
    if path.lower().endswith(".json"):
        return trajectories.from_file(Path(path), cameras=reference, width=width, height=height)
    points = None
    if capture.points is not None and len(capture.points):
        points = torch.as_tensor(capture.points.positions)
    if path == "orbit":
        return trajectories.orbit(
            reference, frames, elevation=elevation, width=width, height=height, points=points
        )
    if path == "spiral":
        return trajectories.spiral(reference, frames, width=width, height=height, points=points)
    if path == "circle":
        return trajectories.circle(reference, frames, width=width, height=height, points=points)
    if path == "interpolate":
        return trajectories.interpolate(reference, frames, width=width, height=height)
    known = ", ".join((*PATHS, *SPLITS))
    raise InputError(f"There is no path {path!r}", where="--path", fix=f"Choose {known}, or a FILE.json")


def _published(capture: Capture, path: str, variant: str, frames: int) -> torch.Tensor:
    """Make a published path from all the capture's poses, and take it to the frame of the data."""
    if (path, variant) == _OF_BLENDER:
        return published_paths.blender_circle(frames)
    if capture.near is None or capture.far is None:
        raise InputError(
            f"The {path} of {variant} follows from depth bounds, and this data states none",
            where=capture.path,
            fix="Leave out --variant, or use data with bounds (LLFF, or COLMAP with its points)",
        )
    treat = spherify if (path, variant) == _SPHERIFIED else recentre_and_scale
    scene = treat(capture.cameras.c2w, torch.as_tensor(capture.near), torch.as_tensor(capture.far))
    return transform_poses(_PUBLISHED[path, variant](scene, frames), scene.similarity.inverse())


def parse_size(text: str, cameras: Cameras) -> tuple[int | None, int | None]:
    """Read WIDTHxHEIGHT, or N: the longer side of the first camera's pictures, the other in its aspect."""
    match = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    if match is None or int(match[1]) == 0 or match[2] == "0":
        raise InputError(
            f"{text!r} is not a size", where="--size", fix="Give 800x600, or 800 for the longer side"
        )
    first = int(match[1])
    if match[2] is not None:
        return first, int(match[2])
    wide = int(cameras.width[0]) >= int(cameras.height[0])
    return (first, None) if wide else (None, first)


def resize_cameras(cameras: Cameras, size: str | None) -> Cameras:
    """Give the same cameras at another size (see `parse_size`); with N each keeps its aspect."""
    if size is None:
        return cameras
    parts = []
    for index in range(len(cameras)):
        camera = cameras[index]
        width, height = parse_size(size, camera)
        ratio = int(camera.width[0]) / int(camera.height[0])
        if width is None:
            width = max(1, round((height or 1) * ratio))
        if height is None:
            height = max(1, round(width / ratio))
        parts.append(camera.resized(width, height))
    return Cameras.concatenate(parts)
