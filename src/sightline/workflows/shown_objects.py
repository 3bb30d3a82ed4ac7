"""An object as a method that generalises is shown it: source views, and the cameras that paths start from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sightline.captures import Capture, Collection, CollectionObject
from sightline.captures.source_views import EACH, check_sources, open_split, states_split
from sightline.foundation.errors import InputError, inform
from sightline.geometry import Cameras, trajectories
from sightline.geometry.treatments import capture_layout
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.workflows import pixelnerf_videos
from sightline.workflows.evaluate_many import SourceChoice, as_collection, choose_objects
from sightline.workflows.object_photos import read_photos
from sightline.workflows.paths import SPLITS, USUAL_FRAMES, choose_cameras, parse_size, resize_cameras

_NEAR_ORIGIN = 0.25
"""optical axes that pass the origin within this part of the cameras' distance are taken to look at it"""


@dataclass(frozen=True)
class ShownObject:
    """What a scene is made of, and what camera paths around it follow."""

    name: str
    views: Capture
    """the source views"""
    capture: Capture
    """all views of the object: their cameras say which way is up and how large pictures are"""
    crop: np.ndarray | None = None
    """uint8 (side, side, 3) that was cropped out of a photo"""

    def usual_path(self, method: Method) -> str:
        """Name the path that shows such an object where nobody names one."""
        if method.usual_path == pixelnerf_videos.PATH and not pixelnerf_videos.has_path(self.capture):
            return "orbit"
        if method.usual_path == "spiral" and capture_layout(self.capture.cameras) != "forward-facing":
            return "orbit"
        return method.usual_path

    def cameras(
        self,
        path: str,
        *,
        frames: int | None = None,
        size: str | None = None,
        elevation: float | None = None,
        variant: str | None = None,
    ) -> tuple[Cameras, list[str] | None]:
        """Make the cameras of a path, and the names of views where it has such.

        An orbit is around the world's origin where the cameras look there, at the distance of the sources
        and, if not told otherwise, at their elevation; it starts at the first source. Around what a photo
        shows, it is as far away as the photo counts as taken from. `train`, `val` and
        `test` are the object's views of that split where folders tell them, else all of its views. Other
        paths are those of `choose_cameras`.
        """
        if path in SPLITS:
            stated = states_split(self.capture, path)
            chosen = self.capture.split(path) if stated else self.capture
            return resize_cameras(chosen.cameras, size), list(chosen.image_names)
        if path != "orbit" or variant is not None:
            options = {"frames": frames, "size": size, "elevation": elevation, "variant": variant}
            return choose_cameras(self.capture, path, **options), None
        reference = Cameras.concatenate([self.views.cameras, self.capture.cameras])
        width, height = parse_size(size, reference) if size else (None, None)
        if self.capture.format == pixelnerf_videos.PHOTO:
            focus = pixelnerf_videos.middle_of_photo(self.capture)
        else:
            focus = torch.zeros(3, dtype=torch.float64) if looks_at_origin(self.capture.cameras) else None
        layout = trajectories.survey(reference, focus)
        arms = self.views.cameras.centres - layout.focus
        distances = arms.norm(dim=-1)
        if elevation is None:
            sines = (arms @ layout.up) / distances.clamp_min(1e-12)
            elevation = math.degrees(float(torch.asin(sines.clamp(-1, 1)).mean()))
        cameras = trajectories.orbit(
            reference,
            USUAL_FRAMES if frames is None else frames,
            elevation=elevation,
            distance=float(distances.median()),
            width=width,
            height=height,
            focus=layout.focus,
        )
        return cameras, None


def show_object(
    run: Run,
    method: Method,
    *,
    data: Path | str | None = None,
    object: str | None = None,
    split: str = "test",
    sources: str | None = None,
) -> ShownObject:
    """Open an object of a run's data with its source views.

    Args:
        data: where the data is, if not at its recorded place.
        object: id of the object, or its number in the split; the first of the split where not given.
        split: of the collection, for an object that is not named by its id.
        sources: numbers or names of views, or a split; what is usual for the method where not given.

    Raises:
        InputError: no such data, object or view, or more views than the method takes.
    """
    found = run.open_data(data)
    if sources is not None and sources.strip() == EACH:
        raise InputError("One scene is made of one choice of sources", where="--sources", fix="Name views")
    rule = SourceChoice(sources).rule(method.usual_sources)
    collection = as_collection(found, split)
    entry = _choose(collection, split, object)
    if object is None and len(collection) > 1:
        inform(f"Showing the object {entry.id} of {len(collection)}: choose another with --object")
    if isinstance(found, Collection) and rule.split is None:
        of = split if entry.id in collection.splits.get(split, ()) else _split_of(collection, entry.id)
        entry = replace(entry, open=partial(open_split, entry, of)) if of else entry
    capture = entry.open()
    chosen = rule.choose(entry, capture)[0]
    check_sources(chosen, method.most_sources, method.name)
    return ShownObject(entry.id, capture.subset(chosen), capture)


def show_photos(method: Method, photos: Sequence[Path], masks: Sequence[str] = ()) -> ShownObject:
    """Take photos of one object, whose cameras nobody knows, as source views.

    Args:
        masks: how each object is told from what is around it, see `object_photos.read_photos`.

    Raises:
        InputError: a photo or mask cannot be read, no object is found, or the method needs to know cameras.
    """
    read = read_photos(photos, masks, method.photo_side)
    views = method.views_of_photos([photo.picture for photo in read])
    crop = read[0].picture if read[0].cropped else None
    return ShownObject(read[0].name, views, views, crop)


def looks_at_origin(cameras: Cameras) -> bool:
    """Whether most of the cameras look at the world's origin, or close by."""
    centres, forward = cameras.centres, cameras.forward
    away = centres.norm(dim=-1)
    ahead = -(centres * forward).sum(-1)
    beside = torch.linalg.cross(centres, forward).norm(dim=-1)
    near = (ahead > 0) & (beside <= _NEAR_ORIGIN * away)
    return float(near.double().mean()) > 0.5


def _choose(collection: Collection, split: str, object: str | None) -> CollectionObject:
    """Find an object by its id, else by its number in the split."""
    if object is None:
        return choose_objects(collection, split, ())[0]
    if object.isdecimal() and all(entry.id != object for entry in collection):
        members = choose_objects(collection, split, ())
        if int(object) >= len(members):
            raise InputError(
                f"There is no object {object} in the split {split!r}",
                where="--object",
                fix=f"It has {len(members)}, which are numbered from 0",
            )
        return members[int(object)]
    return collection[object]


def _split_of(collection: Collection, id: str) -> str | None:
    return next((split for split, members in collection.splits.items() if id in members), None)
