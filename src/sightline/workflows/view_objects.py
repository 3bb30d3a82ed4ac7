"""What the viewer lets one choose, of methods that see objects or scenes in source views."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError, SightlineError, warn
from sightline.geometry import Cameras
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.viewer.host import Candidate, Stage
from sightline.viewer.photos import Photos
from sightline.viewer.shown_frame import ShownFrame
from sightline.workflows.evaluate_many import as_collection
from sightline.workflows.scenes import LoadedMethod
from sightline.workflows.shown_objects import ShownObject, looks_at_origin, show_object, show_photos

_THUMBNAIL_SIDE = 64
_LEAST_LONGEST, _MOST_LONGEST = 256, 1024


class ObjectChoices:
    """Objects of a run's data, see `viewer.host.Choices`.

    Args:
        loaded: the run's method.
        data: where the data is, if not at its recorded place.
        ready: make ready what pictures need besides the weights.
    """

    def __init__(self, run: Run, loaded: LoadedMethod, data: Path | None = None, ready: bool = True):
        self.run, self.loaded, self.data, self.ready = run, loaded, data, ready
        self.most_sources = loaded.method.most_sources

    @property
    def takes_photos(self) -> bool:
        """Whether photos whose cameras nobody knows will do."""
        return type(self.loaded.method).views_of_photos is not Method.views_of_photos

    @cached_property
    def _collection(self) -> Collection | None:
        """The data; None where it is gone."""
        try:
            return as_collection(self.run.open_data(self.data), "test")
        except SightlineError as error:
            warn(f"There are no objects to choose from. {error}")
            return None

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """Split → ids."""
        return {} if self._collection is None else self._collection.splits

    def first(
        self,
        object: str | None,
        split: str,
        sources: str | None,
        photo: Sequence[Path],
        mask: Sequence[str],
    ) -> Stage:
        """Make the stage that the viewer begins with."""
        if photo:
            if object is not None or sources is not None:
                raise InputError(
                    "The object is given in two ways",
                    where="--photo and --object or --sources",
                    fix="Give photos, or an object of the data",
                )
            flags = [word for path in photo for word in ("--photo", str(path))]
            flags += [word for how in mask for word in ("--mask", how)]
            return self._stage(show_photos(self.loaded.method, photo, mask), tuple(flags), None)
        if object is None and sources is None and not self.splits.get(split):
            split = next((name for name, ids in self.splits.items() if ids), split)
        return self._show(object, split, sources)

    def _show(self, object: str | None, split: str, sources: str | None) -> Stage:
        method = self.loaded.method
        shown = show_object(self.run, method, data=self.data, object=object, split=split, sources=sources)
        # Said in full, so that the same is rendered and exported wherever it is asked for.
        chosen = ",".join(shown.views.image_names) if sources is None else sources
        one = self._collection is not None and len(self._collection) == 1
        named = {} if one else {"object": shown.name, "split": split}
        if sources is not None:
            named["sources"] = chosen
        flags = [word for name, value in named.items() for word in (f"--{name}", value)]
        return self._stage(shown, tuple(flags), named)

    def look_up(self, id: str, split: str) -> Candidate:
        """Open an object to choose source views of."""
        if self._collection is None:
            raise InputError("The data of the run is not there", fix="Give its place with --data")
        shown = show_object(self.run, self.loaded.method, data=self.data, object=id, split=split)
        usual = [shown.capture.image_names.index(name) for name in shown.views.image_names]
        return Candidate(photos_of(shown.capture), tuple(usual))

    def choose(self, id: str, split: str, sources: Sequence[int]) -> Stage:
        """See an object in source views."""
        names = self.look_up(id, split).photos.names
        return self._show(id, split, ",".join(names[index] for index in sources))

    def take(self, name: str, content: bytes) -> Stage:
        """See the object of a photo."""
        with tempfile.TemporaryDirectory() as folder:
            # Only the last part of a name that a browser sent.
            path = Path(folder) / (Path(name.replace("\\", "/")).name or "photo")
            path.write_bytes(content)
            shown = show_photos(self.loaded.method, [path])
        return self._stage(shown, ("--photo", Path(name).name), None)

    def _stage(self, shown: ShownObject, flags: tuple[str, ...], export: dict[str, str] | None) -> Stage:
        loaded = self.loaded.see(shown.views)
        if self.ready:
            loaded.make_ready()
        cameras = shown.capture.cameras
        at_origin = looks_at_origin(cameras)
        sources = [shown.capture.image_names.index(name) for name in shown.views.image_names]
        return Stage(
            name=shown.name,
            method=loaded.method,
            scene=loaded.scene,
            photos=photos_of(shown.capture),
            frame=ShownFrame.around(cameras, cameras.centres.new_zeros(3) if at_origin else None),
            device=loaded.device,
            path_size=_even_size(shown.views.cameras),
            render_flags=flags,
            sources=tuple(sources),
            export=export,
            longest=_longest(cameras),
            views=shown.views,
        )


def photos_of(capture: Capture) -> Photos:
    """The views of a capture whose pictures are at hand."""

    def load(index: int) -> np.ndarray:
        return np.asarray(capture.images[index])

    def thumbnail(index: int) -> np.ndarray | None:
        try:
            picture = Image.fromarray(load(index))
        except (SightlineError, OSError):
            return None
        picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX, reducing_gap=None)
        return np.asarray(picture)

    return Photos(capture.cameras, capture.image_names, capture.splits, thumbnail, load)


def _even_size(cameras: Cameras) -> tuple[int, int]:
    return max(2, int(cameras.width[0]) // 2 * 2), max(2, int(cameras.height[0]) // 2 * 2)


def _longest(cameras: Cameras) -> int:
    longest = max(int(cameras.width.max()), int(cameras.height.max()))
    return min(max(longest, _LEAST_LONGEST), _MOST_LONGEST) // 32 * 32
