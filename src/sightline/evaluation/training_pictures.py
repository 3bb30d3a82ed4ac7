"""The pictures of training objects that baselines show or average, however many objects there are.

Memory is bounded: at most `MOST_OBJECTS` objects are looked at, evenly spread over the split, and of those as
many are averaged as fit into `POOL_BYTES` of decoded pictures. With small copies of the pictures that are
compared (`MOST_SMALL` of 1.7 KB) and `MOST_MEANS` averaged pictures that is about 0.5 GiB for pictures of
128x128 pixels.
"""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sightline.captures import Capture, CollectionObject
from sightline.evaluation.poses import nearest_pose, poses_of
from sightline.evaluation.views import background_for
from sightline.foundation.hardware import available_cores
from sightline.media.images import composite_over, to_float

MOST_OBJECTS = 1000
POOL_BYTES = 256 << 20
MOST_SMALL = 50_000
MOST_MEANS = 256
SMALL = 24
"""pixels on a side of the copies that are compared"""


@dataclass(frozen=True)
class _Opened:
    id: str
    capture: Capture
    poses: np.ndarray


class TrainingPictures:
    """Training objects, opened once, their pictures decoded when they are needed.

    Args:
        entries: the objects of the training split.
        background: colour behind what is transparent; white where not given.
        most_objects: how many are looked at.
        pool_bytes: how much of their pictures is held for averaging.
    """

    def __init__(
        self,
        entries: Sequence[CollectionObject],
        background: str | None = None,
        *,
        most_objects: int = MOST_OBJECTS,
        pool_bytes: int = POOL_BYTES,
    ):
        self.total = len(entries)
        self._entries = thin(entries, most_objects)
        self._background, self._pool_bytes = background, pool_bytes
        self._small: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._means: OrderedDict[bytes, Tensor] = OrderedDict()

    @property
    def facts(self) -> dict[str, int]:
        """How many training objects there are, are compared and are averaged."""
        return {"objects": self.total, "compared": len(self._opened), "averaged": len(self._pool)}

    def mean(self) -> Tensor:
        """Average all pictures of the averaged objects: float32 (height, width, 3)."""
        return self._mean_image

    def mean_at(self, pose: np.ndarray) -> Tensor:
        """Average, over the averaged objects, the picture with the nearest pose: float32 (height, width, 3).

        Args:
            pose: float64 (3, 4), camera to world.
        """
        key = np.round(pose, 6).tobytes()
        found = self._means.get(key)
        if found is None:
            chosen = [pictures[nearest_pose(pose, poses)] for poses, pictures in self._pool]
            total = np.zeros(chosen[0].shape, np.float64)
            for picture in chosen:
                total += picture
            found = torch.from_numpy((total / (255 * len(chosen))).astype(np.float32))
            self._means[key] = found
            if len(self._means) > MOST_MEANS:
                self._means.popitem(last=False)
        return found

    def nearest(self, pictures: Sequence[Tensor], poses: np.ndarray, without: str) -> int:
        """Find the object that looks most like given pictures: by mean squared error of small copies.

        Each picture is compared with the object's picture of the nearest pose.

        Args:
            pictures: (height, width, 3) in [0, 1].
            poses: float64 (n, 3, 4), theirs.
            without: id of an object that does not count: the one that is judged.

        Returns:
            Its position, for `picture_at`.
        """
        errors = np.zeros(len(self._opened))
        for picture, pose in zip(pictures, poses, strict=True):
            wanted = _small(picture).astype(np.int32)
            copies = self._small_copies([nearest_pose(pose, opened.poses) for opened in self._opened])
            errors += [float(np.square(copy - wanted).mean()) for copy in copies]
        errors[[opened.id == without for opened in self._opened]] = np.inf
        return int(errors.argmin())

    def picture_at(self, position: int, pose: np.ndarray) -> Tensor:
        """Give an object's picture of the nearest pose: float32 (height, width, 3)."""
        opened = self._opened[position]
        return torch.from_numpy(self._decode(opened.capture, nearest_pose(pose, opened.poses)))

    def has_other_than(self, id: str) -> bool:
        """Whether there is an object to show for the object `id`."""
        return any(entry.id != id for entry in self._entries)

    @cached_property
    def _opened(self) -> list[_Opened]:
        captures = ((entry.id, entry.open()) for entry in self._entries)
        return [_Opened(id, capture, poses_of(capture)) for id, capture in captures]

    @cached_property
    def _pool(self) -> list[tuple[np.ndarray, list[np.ndarray]]]:
        """Poses and uint8 pictures of the objects that are averaged."""
        first = self._opened[0].capture
        width, height = (int(value) for value in first.images.sizes[0])
        per_object = 3 * width * height * max(len(opened.capture) for opened in self._opened)
        found = []
        for opened in thin(self._opened, max(1, self._pool_bytes // per_object)):
            pictures = _in_threads(lambda i, c=opened.capture: self._decode(c, i), range(len(opened.poses)))
            fitted = (fit(torch.from_numpy(picture), width, height).numpy() for picture in pictures)
            found.append((opened.poses, [np.rint(picture * 255).astype(np.uint8) for picture in fitted]))
        return found

    @cached_property
    def _mean_image(self) -> Tensor:
        total, count = np.zeros(self._pool[0][1][0].shape, np.float64), 0
        for _, pictures in self._pool:
            for picture in pictures:
                total += picture
            count += len(pictures)
        return torch.from_numpy((total / (255 * count)).astype(np.float32))

    def _small_copies(self, views: Sequence[int]) -> list[np.ndarray]:
        """Small copies of one view of each object, kept for the next search."""
        keys = list(enumerate(views))
        missing = [key for key in keys if key not in self._small]
        made = _in_threads(lambda key: self._make_small(*key), missing)
        self._small.update(zip(missing, made, strict=True))
        copies = [self._small[key] for key in keys]
        while len(self._small) > MOST_SMALL:
            self._small.popitem(last=False)
        return copies

    def _make_small(self, position: int, view: int) -> np.ndarray:
        return _small(torch.from_numpy(self._decode(self._opened[position].capture, view)))

    def _decode(self, capture: Capture, view: int) -> np.ndarray:
        # Not through the capture's cache: that of a thousand captures would have no bound.
        colour = background_for(capture, self._background).colour
        return composite_over(to_float(capture.images.read(view)), colour)


def thin(items: Sequence, most: int) -> list:
    """Choose at most `most` items, evenly spread, the first among them."""
    if len(items) <= most:
        return list(items)
    return [items[k * len(items) // most] for k in range(most)]


def fit(picture: Tensor, width: int, height: int) -> Tensor:
    """Bring a float picture (h, w, 3) to another size; one of the right size is returned as it is."""
    if picture.shape[:2] == (height, width):
        return picture
    planes = picture.permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(planes, (height, width), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).contiguous()


def _small(picture: Tensor) -> np.ndarray:
    return np.rint(fit(picture.float(), SMALL, SMALL).numpy() * 255).astype(np.uint8)


def _in_threads(function, items: Sequence) -> list:
    """Apply a function that decodes, which lets other threads run, to all items."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(function, items))
