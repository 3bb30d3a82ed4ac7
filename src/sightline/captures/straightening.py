"""Captures whose lenses bend light, as pinhole cameras would have taken them.

A straight picture has the size and the principal point of its photo; its focal length is the photo's, or as
much longer as it takes for every pixel to lie within the photo. Methods that describe lines of pixels by
lines in space need that; those that send a ray through each pixel do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures.capture import Capture
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel

_BORDER = 65
"""points on each side of a picture that are to lie within the photo"""
_LONGEST = 64.0
_HALVINGS = 40
_KEPT_MAPS = 4


def bends_light(cameras: Cameras) -> bool:
    """Say whether some of the cameras are no pinholes."""
    return bool(((cameras.distortion != 0).any(-1) | (cameras.lens == LensModel.OPENCV_FISHEYE)).any())


def straightened(capture: Capture) -> Capture:
    """Give the capture by pinhole cameras; pictures are bent when they are asked for.

    Poses, depths, points and splits stay as they are; so does a capture whose lenses are straight already.

    Raises:
        InputError: a lens shows nothing of what a pinhole camera would see.
    """
    cameras = capture.cameras
    if not bends_light(cameras):
        return capture
    kinds = torch.stack([cameras.fx, cameras.fy, cameras.cx, cameras.cy, cameras.width, cameras.height], -1)
    kinds = torch.cat([kinds, cameras.lens[:, None].to(kinds), cameras.distortion], -1)
    _, which = kinds.unique(dim=0, return_inverse=True)
    longer = torch.ones(len(cameras), dtype=torch.float64)
    for kind in range(int(which.max()) + 1):
        same = which == kind
        view = int(same.nonzero()[0, 0])
        found = _least_zoom(cameras[view])
        if found is None:
            raise InputError(
                f"The lens of {capture.image_names[view]} shows nothing that a pinhole camera would see",
                where=capture.path,
                fix="Check its distortion coefficients",
            )
        longer[same] = found
    straight = replace(
        cameras,
        fx=cameras.fx * longer,
        fy=cameras.fy * longer,
        lens=torch.full_like(cameras.lens, LensModel.PINHOLE),
        distortion=torch.zeros_like(cameras.distortion),
    )
    maps = _Maps(cameras, straight, tuple(which.tolist()))

    def bent(store: ImageStore | None) -> ImageStore | None:
        return None if store is None else StraightImages(store, maps, range(len(store)))

    images = bent(capture.images)
    assert images is not None
    return replace(
        capture,
        cameras=straight,
        images=images,
        masks=bent(capture.masks),
        silhouettes=bent(capture.silhouettes),
    )


class StraightImages(ImageStore):
    """Photos as pinhole cameras would have taken them.

    Args:
        photos: as they were taken.
        maps: where the pixels of a straight picture are in its photo.
        views: number among the cameras of `maps` of each photo.
    """

    def __init__(self, photos: ImageStore, maps: "_Maps", views: Sequence[int]):
        super().__init__(photos.paths, photos.sizes, channels=photos.channels)
        self._photos, self._maps, self._views = photos, maps, tuple(views)

    def subset(self, indices: Sequence[int]) -> "StraightImages":
        """See `ImageStore.subset`."""
        chosen = [range(len(self))[index] for index in indices]
        store = StraightImages(self._photos.subset(chosen), self._maps, [self._views[k] for k in chosen])
        store._cache, store._keys = self._cache, tuple(self._keys[k] for k in chosen)
        return store

    def _read(self, index: int) -> np.ndarray:
        import cv2

        photo = self._photos.read(index)
        columns, rows = self._maps.of(self._views[index])
        # What is ignored or not, or object or not, has no values between.
        rule = cv2.INTER_NEAREST if self.channels == 1 else cv2.INTER_CUBIC
        return cv2.remap(photo, columns, rows, rule, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True, eq=False)
class _Maps:
    """Where the pixels of straight pictures are in the photos; cameras with the same lens share a map."""

    bent: Cameras
    straight: Cameras
    kinds: tuple[int, ...]
    """of each camera's lens and size"""

    def of(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        return _map(self, self.kinds.index(self.kinds[view]))


@lru_cache(maxsize=_KEPT_MAPS)
def _map(maps: _Maps, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows, counted from pixel centres, in float32 (height, width)."""
    width, height = int(maps.straight.width[view]), int(maps.straight.height[view])
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([columns, rows], -1).reshape(-1, 2).double()
    places = _bend(maps.bent[view], maps.straight[view], pixels) - 0.5
    found = places.float().numpy().reshape(height, width, 2)
    return np.ascontiguousarray(found[..., 0]), np.ascontiguousarray(found[..., 1])


def _bend(bent: Cameras, straight: Cameras, pixels: Float[Tensor, "m 2"]) -> Float[Tensor, "m 2"]:
    """Find pixels of a straight picture in its photo."""
    points = _before(straight, pixels)
    return bent.project(points, 0)[0]


def _before(straight: Cameras, pixels: Float[Tensor, "m 2"]) -> Float[Tensor, "m 3"]:
    """Points of the world that a pinhole camera sees at pixels."""
    local, _ = straight.local_directions(0, pixels)
    pose = straight.c2w[0]
    return local @ pose[:, :3].T + pose[:, 3]


def _least_zoom(camera: Cameras) -> float | None:
    """Find the least factor, from 1 on, of the focal length with which all pixels lie in the photo."""
    width, height = float(camera.width), float(camera.height)
    along = torch.linspace(0, 1, _BORDER, dtype=torch.float64)
    zero, one = torch.zeros_like(along), torch.ones_like(along)
    sides = [(along, zero), (along, one), (zero, along), (one, along)]
    border = torch.cat([torch.stack([x * width, y * height], -1) for x, y in sides])
    pinhole = replace(
        camera, lens=torch.zeros_like(camera.lens), distortion=torch.zeros_like(camera.distortion)
    )

    def covered(zoom: float) -> bool:
        straight = replace(pinhole, fx=pinhole.fx * zoom, fy=pinhole.fy * zoom)
        return bool(camera.sees(_before(straight, border), 0).all())

    if covered(1.0):
        return 1.0
    low, high = 1.0, _LONGEST
    if not covered(high):
        return None
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if covered(middle) else (middle, high)
    return high
