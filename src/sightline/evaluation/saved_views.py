"""Evaluations that lie in a run folder, read back: their scores, and the pictures of their views."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from sightline.evaluation.object_pictures import LEAST_WIDTH
from sightline.evaluation.pictures import PANEL_WIDTH
from sightline.evaluation.store import unique_names
from sightline.evaluation.views import file_stems
from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import read_json
from sightline.media.images import read_image
from sightline.media.panels import cut_row, shrink_to_width

_NEEDED = ("split", "protocol", "views", "per_view", "baselines")


@dataclass(frozen=True)
class SavedView:
    """A view of an evaluation and where its pictures are."""

    entry: Mapping[str, Any]
    """its line of `per_view`"""
    picture: Path
    panel: Path
    alone: bool = False
    """whether its object is the only one of the evaluation"""

    @property
    def name(self) -> str:
        """Name of the picture in the data."""
        return str(self.entry["name"])

    @property
    def object(self) -> str | None:
        """Id of the object; None for a single scene."""
        return self.entry.get("object")

    @property
    def key(self) -> tuple[str | None, str]:
        """What tells it from other views; one object alone is a scene, whatever it is called."""
        return None if self.alone else self.object, self.name


@dataclass(frozen=True)
class SavedEvaluation:
    """An evaluation as its folder has it."""

    folder: Path
    metrics: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def data_name(self) -> str:
        """Name of the data's folder, wherever it lay."""
        return PurePath(str(self.metrics.get("data", "")).replace("\\", "/")).name

    @property
    def is_usual(self) -> bool:
        """Whether it is of test views by the usual protocol."""
        return (self.metrics["split"], self.metrics["protocol"]) == ("test", "sightline")

    def views(self) -> list[SavedView]:
        """The views whose pictures are there, in the order of the evaluation."""
        return [view for view in self._all() if view.picture.is_file()]

    def size(self) -> tuple[int, int] | None:
        """Width and height of the first picture that is there; None where none is."""
        for view in self._all():
            if view.picture.is_file():
                found = _read(view.picture)
                return None if found is None else (found.shape[1], found.shape[0])
        return None

    def _all(self) -> Iterator[SavedView]:
        entries = self.metrics["per_view"] or []
        groups: dict[tuple[str | None, tuple[int, ...]], list[Mapping[str, Any]]] = {}
        cases: dict[str | None, set[tuple[int, ...]]] = {}
        for entry in entries:
            sources = tuple(entry.get("sources", ()))
            groups.setdefault((entry.get("object"), sources), []).append(entry)
            cases.setdefault(entry.get("object"), set()).add(sources)
        names = unique_names([name for name in cases if name is not None])
        for (name, sources), members in groups.items():
            below = Path() if name is None else Path(names[name])
            if len(cases[name]) > 1 and sources:
                below /= f"from_{sources[0]}"
            for entry, stem in zip(members, file_stems([str(e["name"]) for e in members]), strict=True):
                file = below / f"{stem}.png"
                images, panels = self.folder / "images" / file, self.folder / "panels" / file
                yield SavedView(entry, images, panels, alone=len(cases) == 1)


@dataclass(frozen=True)
class SavedPicture:
    """The pictures of one view: uint8 (height, width, 3)."""

    prediction: np.ndarray
    truth: np.ndarray | None
    """from the panel, at most 512 pixels wide; None where there is none"""
    sources: tuple[np.ndarray, ...] = ()
    """up to three views that the object was shown by"""


def read_evaluations(run: Path) -> tuple[list[SavedEvaluation], list[str]]:
    """Read all evaluations of a run folder: those of test views by the usual protocol first, then by name.

    Returns:
        The evaluations, and a sentence about each whose `metrics.json` is damaged, which is left out.
    """
    found, problems = [], []
    for path in sorted((Path(run) / "eval").glob("*/metrics.json")):
        try:
            metrics = read_json(path)
        except InputError as error:
            problems.append(f"The evaluation {path.parent.name} is left out. {error}")
            continue
        if not isinstance(metrics, dict) or any(name not in metrics for name in _NEEDED):
            problems.append(
                f"The evaluation {path.parent.name} is left out: its metrics.json is of another kind."
            )
            continue
        found.append(SavedEvaluation(path.parent, metrics))
    found.sort(key=lambda evaluation: (not evaluation.is_usual, len(evaluation.name)))
    return found, problems


def read_pictures(view: SavedView) -> SavedPicture | None:
    """Read the pictures of a view; None where its prediction cannot be read."""
    prediction = _read(view.picture)
    if prediction is None:
        return None
    panel = _read(view.panel) if view.panel.is_file() else None
    if panel is None:
        return SavedPicture(prediction, None)
    scale = -(-LEAST_WIDTH // prediction.shape[1])
    for factor in dict.fromkeys((1, scale)):
        tile = shrink_to_width(prediction.repeat(factor, 0).repeat(factor, 1), PANEL_WIDTH)
        tiles = cut_row(panel, tile.shape[:2])
        # Sources, truth, prediction, error: where the prediction is itself, so is the truth beside it.
        if tiles is not None and len(tiles) >= 3 and np.array_equal(tiles[-2], tile):
            own = [picture[::factor, ::factor] for picture in tiles]
            return SavedPicture(prediction, own[-3], tuple(own[:-3]))
    return SavedPicture(prediction, None)


def _read(path: Path) -> np.ndarray | None:
    try:
        picture = read_image(path)
    except InputError as error:
        warn(f"A picture is left out. {error}")
        return None
    if picture.dtype != np.uint8:
        return None
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture[..., :3]
