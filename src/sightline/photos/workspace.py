"""The folder that a capture is made in: upright photos, masks for features, and what resuming needs."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.captures.decoding import decode
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.photos.colmap_stages import Watch
from sightline.photos.photo_files import PhotoFile, read_upright

RESULT_FILE = "poses.json"
_JOB_FILE = "begun.json"


@dataclass(frozen=True)
class Workspace:
    """Where what lies, in the folder of the capture."""

    root: Path

    @property
    def images(self) -> Path:
        """Upright photos."""
        return self.root / "images"

    @property
    def masks(self) -> Path:
        """A mask for each photo, named as it with .png after it; black is left out."""
        return self.root / "masks"

    @property
    def left_out(self) -> Path:
        """Photos that found no place."""
        return self.root / "left_out"

    @property
    def work(self) -> Path:
        """COLMAP's own files, which nothing needs afterwards."""
        return self.root / "colmap"

    @property
    def database(self) -> Path:
        """Features and matches."""
        return self.work / "database.db"

    @property
    def model(self) -> Path:
        """The sparse model of the capture."""
        return self.root / "sparse" / "0"

    @property
    def result(self) -> Path:
        """What was found; there when all is done."""
        return self.root / RESULT_FILE

    def begin(self, job: Mapping[str, Any]) -> bool:
        """Take a new or an interrupted folder; says whether it goes on.

        Args:
            job: what the result depends on, as JSON.

        Raises:
            InputError: the folder holds something else, or was begun with another job.
        """
        file = self.work / _JOB_FILE
        if self.result.is_file():
            raise InputError(
                "The folder holds a finished capture", where=self.root, fix="Give another --out, or remove it"
            )
        if file.is_file():
            if read_json(file) != _plain(job):
                raise InputError(
                    "The folder was begun with other photos or other settings",
                    where=self.root,
                    fix="Give the same ones to go on, another --out, or remove it",
                )
            return True
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise InputError("The output folder is not empty", where=self.root, fix="Give a new folder")
        self.work.mkdir(parents=True, exist_ok=True)
        write_json(file, _plain(job))
        return False

    def finish(self, found: Mapping[str, Any], keep: bool) -> None:
        """Write the result, the last file of a capture, and remove what nothing needs any more."""
        write_json(self.result, found)
        if not keep:
            shutil.rmtree(self.work, ignore_errors=True)


def _plain(job: Mapping[str, Any]) -> Any:
    import json

    return json.loads(json.dumps(job))


def copy_upright(photos: Sequence[PhotoFile], target: Path, watch: Watch) -> None:
    """Copy photos into a folder as they are, and those that EXIF turns as PNG or JPEG that need no turning.

    What is there already, from an interrupted call, stays.
    """
    with watch("copying photos", len(photos)) as on_done:
        for number, photo in enumerate(photos):
            path = target / photo.name
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f".{path.name}.tmp")
                if photo.orientation == 1:
                    shutil.copyfile(photo.path, partial)
                else:
                    _write_like(photo, partial)
                partial.replace(path)
            on_done(number + 1)


def _write_like(photo: PhotoFile, path: Path) -> None:
    picture = Image.fromarray(read_upright(photo))
    suffix = photo.path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        picture.convert("RGB").save(path, format="JPEG", quality=97, subsampling=0)
    else:
        form = {".tif": "TIFF", ".tiff": "TIFF"}.get(suffix, suffix[1:].upper())
        picture.save(path, format=form)


def write_masks(photos: Sequence[PhotoFile], given: Path | None, workspace: Workspace) -> bool:
    """Write a mask for every photo that has one; says whether any does.

    Args:
        given: folder of masks named as the photos (with any suffix), black where a photo is not to be looked
            at; None: a photo's transparency counts.

    Raises:
        InputError: the folder holds no mask of a photo, or one of another size than its photo.
    """
    if given is not None and not given.is_dir():
        raise InputError("There is no such folder of masks", where=f"--masks {given}")
    there = {} if given is None else _by_stem(given)
    found = 0
    for photo in photos:
        mask = None
        if given is not None:
            file = there.get(Path(photo.name).with_suffix("").as_posix()) or there.get(photo.name)
            mask = None if file is None else _read_mask(file, photo)
        elif photo.has_alpha:
            mask = read_upright(photo)[..., 3] >= 128
        if mask is None:
            continue
        found += 1
        path = workspace.masks / f"{photo.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path, format="PNG")
    if given is not None and not found:
        raise InputError(
            "None of the masks belongs to a photo",
            where=f"--masks {given}",
            fix=f"Name them as the photos, such as {Path(photos[0].name).stem}.png",
        )
    return found > 0


def _by_stem(folder: Path) -> dict[str, Path]:
    files = sorted(entry for entry in folder.rglob("*") if entry.is_file())
    return {entry.relative_to(folder).with_suffix("").as_posix(): entry for entry in files}


def _read_mask(file: Path, photo: PhotoFile) -> np.ndarray:
    mask = decode(file, 1)
    if mask.shape != (photo.height, photo.width):
        raise InputError(
            f"The mask has {mask.shape[1]}x{mask.shape[0]} pixels, its photo {photo.width}x{photo.height}",
            where=file,
            fix="Give masks of the photos' own (upright) size",
        )
    return mask >= 128
