"""Which photos share a camera, and what is known of its lens beforehand."""

from collections.abc import Sequence
from typing import Any

from sightline.foundation.errors import InputError, inform
from sightline.photos.photo_files import PhotoFile
from sightline.photos.pose_options import PoseOptions

_FISHEYE_FOCAL = 0.5
"""of the longer side, which then sees 115 degrees"""
_MODELS = {"pinhole": "PINHOLE", "radial": "SIMPLE_RADIAL", "opencv": "OPENCV", "fisheye": "OPENCV_FISHEYE"}
_MANY = 8
"""photos of one camera that determine a lens with tangential distortion"""


def camera_groups(photos: Sequence[PhotoFile], options: PoseOptions) -> list[dict[str, Any]]:
    """Say which photos share a camera, its lens model, and what EXIF says of it."""
    groups: dict[Any, list[PhotoFile]] = {}
    for photo in photos:
        sizes = photo.width, photo.height
        key = {"each": photo.name, "single": sizes, "auto": photo.group}[options.camera]
        groups.setdefault(key, []).append(photo)
    if options.camera == "single" and len(groups) > 1:
        raise InputError(
            f"Photos of one camera have one size, and these have {len(groups)}",
            where="--camera single",
            fix="Leave it away: photos of one size and EXIF share a camera then",
        )
    if options.camera == "auto" and len(groups) > 1:
        inform(f"The photos are by {len(groups)} cameras or lens settings, by their sizes and EXIF")
    found = []
    for members in groups.values():
        name = options.lens if options.lens != "auto" else ("opencv" if len(members) >= _MANY else "radial")
        found.append(
            {
                "names": [photo.name for photo in members],
                "model": _MODELS[name],
                "params": _parameters(_MODELS[name], members[0]),
            }
        )
    return found


def _parameters(model: str, photo: PhotoFile) -> list[float]:
    """First guess of a lens: by EXIF's focal length; else COLMAP guesses, but not for fisheyes.

    Pairs of those are compared through their lens alone: without a guess they have nothing in common.
    """
    focal = photo.focal
    if focal is None and model == "OPENCV_FISHEYE":
        focal = _FISHEYE_FOCAL * max(photo.width, photo.height)
    if focal is None:
        return []
    middle = [photo.width / 2, photo.height / 2]
    focal = float(focal)
    return {
        "PINHOLE": [focal, focal, *middle],
        "SIMPLE_RADIAL": [focal, *middle, 0.0],
        "OPENCV": [focal, focal, *middle, 0.0, 0.0, 0.0, 0.0],
        "OPENCV_FISHEYE": [focal, focal, *middle, 0.0, 0.0, 0.0, 0.0],
    }[model]
