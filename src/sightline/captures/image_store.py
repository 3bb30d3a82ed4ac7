"""The images of a capture: decoded when asked for, at the size asked for, in a cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.decoding import decode
from sightline.captures.resizing import shrink
from sightline.foundation.errors import InputError
from sightline.foundation.hardware import available_cores

CACHE_BYTES = 1 << 30


class ImageStore:
    """A lazy sequence of uint8 images.

    Nothing is decoded before it is asked for, and no more than `cache_bytes` of decoded images are kept (the
    least recently used go first), so that a store of thousands of photos costs little. Stores made by
    `subset` share the cache. Safe to use from several threads; can be pickled (the cache stays behind).

    Args:
        sources: a file for each image; or an array as `__getitem__` returns it; or None, which gives zeros.
        sizes: (n, 2) width and height of each image as returned; sources are shrunk to it.
        channels: 3 (RGB), 4 (RGBA) or 1 (masks: 255 where nonzero, and where any part of a shrunk pixel was).
        invert: with one channel, swap zero and nonzero.
        resize_rule: how sources are shrunk, of `resizing.RESIZE_RULES`; by area where not given.
        cache_bytes: bound of the cache.
    """

    def __init__(
        self,
        sources: Sequence[Path | np.ndarray | None],
        sizes: np.ndarray | Sequence[tuple[int, int]],
        *,
        channels: int,
        invert: bool = False,
        resize_rule: str | None = None,
        cache_bytes: int = CACHE_BYTES,
    ):
        self._sources = tuple(sources)
        self._sizes = np.asarray(sizes, dtype=np.int64).reshape(-1, 2)
        if len(self._sizes) != len(self._sources):
            raise ValueError(f"{len(self._sources)} sources with {len(self._sizes)} sizes")
        if channels not in (1, 3, 4):
            raise ValueError(f"{channels} channels: must be 1, 3 or 4")
        self._channels = channels
        self._invert = invert
        self._resize_rule = resize_rule
        self._cache = _Cache(cache_bytes)
        self._keys = tuple(range(len(self._sources)))

    @classmethod
    def from_arrays(cls, images: Sequence[np.ndarray]) -> "ImageStore":
        """Make a store of images in memory: uint8, (h, w, 3) or (h, w, 4), or (h, w) masks, all alike."""
        channels = {1 if image.ndim == 2 else image.shape[2] for image in images}
        if len(channels) != 1 or any(image.dtype != np.uint8 for image in images):
            raise ValueError("images must be uint8 and have the same number of channels")
        return cls(
            images,
            [(image.shape[1], image.shape[0]) for image in images],
            channels=channels.pop(),
            cache_bytes=0,
        )

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (n, 2): width and height of each image, known without decoding."""
        return self._sizes

    @property
    def channels(self) -> int:
        """3 (RGB), 4 (RGBA) or 1 (masks)."""
        return self._channels

    @property
    def paths(self) -> tuple[Path | None, ...]:
        """The file of each image; None for one in memory or one that does not exist."""
        return tuple(source if isinstance(source, Path) else None for source in self._sources)

    @property
    def nbytes(self) -> int:
        """Bytes that all images take when decoded."""
        return int(self._sizes.prod(axis=1).sum()) * self._channels

    @property
    def cached_bytes(self) -> int:
        """Bytes that are held now."""
        return self._cache.held_bytes

    def __getitem__(self, index: int) -> np.ndarray:
        """Give image `index` as uint8 (h, w, channels), or (h, w) with one channel; not to be written to."""
        index = range(len(self))[index]
        key = self._keys[index]
        image = self._cache.get(key)
        if image is None:
            image = self._read(index)
            image.flags.writeable = False
            self._cache.put(key, image)
        return image

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def load(self, indices: Sequence[int] | None = None, *, threads: int | None = None) -> list[np.ndarray]:
        """Decode several images (default: all) in parallel threads; the list holds them all at once."""
        wanted = range(len(self)) if indices is None else [int(index) for index in indices]
        workers = min(threads or available_cores(), max(1, len(wanted)))
        if workers == 1:
            return [self[index] for index in wanted]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.__getitem__, wanted))

    def read(self, index: int) -> np.ndarray:
        """Decode image `index` as `__getitem__` gives it, without keeping it."""
        index = range(len(self))[index]
        image = self._cache.get(self._keys[index])
        return self._read(index) if image is None else image

    def subset(self, indices: Sequence[int]) -> "ImageStore":
        """Give a store of these images in this order, sharing the cache."""
        chosen = [range(len(self))[index] for index in indices]
        store = type(self)(
            [self._sources[index] for index in chosen],
            self._sizes[np.asarray(chosen, dtype=np.int64)],
            channels=self._channels,
            invert=self._invert,
            resize_rule=self._resize_rule,
        )
        store._cache = self._cache
        store._keys = tuple(self._keys[index] for index in chosen)
        return store

    def _read(self, index: int) -> np.ndarray:
        source = self._sources[index]
        width, height = (int(value) for value in self._sizes[index])
        if source is None:
            return np.zeros(
                (height, width) if self._channels == 1 else (height, width, self._channels), np.uint8
            )
        image = source.view() if isinstance(source, np.ndarray) else decode(source, self._channels)
        if self._channels == 1:
            _check_mask_shape(image, width, height, source)
            return _fit_mask((image == 0) if self._invert else (image != 0), width, height)
        if image.shape[1] < width or image.shape[0] < height:
            raise InputError(
                f"The image has changed since the capture was opened: its {image.shape[1]}x{image.shape[0]} "
                f"pixels are less than {width}x{height}",
                where=source,
                fix="Open the capture again",
            )
        return shrink(image, width, height, self._resize_rule)


class AbsentImages(ImageStore):
    """Images that are not there: sizes are known, pixels are an InputError."""

    def _read(self, index: int) -> np.ndarray:
        raise InputError(
            "The images of this capture are needed, but only its record is here",
            where=self.paths[index],
            fix="Give the data with its images (of a run: --data)",
        )


def _check_mask_shape(mask: np.ndarray, width: int, height: int, source: object) -> None:
    """Refuse a mask of another shape than its image; half a pixel is left for rounding."""
    off = abs(mask.shape[1] * height - mask.shape[0] * width)
    if off > 0.5 * max(width + mask.shape[1], height + mask.shape[0]):
        raise InputError(
            f"The mask of {mask.shape[1]}x{mask.shape[0]} pixels has another shape than its image at "
            f"{width}x{height}",
            where=source if isinstance(source, Path) else None,
            fix="Use masks made for these images",
        )


def _fit_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bring a mask to the size of its image; a pixel is ignored when any part of it is."""
    import cv2

    image = mask.astype(np.float32)
    if image.shape != (height, width):
        larger = image.shape[1] < width
        method = cv2.INTER_NEAREST if larger else cv2.INTER_AREA
        image = cv2.resize(image, (width, height), interpolation=method)
    return np.where(image > 1e-6, 255, 0).astype(np.uint8)


class _Cache:
    """Least-recently-used images, bounded in bytes."""

    def __init__(self, limit: int):
        self.limit = limit
        self.held_bytes = 0
        self._images: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: int) -> np.ndarray | None:
        with self._lock:
            image = self._images.get(key)
            if image is not None:
                self._images.move_to_end(key)
            return image

    def put(self, key: int, image: np.ndarray) -> None:
        if image.nbytes > self.limit:
            return
        with self._lock:
            if key in self._images:
                return
            self._images[key] = image
            self.held_bytes += image.nbytes
            while self.held_bytes > self.limit:
                _, oldest = self._images.popitem(last=False)
                self.held_bytes -= oldest.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit"])
