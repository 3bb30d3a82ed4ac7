"""Bringing photos, or frames of a video, upright into the folder of a capture."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, inform
from sightline.foundation.files import read_json, write_json
from sightline.photos.colmap_stages import Watch
from sightline.photos.photo_files import PhotoFile, is_video, list_photos
from sightline.photos.pose_options import PoseOptions
from sightline.photos.video import choose_frames, look_at, write_frames
from sightline.photos.workspace import Workspace, copy_upright

LEAST_PHOTOS = 3
"""that poses are found of"""


def gather_photos(
    source: Path, space: Workspace, options: PoseOptions, watch: Watch
) -> tuple[list[PhotoFile], bool]:
    """Bring the photos upright into the folder; says whether their order is that of time."""
    job = {"source": str(source.resolve()), "options": plain_options(options)}
    if is_video(source):
        job["bytes"] = source.stat().st_size
        space.begin(job)
        _frames(source, space, options.frames, watch)
        return list_photos(space.images), True
    given = list_photos(source)
    job["photos"] = [[photo.name, photo.path.stat().st_size] for photo in given]
    if len(given) < LEAST_PHOTOS:
        return given, False
    space.begin(job)
    copy_upright(given, space.images, watch)
    # What EXIF says is known of the given files: turned copies have none.
    return [replace(photo, path=space.images / photo.name, orientation=1) for photo in given], False


def _frames(source: Path, space: Workspace, most: int, watch: Watch) -> None:
    """Take frames of a video, unless an interrupted call has taken them."""
    listed = space.work / "frames.json"
    if listed.is_file():
        chosen = read_json(listed)
    else:
        with watch("looking at the video", 0) as on_frame:
            facts = look_at(source, on_frame)
        chosen = choose_frames(facts, most)
        inform(f"The video has {len(facts.motion)} frames; {len(chosen)} of them are taken")
        write_json(listed, chosen)
    there = len(list(space.images.glob("frame_*.jpg"))) if space.images.is_dir() else 0
    if there < len(chosen):
        with watch("taking frames", len(chosen)) as on_frame:
            write_frames(source, chosen, space.images, on_frame)
    if len(chosen) < LEAST_PHOTOS:
        raise InputError(
            f"Only {len(chosen)} frames of the video differ",
            where=source,
            fix="Move the camera around the scene",
        )


def plain_options(options: PoseOptions) -> dict[str, Any]:
    """Give the options that the result depends on, as JSON."""
    plain = {name: value for name, value in asdict(options).items() if name != "keep_work"}
    return plain | {"masks": None if options.masks is None else str(options.masks.resolve())}
