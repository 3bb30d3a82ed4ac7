"""From matches to models, with further tries for photos that found no place."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, inform
from sightline.photos.colmap_stages import Watch, run_stage
from sightline.photos.pairing import Pairs, wider_pairs
from sightline.photos.photo_files import PhotoFile, shown
from sightline.photos.pose_options import PoseOptions
from sightline.photos.registration import database_facts
from sightline.photos.workspace import Workspace

_FIRST_PAIRS = ((100, 16.0), (30, 4.0))
"""inliers and angle in degrees of the pair that a model begins with; the second where the first finds none"""
_MOST_WIDER = 6000
"""further pairs that are compared for photos without a place"""
_NO_MODEL = (
    "Take photos that overlap by two thirds or more, of a scene that stands still, with texture, walking "
    "around it instead of turning on the spot; or give --quality high"
)


def map_photos(
    photos: Sequence[PhotoFile],
    space: Workspace,
    base: dict[str, Any],
    options: PoseOptions,
    watch: Watch,
    begin: Path | None = None,
) -> list[Any]:
    """Reconstruct; gives pycolmap's models, none where no pair of photos is good enough to begin with."""
    import pycolmap

    for inliers, angle in _FIRST_PAIRS:
        folder = space.work / ("again" if begin else "models")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job = base | {"out": str(folder), "mapper": options.mapper, "total": len(photos)}
        job |= {
            "first_inliers": inliers,
            "first_angle": angle,
            "begin": None if begin is None else str(begin),
        }
        run_stage("map", job, space.work, watch, "placing cameras", len(photos))
        found = [
            pycolmap.Reconstruction(str(entry)) for entry in sorted(folder.iterdir()) if _is_model(entry)
        ]
        found = [model for model in found if model.num_reg_images() >= 2]
        if found or begin is not None or options.mapper == "global":
            return found
    return []


def _is_model(folder: Path) -> bool:
    return (folder / "images.bin").is_file()


def try_wider(
    models: list[Any],
    photos: Sequence[PhotoFile],
    pairs: Pairs,
    match: Callable[[Pairs, str], None],
    space: Workspace,
    base: dict[str, Any],
    options: PoseOptions,
    watch: Watch,
) -> tuple[list[Any], Pairs]:
    """Compare photos that found no place with all others, where that was not done, and go on."""
    best = max(models, key=lambda model: model.num_reg_images(), default=None)
    placed = set() if best is None else {best.image(number).name for number in best.reg_image_ids()}
    lost = [index for index, photo in enumerate(photos) if photo.name not in placed]
    further = wider_pairs(lost, len(photos), pairs)
    if not further or len(further) > _MOST_WIDER:
        return models, pairs
    inform(f"{len(lost)} photos have no pose yet: {len(further)} further pairs are compared")
    match(further, "comparing further photos")
    begin = None
    if best is not None and options.mapper == "incremental":
        begin = space.work / "begin"
        begin.mkdir(exist_ok=True)
        best.write_binary(str(begin))
    again = map_photos(photos, space, base, options, watch, begin)
    more = max((model.num_reg_images() for model in again), default=0)
    return (again if more > len(placed) else models), sorted({*pairs, *further})


def refuse(photos: Sequence[PhotoFile], space: Workspace) -> None:
    """Say why no model came out: that photos share nothing, or which ones are unlike the rest."""
    features, best = database_facts(space.database)
    alone = [photo.name for photo in photos if best.get(photo.name, 0) < 15]
    plain = [photo.name for photo in photos if features.get(photo.name, 0) < 300]
    told = f"; {len(alone)} share nothing with any other ({shown(alone)})" if alone else ""
    told += f"; {len(plain)} have little to see ({shown(plain)})" if plain else ""
    raise InputError(
        f"No two of the {len(photos)} photos show the same from places far enough apart{told}",
        where=space.root,
        fix=_NO_MODEL,
    )
