"""The object that many photos with known cameras show, cut out of all of them alike.

Where it is follows from the cameras: they look at it. In each photo GrabCut begins with the picture of a
sphere there; what most photos agree on is carved out of that sphere (a visual hull, Laurentini 1994, with
votes), and its silhouettes are what GrabCut begins with the next time: what one photo alone takes for the
object goes, and what one alone has lost comes back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.geometry.poses import focus_point
from sightline.photos.object_masks import cut_out_by_rembg, grab
from sightline.photos.opencv import opencv

Masker = Literal["grabcut", "rembg"]

_SIDE = 320
"""longer side of the photos that are looked at"""
_FILLED = 0.85
"""of the shorter side of photos that the sphere of the object takes"""
_CELLS = 72
"""of the hull, across the sphere"""
_ROUNDS = ((0.5, 0.12), (0.7, 0.06), (0.8, 0.04))
"""of looking again: part of the photos seeing a place that take it for the object, and how far beyond the
hull's silhouette the object may reach, in longer sides of a photo"""
_LEAST_CELLS = 20
_CERTAIN = 0.8
"""part of the photos in the end, that decides against single ones"""
LOOKS = 1 + len(_ROUNDS)
"""at each photo"""
_NO_OBJECT = "The photos do not agree on an object that stands before its surroundings"
_BETTER_PHOTOS = (
    "Photograph it from all around, in the middle of the pictures, before a background of another colour; or "
    "cut it out yourself, and give pictures with transparency"
)


