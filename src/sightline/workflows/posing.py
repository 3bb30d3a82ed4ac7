"""Photos without camera poses: finding these before anything else, and data that has them already."""

from pathlib import Path

from sightline.captures import open_capture, write_capture
from sightline.captures.opening import detect_format
from sightline.foundation.errors import InputError, inform
from sightline.photos.photo_files import holds_photos, is_video
from sightline.photos.pose_options import PoseOptions
from sightline.photos.poses import FoundPoses, find_poses
from sightline.photos.workspace import Workspace
from sightline.workflows.counting import counting
from sightline.workflows.evaluate import one_scene
from sightline.workflows.naming import data_name

CAPTURES = Path("captures")
"""where captures are made where nobody says where"""
_MOST_MEGAPIXELS = 3.0
_GOOD_SIDE = 1200


def pose_photos(
    source: Path | str, out: Path | None = None, options: PoseOptions | None = None
) -> FoundPoses:
    """Find the camera poses of a folder of photos or a video; see `find_poses`.

    Args:
        out: folder of the capture; captures/NAME where not given.

    Raises:
        InputError: there is nothing to find poses of; data that has poses is named as such.
    """
    source = _existing(source)
    found = _posed(source)
    if found is not None:
        raise InputError(
            f"This data has camera poses already ({found})",
            where=source,
            fix="Train on it as it is, or write it in another format with sightline data convert",
        )
    out = out or default_capture(source)
    try:
        return find_poses(source, out, options or PoseOptions(), counting)
    except KeyboardInterrupt:
        inform(f"Stopped. The same command goes on with what is in {out}")
        raise


def take_posed(source: Path | str, out: Path | None) -> Path | None:
    """Take data that has camera poses as it is: written to `out` as transforms.json where that is given.

    Returns:
        Where the posed data is; None where the source has no poses.
    """
    source = _existing(source)
    found = _posed(source)
    if found is None:
        return None
    inform(f"{source} has camera poses already ({found}): they are taken as they are")
    if out is None:
        return source
    write_capture(one_scene(open_capture(source)), out, "transforms")
    return out


def ensure_poses(data: Path, options: PoseOptions | None = None) -> Path:
    """Give data with poses: the data itself, or the capture made of photos or a video without them.

    A capture that was made of them before is taken again.
    """
    if _posed(data) is not None or not (is_video(data) or holds_photos(data)):
        return data
    out = default_capture(data)
    if Workspace(out).result.is_file():
        inform(f"{data} has no camera poses: those found before, in {out}, are taken")
        return out
    inform(f"{data} has no camera poses: they are found first, into {out}")
    found = pose_photos(data, out, options)
    for line in found.lines():
        inform(line)
    return out


def default_capture(source: Path) -> Path:
    """Name the capture after the photos."""
    return CAPTURES / data_name(source)


def size_advice(found: FoundPoses) -> str | None:
    """Say by what to divide the size of large photos in training; None where they are small."""
    pixels = max(camera["width"] * camera["height"] for camera in found.cameras)
    if pixels <= _MOST_MEGAPIXELS * 1e6:
        return None
    side = max(max(camera["width"], camera["height"]) for camera in found.cameras)
    factor = max(2, round(side / _GOOD_SIDE))
    return f"The photos have {pixels / 1e6:.0f} megapixels: --downscale {factor} trains faster at first"


def _existing(source: Path | str) -> Path:
    source = Path(source).expanduser()
    if not source.exists():
        raise InputError("There is no such folder or file", where=source, fix="Check the path")
    return source


def _posed(source: Path) -> str | None:
    """Name the format of data that has poses; None where it has none."""
    if is_video(source) and source.suffix.lower() not in (".json", ".npz"):
        return None
    try:
        return detect_format(source)
    except InputError:
        return None
