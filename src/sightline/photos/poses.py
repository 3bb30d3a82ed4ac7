"""From photos or a video to a capture: features, pairs, structure from motion, an upright frame.

COLMAP's incremental structure from motion (Schönberger and Frahm 2016) does the geometry, through pycolmap;
what is chosen around it is here: frames of a video, cameras by EXIF, pairs, a second try for photos that
found no place, the frame that is kept.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import InputError, warn
from sightline.foundation.hardware import available_cores
from sightline.photos.camera_groups import camera_groups
from sightline.photos.capture_output import applied_transform, describe_cameras, level_model, write_capture
from sightline.photos.colmap_stages import Watch, require_pycolmap, run_stage
from sightline.photos.gathering import LEAST_PHOTOS, gather_photos
from sightline.photos.levelling import Levelling
from sightline.photos.mapping import map_photos, refuse, try_wider
from sightline.photos.pairing import Pairs, choose_matcher, choose_pairs
from sightline.photos.photo_files import PhotoFile
from sightline.photos.pose_options import PoseOptions
from sightline.photos.registration import Registration, summarise
from sightline.photos.retrieval import describe_photos
from sightline.photos.workspace import Workspace, write_masks

_QUALITIES = {"low": (1000, 2048, False), "medium": (1600, 4096, False), "high": (3200, 8192, True)}
"""longer side at which features are found, how many of them, and whether matching is guided"""


@dataclass
class FoundPoses:
    """A finished capture."""

    path: Path
    registration: Registration
    matcher: str
    pairs: int
    cameras: list[dict[str, Any]]
    levelling: Levelling
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `poses.json` holds."""
        return {
            "registration": self.registration.to_json(),
            "matcher": self.matcher,
            "pairs": self.pairs,
            "cameras": self.cameras,
            "applied_transform": applied_transform(self.levelling),
            "applied_scale": self.levelling.scale,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def lines(self) -> list[str]:
        """What people read."""
        lenses = "; ".join(
            f"{entry['model']} of {entry['photos']} photos, focal length {entry['focal']:.0f} pixels"
            for entry in self.cameras
        )
        return [
            *self.registration.lines(),
            f"compared      {self.pairs} pairs ({self.matcher})",
            f"cameras       {lenses}",
            f"time          {', '.join(f'{name} {value:.0f} s' for name, value in self.seconds.items())}",
        ]


def find_poses(source: Path, out: Path, options: PoseOptions, watch: Watch) -> FoundPoses:
    """Find the camera poses of photos, and write them as a capture.

    Writes `images/`, `sparse/0` (COLMAP's binary model), `transforms.json`, `points.ply` and `poses.json`,
    all in one frame (z up, in the middle of the points, the cameras' distance about 1), and `left_out/` with
    photos that found no place. Called again after an interruption, it goes on with what was finished.

    Args:
        source: folder of photos, or a video.
        out: new folder, or one that an interrupted call with the same arguments left.
        watch: shows progress.

    Raises:
        InputError: fewer than three photos, photos that do not hang together, or a video that cannot be
            decoded.
        RunError: COLMAP failed.
    """
    require_pycolmap()
    space, seconds = Workspace(out), {}
    clock = _Clock(seconds)
    photos, ordered = gather_photos(source, space, options, watch)
    clock.lap("photos")
    if len(photos) < LEAST_PHOTOS:
        raise InputError(
            f"{len(photos)} photos are too few to find poses by",
            where=source,
            fix="Give at least three that overlap; twenty and more make a scene",
        )
    masked = write_masks(photos, options.masks, space)
    side, features, guided = _QUALITIES[options.quality]
    threads = available_cores()
    base = {"database": str(space.database), "images": str(space.images), "threads": threads}
    cameras = camera_groups(photos, options)
    job = base | {"cameras": cameras, "side": side, "features": features}
    job["masks"] = str(space.masks) if masked else None
    run_stage("extract", job, space.work, watch, "finding features", len(photos))
    clock.lap("features")
    matcher = options.matcher
    if matcher == "auto":
        matcher = choose_matcher(len(photos), ordered)
    pairs = choose_pairs(len(photos), matcher, lambda: _likeness(photos, space))

    def match(chosen: Pairs, what: str) -> None:
        named = [(photos[i].name, photos[j].name) for i, j in chosen]
        listed = {"pairs": named, "list": str(space.work / "pairs.txt"), "guided": guided}
        run_stage("match", base | listed, space.work, watch, what, len(named))

    match(pairs, "comparing photos")
    clock.lap("matching")
    models = map_photos(photos, space, base, options, watch)
    models, pairs = try_wider(models, photos, pairs, match, space, base, options, watch)
    clock.lap("mapping")
    if not models:
        refuse(photos, space)
    best, registration = summarise(models, photos, space.database)
    levelling = level_model(best)
    found = FoundPoses(out, registration, matcher, len(pairs), describe_cameras(best), levelling, seconds)
    write_capture(best, levelling, space, masked)
    clock.lap("writing")
    space.finish(found.to_json(), options.keep_work)
    _tell(registration)
    return found


class _Clock:
    def __init__(self, seconds: dict[str, float]):
        self._seconds, self._last = seconds, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = now - self._last
        self._last = now


def _likeness(photos: Sequence[PhotoFile], space: Workspace) -> np.ndarray:
    """Say how alike photos look, by their features in the database."""
    import pycolmap

    with pycolmap.Database.open(str(space.database)) as opened:
        numbers = {image.name: image.image_id for image in opened.read_all_images()}
        features = [
            np.asarray(opened.read_descriptors(numbers[photo.name]).data, np.uint8).reshape(-1, 128)
            if photo.name in numbers
            else np.zeros((0, 128), np.uint8)
            for photo in photos
        ]
    described = describe_photos(features)
    return described @ described.T


def _tell(found: Registration) -> None:
    lost = found.photos - found.placed
    if lost:
        warn(f"{lost} of {found.photos} photos have no pose; the lines below say why.")
