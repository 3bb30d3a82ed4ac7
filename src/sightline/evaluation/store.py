"""Results of finished objects on disk: what an evaluation that was stopped goes on from."""

import json
import math
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.evaluation.protocols import Protocol, Scores
from sightline.evaluation.results import SubjectResult, ViewResult
from sightline.evaluation.tally import subject_baselines
from sightline.evaluation.views import safe_name
from sightline.foundation.errors import InputError, inform
from sightline.foundation.files import read_json, write_atomic, write_json

SCHEMA = 1
SETTINGS = "settings.json"
OBJECTS = "objects"
_LONGEST_NAME = 120
_MADE = ("images", "panels", OBJECTS, "metrics.json", "per_view.csv", "contact_sheet.png", SETTINGS)


class ResultStore:
    """A file for each finished object, written whole, in the folder of an evaluation.

    `settings.json` beside them says what they were made with. A folder of other settings is cleared, with a
    message that names what differs: results of two settings are never mixed.

    Args:
        folder: of the evaluation.
        settings: JSON values that decide the scores.
        objects: ids of the objects, in the order of evaluation.
        protocol: its own files are in a folder of its name, and cleared with the rest.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], objects: Sequence[str], protocol: Protocol):
        self.folder, self.protocol = folder, protocol
        self.settings = json.loads(json.dumps({"schema": SCHEMA, **settings}, allow_nan=False))
        self.objects = tuple(objects)
        self.names = unique_names(objects)
        self._open()

    @property
    def own_files(self) -> Path:
        """Folder of the protocol's own files."""
        return self.folder / self.protocol.name

    def has(self, object: str) -> bool:
        """Whether an object is finished."""
        return self._path(object).is_file()

    def write(self, result: SubjectResult) -> None:
        """Keep the result of an object; RunError where the disk refuses."""
        assert result.name is not None
        metrics = self.protocol.kept_metrics
        document = {
            "object": result.name,
            "category": result.category,
            "metrics": list(metrics),
            "views": [
                {
                    "index": view.index,
                    "name": view.name,
                    **({} if view.sources is None else {"sources": list(view.sources)}),
                    "scores": _to_json([view.scores[metric] for metric in metrics]),
                    "seconds": round(view.seconds, 4),
                    **({"broken_pixels": view.broken_pixels} if view.broken_pixels else {}),
                }
                for view in result.views
            ],
            "baselines": {
                name: _to_json([scores[metric] for metric in metrics])
                for name, scores in subject_baselines(result, self.protocol).items()
            },
        }
        means = self.protocol.average([view.scores for view in result.views])
        self.protocol.write_object(self.own_files / self.names[result.name], means)
        path = self._path(result.name)
        write_atomic(path, (json.dumps(document, allow_nan=False) + "\n").encode("utf-8"))

    def read(self, object: str) -> SubjectResult:
        """Read the result of a finished object; InputError where the file is damaged."""
        path = self._path(object)
        document = read_json(path)
        try:
            metrics = document["metrics"]
            return SubjectResult(
                name=document["object"],
                category=document["category"],
                views=[
                    ViewResult(
                        index=view["index"],
                        name=view["name"],
                        scores=_scores(metrics, view["scores"]),
                        seconds=view["seconds"],
                        broken_pixels=view.get("broken_pixels", 0),
                        sources=tuple(view["sources"]) if "sources" in view else None,
                    )
                    for view in document["views"]
                ],
                baselines={name: _scores(metrics, values) for name, values in document["baselines"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"The result of an object is damaged ({error!r})",
                where=path,
                fix="Remove the file; the object is then scored again",
            ) from error

    def read_all(self) -> Iterator[SubjectResult]:
        """Read the results of all objects, one after the other."""
        return (self.read(object) for object in self.objects)

    def finished(self) -> int:
        """How many of the objects are finished."""
        return sum(self.has(object) for object in self.objects)

    def _path(self, object: str) -> Path:
        return self.folder / OBJECTS / f"{self.names[object]}.json"

    def _open(self) -> None:
        path = self.folder / SETTINGS
        if path.is_file():
            earlier = read_json(path)
            changed = _differences(earlier, self.settings)
            if not changed:
                done = self.finished()
                if 0 < done < len(self.objects):
                    inform(f"{done} of {len(self.objects)} objects are finished in {self.folder}: going on")
                return
            inform(f"What is in {self.folder} was made with other settings ({'; '.join(changed)}): new start")
        self._clear()
        write_json(path, self.settings)

    def _clear(self) -> None:
        # The settings go last: a stop in between leaves a folder that is cleared again.
        for name in (self.protocol.name, *_MADE):
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def unique_names(ids: Sequence[str]) -> dict[str, str]:
    """Name a file or folder for each id: the id with _ for what file names may not hold, all different."""
    plain = {id: safe_name(id)[:_LONGEST_NAME] for id in ids}
    counts = Counter(name.casefold() for name in plain.values())
    return {
        id: f"{name}-{zlib.crc32(id.encode()):08x}" if counts[name.casefold()] > 1 else name
        for id, name in plain.items()
    }


def _differences(earlier: Any, now: Mapping[str, Any]) -> list[str]:
    if not isinstance(earlier, dict):
        return ["they cannot be read"]
    names = [name for name in dict.fromkeys([*now, *earlier]) if earlier.get(name) != now.get(name)]
    return [f"{name}: {_short(earlier.get(name))} before, {_short(now.get(name))} now" for name in names]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _to_json(values: Sequence[float | None]) -> list[float | str | None]:
    return ["inf" if value == math.inf else value for value in values]


def _scores(metrics: Sequence[str], values: Sequence[float | str | None]) -> Scores:
    return {
        metric: None if value is None else float(value) for metric, value in zip(metrics, values, strict=True)
    }
