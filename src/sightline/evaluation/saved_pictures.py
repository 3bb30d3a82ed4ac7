"""Pictures of all views of an evaluation of many objects, in a folder of their own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sightline.evaluation.results import SubjectResult
from sightline.evaluation.views import file_stems
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.media.images import to_uint8, write_png

MARK = "pictures.json"
_APART = ("objects", "every", "approximate", "protocol")
"""settings of an evaluation that its pictures do not follow from"""


class SavedPictures:
    """Writes `OBJECT/VIEW.png` for every view that is judged, and knows which are there.

    `pictures.json` says what they were made with; pictures of two settings are never in one folder.

    Args:
        folder: a new or empty one, or one that this has begun.
        settings: JSON values that decide the scores.
        data: where the truth is, which no picture may lie among.

    Raises:
        InputError: the folder holds something else, or pictures of other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], data: Path):
        self.folder = folder
        here, there = folder.resolve(), data.resolve()
        if here == there or there in here.parents or here in there.parents:
            raise InputError(
                "Pictures would be written among the data", where=folder, fix="Give another folder"
            )
        made_with = {name: value for name, value in settings.items() if name not in _APART}
        made_with = json.loads(json.dumps(made_with))
        mark = folder / MARK
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not mark.is_file():
                raise InputError(
                    "The folder for the pictures is not empty", where=folder, fix="Give a new one"
                )
            if read_json(mark) != made_with:
                raise InputError(
                    "The folder holds pictures that were made with other settings",
                    where=mark,
                    fix="Give a new one, or remove it",
                )
        write_json(mark, made_with)

    def add(self, place: str, prediction: np.ndarray) -> None:
        """Write one view's picture (height, width, 3) in [0, 1] as PLACE.png."""
        write_png(self.folder / f"{place}.png", to_uint8(prediction))

    def has(self, name: str, result: SubjectResult) -> bool:
        """Whether the pictures of all views of a finished object are there, whose folder has that name."""
        groups: dict[tuple[int, ...] | None, list[str]] = {}
        for view in result.views:
            groups.setdefault(view.sources, []).append(view.name)
        for sources, names in groups.items():
            folder = self.folder / name
            if len(groups) > 1 and sources:
                folder = folder / f"from_{sources[0]}"
            if not all((folder / f"{stem}.png").is_file() for stem in file_stems(names)):
                return False
        return True