@dataclass(frozen=True)
class ObjectViews:
    """What was cut out."""

    masks: tuple[Bool[np.ndarray, "height width"], ...]
    """of each view, at its own size"""
    box: Float[np.ndarray, "2 3"]
    """lowest and highest corner of the hull, with a margin; frame of the capture"""
    cameras: Cameras
    """of the views"""

    def holds(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
        """Say which points most photos that see them take for the object."""
        cameras = [self.cameras[index] for index in range(len(self.cameras))]
        return _carve(points, cameras, self.masks, _CERTAIN)


def cut_out_views(
    capture: Capture, masker: Masker = "grabcut", on_view: Callable[[int], None] = lambda done: None
) -> ObjectViews:
    """Find the object in all views of a capture.

    Args:
        masker: `grabcut`, or `rembg` where it is installed: it looks at each photo by itself, and what the
            photos agree on counts all the same.
        on_view: is called with the number of looks at photos that are done, `LOOKS` for each.

    Raises:
        InputError: the cameras do not look at one thing, the photos agree on nothing, or are transparent.
    """
    if capture.images.channels == 4:
        raise InputError(
            "The photos have no background: they are transparent already",
            where="--mask-background",
            fix="Leave it away",
        )
    centre, radius = find_subject(capture.cameras)
    small = [_shrunk(capture, index) for index in range(len(capture))]
    cameras = [
        capture.cameras[index].resized(picture.shape[1], picture.shape[0])
        for index, picture in enumerate(small)
    ]
    first = []
    for index, picture in enumerate(small):
        if masker == "rembg":
            first.append(cut_out_by_rembg(picture))
        else:
            first.append(grab(picture, _begin_in_sphere(cameras[index], picture.shape[:2], centre, radius)))
        on_view(index + 1)
    places, edge = _places(centre, radius)
    masks = first
    for number, (agreed, reach) in enumerate(_ROUNDS):
        hull = places[_carve(places, cameras, masks, agreed)]
        if len(hull) < _LEAST_CELLS:
            raise InputError(_NO_OBJECT, where=capture.path, fix=_BETTER_PHOTOS)
        masks = []
        for index, picture in enumerate(small):
            silhouette = _silhouette(hull, edge, cameras[index], picture.shape[:2])
            found = first[index] if masker == "rembg" else grab(picture, _begin_with(silhouette, reach))
            kept = found & _grown(silhouette, reach)
            # A photo in which nothing is told from its surroundings takes the word of the others.
            masks.append(kept if kept.sum() > 0.3 * silhouette.sum() else silhouette)
            on_view((number + 1) * len(small) + index + 1)
    hull = places[_carve(places, cameras, masks, _CERTAIN)]
    if len(hull) < _LEAST_CELLS:
        raise InputError(_NO_OBJECT, where=capture.path, fix=_BETTER_PHOTOS)
    # What nearly all photos agree on is the object in all of them, but for the silhouette's own coarseness.
    sure = [_silhouette(hull, edge, camera, mask.shape) for camera, mask in zip(cameras, masks, strict=True)]
    masks = [mask | ~_grown(~part, 0.01) for mask, part in zip(masks, sure, strict=True)]
    margin = 2 * edge
    box = np.stack([hull.min(0) - margin, hull.max(0) + margin])
    sizes = capture.images.sizes
    whole = tuple(_enlarged(mask, size) for mask, size in zip(masks, sizes, strict=True))
    return ObjectViews(whole, box, capture.cameras)


def find_subject(cameras: Cameras) -> tuple[Float[np.ndarray, "3"], float]:
    """Find the sphere that all cameras look at: its centre, and a radius that nearly fills the pictures.

    Raises:
        InputError: the cameras look away from each other's subject.
    """
    centre = focus_point(cameras.c2w)
    away = centre - cameras.centres
    distance = torch.linalg.vector_norm(away, dim=1)
    ahead = (away * cameras.forward).sum(1) / distance.clamp_min(1e-12)
    half = torch.minimum(cameras.width / cameras.fx, cameras.height / cameras.fy) / 2
    if float((ahead > 0.7).double().mean()) < 0.9:
        raise InputError(
            "The cameras do not look at one thing, so there is no object to cut out",
            fix="Leave --mask-background away, or take photos around an object",
        )
    radius = float((distance * torch.sin(torch.atan(half))).median()) * _FILLED
    return centre.numpy(), radius


def _shrunk(capture: Capture, index: int) -> np.ndarray:
    cv2 = opencv()
    picture = np.ascontiguousarray(capture.images[index][..., :3])
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _begin_in_sphere(
    camera: Cameras, shape: tuple[int, ...], centre: np.ndarray, radius: float
) -> np.ndarray:
    """What lies outside of the sphere is background; inside of its middle half, probably the object."""
    cv2 = opencv()
    pixels, depth = camera.project(torch.from_numpy(centre)[None], 0)
    begin = np.full(shape[:2], cv2.GC_BGD, np.uint8)
    if float(depth) <= 0:
        return begin
    seen = radius / max(float(depth), 1e-12) * float(camera.fx[0])
    middle = tuple(round(float(value)) for value in pixels[0])
    cv2.circle(begin, middle, round(seen), cv2.GC_PR_BGD, cv2.FILLED)
    cv2.circle(begin, middle, round(0.55 * seen), cv2.GC_PR_FGD, cv2.FILLED)
    return begin


def _places(centre: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """Middles of the cells of a cube around the sphere, as far as they lie in it, and a cell's edge."""
    edge = 2 * radius / _CELLS
    axis = (np.arange(_CELLS) + 0.5) * edge - radius
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return grid[np.linalg.norm(grid, axis=1) <= radius] + centre, edge


def _carve(
    places: np.ndarray, cameras: Sequence[Cameras], masks: Sequence[np.ndarray], agreed: float
) -> np.ndarray:
    """Say which places enough of the photos that see them take for the object."""
    points = torch.from_numpy(places)
    seen, inside = np.zeros(len(places)), np.zeros(len(places))
    for camera, mask in zip(cameras, masks, strict=True):
        if not mask.any():
            continue
        pixels, _ = camera.project(points, 0)
        visible = camera.sees(points, 0).numpy()
        column = pixels[:, 0].numpy().astype(int).clip(0, mask.shape[1] - 1)
        row = pixels[:, 1].numpy().astype(int).clip(0, mask.shape[0] - 1)
        seen += visible
        inside += visible & mask[row, column]
    return (seen >= max(2, 0.3 * len(cameras))) & (inside >= agreed * seen)


def _silhouette(hull: np.ndarray, edge: float, camera: Cameras, shape: tuple[int, ...]) -> np.ndarray:
    cv2 = opencv()
    points = torch.from_numpy(hull)
    pixels, depth = camera.project(points, 0)
    there = camera.sees(points, 0).numpy()
    mask = np.zeros(shape[:2], np.uint8)
    columns, rows = pixels[there].numpy().astype(int).T if there.any() else ([], [])
    mask[np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1)] = 1
    # A cell covers some pixels: gaps between neighbours are closed.
    size = float(camera.fx[0]) * edge / max(float(depth.median()), 1e-12)
    reach = 2 * int(np.ceil(size)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel).astype(bool)


def _begin_with(silhouette: np.ndarray, reach: float) -> np.ndarray:
    cv2 = opencv()
    begin = np.full(silhouette.shape, cv2.GC_BGD, np.uint8)
    begin[_grown(silhouette, reach)] = cv2.GC_PR_BGD
    begin[silhouette] = cv2.GC_PR_FGD
    return begin


def _grown(mask: np.ndarray, part: float) -> np.ndarray:
    """Grow a mask by a part of the picture's longer side."""
    cv2 = opencv()
    reach = 2 * max(1, round(part * max(mask.shape))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def _enlarged(mask: np.ndarray, size: np.ndarray) -> np.ndarray:
    cv2 = opencv()
    wide = cv2.resize(mask.astype(np.float32), tuple(size.tolist()), interpolation=cv2.INTER_LINEAR)
    return wide >= 0.5
