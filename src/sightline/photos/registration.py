"""What a reconstruction found: which photos it placed, how well, and why others failed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.photos.photo_files import PhotoFile, read_upright, sharpness

_FEW_FEATURES = 300
_BLURRED = 0.3
"""of the median sharpness of the photos that were placed"""
_LEAST_MATCHES = 15
_COMPARED = 20
"""placed photos whose sharpness is measured"""


@dataclass(frozen=True)
class Failed:
    """A photo without a pose."""

    name: str
    reason: str
    """what was found, and what to do about it"""
    features: int
    best_match: int
    """features that it shares with the photo that shares most, as geometry confirms"""
    sharpness: float
    """of that of the placed photos"""


@dataclass(frozen=True)
class Registration:
    """How well a model came out; errors in pixels of the photos."""

    photos: int
    placed: int
    points: int
    observations_per_photo: float
    track_length: float
    """photos that see a point, on average"""
    reprojection_error: float
    others: tuple[tuple[str, ...], ...]
    """photos of further models, whose place beside the first is not known"""
    failed: tuple[Failed, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "failed": [asdict(entry) for entry in self.failed]}

    def lines(self) -> list[str]:
        """Say it, a line each."""
        lines = [
            f"photos        {self.placed} of {self.photos} have a pose",
            f"points        {self.points}, each seen by {self.track_length:.1f} photos on average",
            f"error         {self.reprojection_error:.2f} pixels between points and features",
        ]
        for number, names in enumerate(self.others):
            lines.append(
                f"left out      {len(names)} photos hang together among themselves only (part {number + 2}: "
                f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}): take photos between the parts"
            )
        lines += [f"failed        {entry.name}: {entry.reason}" for entry in self.failed]
        return lines


def summarise(models: Sequence[Any], photos: Sequence[PhotoFile], database: Path) -> tuple[Any, Registration]:
    """Choose the largest model, and say what became of all photos.

    Args:
        models: pycolmap's reconstructions, at least one.
    """
    ranked = sorted(models, key=lambda model: (model.num_reg_images(), model.num_points3D()), reverse=True)
    best = ranked[0]
    placed = _names_of(best)
    others = tuple(
        names
        for names in (tuple(sorted(set(_names_of(model)) - set(placed))) for model in ranked[1:])
        if names
    )
    failed = _failed(photos, set(placed), others, database)
    found = Registration(
        photos=len(photos),
        placed=len(placed),
        points=best.num_points3D(),
        observations_per_photo=round(best.compute_mean_observations_per_reg_image(), 1),
        track_length=round(best.compute_mean_track_length(), 2),
        reprojection_error=round(best.compute_mean_reprojection_error(), 3),
        others=others,
        failed=failed,
    )
    return best, found


def _names_of(model: Any) -> list[str]:
    return [model.image(number).name for number in model.reg_image_ids()]


def _failed(
    photos: Sequence[PhotoFile], placed: set[str], others: Sequence[Sequence[str]], database: Path
) -> tuple[Failed, ...]:
    elsewhere = {name: number for number, names in enumerate(others) for name in names}
    lost = [photo for photo in photos if photo.name not in placed and photo.name not in elsewhere]
    if not lost:
        return ()
    features, best = database_facts(database)
    there = [photo for photo in photos if photo.name in placed]
    step = max(1, len(there) // _COMPARED)
    usual = float(np.median([sharpness(read_upright(photo)) for photo in there[::step]] or [1.0]))
    found = []
    for photo in lost:
        sharp = sharpness(read_upright(photo)) / max(usual, 1e-9)
        count, shared = features.get(photo.name, 0), best.get(photo.name, 0)
        found.append(Failed(photo.name, _reason(count, shared, sharp), count, shared, round(sharp, 3)))
    return tuple(found)


def _reason(features: int, shared: int, sharp: float) -> str:
    if sharp < _BLURRED:
        return f"blurred ({sharp:.0%} as sharp as the others): leave it out, or take it again"
    if features < _FEW_FEATURES:
        return f"too little to see ({features} features): plain walls, darkness; take it with more around it"
    if shared < _LEAST_MATCHES:
        return "shows nothing that another photo shows: unrelated, or too far from the others"
    return f"overlaps too little (at most {shared} features in common): take photos between it and the others"


def database_facts(database: Path) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Read features and best confirmed matches of each photo, by name."""
    import pycolmap

    with pycolmap.Database.open(str(database)) as opened:
        names = {image.image_id: image.name for image in opened.read_all_images()}
        features = {name: int(opened.num_keypoints_for_image(number)) for number, name in names.items()}
        best: dict[str, int] = {}
        pairs, counts = opened.read_two_view_geometry_num_inliers()
    for pair, count in zip(pairs, counts, strict=True):
        for number in pycolmap.pair_id_to_image_pair(pair):
            name = names.get(number)
            if name is not None:
                best[name] = max(best.get(name, 0), int(count))
    return features, best
