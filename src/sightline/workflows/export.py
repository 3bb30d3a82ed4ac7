"""Exporting a run: loading it with what exporters need, and calling one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.captures import Capture
from sightline.exports.registry import get_export_info
from sightline.exports.source import Counting, Exported, Source
from sightline.foundation.errors import InputError
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.runs.settings import from_plain, refuse_not_finite
from sightline.training.estimates import available_memory
from sightline.workflows.counting import counting
from sightline.workflows.evaluate import one_scene
from sightline.workflows.scenes import Device, load_method, load_scene
from sightline.workflows.shown_objects import ShownObject, show_object


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how long it took."""

    kind: str
    exported: Exported
    seconds: float

    @property
    def path(self) -> Path:
        """The main file."""
        return self.exported.paths[0]

    def to_json(self) -> dict[str, Any]:
        """What `sightline export --json` prints."""
        return {
            "export": self.kind,
            "paths": [path.as_posix() for path in self.exported.paths],
            "seconds": round(self.seconds, 2),
            **self.exported.facts,
        }


def export_run(
    run: Run | Path | str,
    kind: str,
    options: Any | Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    data: Path | str | None = None,
    device: Device = "auto",
    best: bool = False,
    object: str | None = None,
    split: str = "test",
    sources: str | None = None,
    counting: Counting = counting,
) -> ExportResult:
    """Make a mesh, points, a volume, a portable scene or a web page of a run.

    Args:
        run: the run, its folder, or a portable scene.
        kind: name of an export.
        options: its settings: the dataclass or a mapping; defaults where not given.
        out: the file to write; in `exports/` of the run folder where not given.
        data: where the photos are, if not at their recorded place.
        best: use the weights with the highest validation PSNR.
        object: of a method that generalises: id of the object; the first of the split where not given.
        split: whose objects there are to choose from.
        sources: views that show the object, by number or name with commas; what is usual for the method where
            not given, and of one scene its training views.
        counting: shows progress of long work; a counter on stderr where not given.

    Raises:
        InputError: an unknown export or setting, or something that this scene cannot do, with the reason.
    """
    started = time.perf_counter()
    run = run if isinstance(run, Run) else Run.open(run)
    info = get_export_info(kind)
    if options is None or isinstance(options, Mapping):
        options = from_plain(info.options_class(), options or {})
    refuse_not_finite(options)
    learns_one = run.method_info.learns == "one scene"
    if learns_one:
        if object is not None or sources is not None:
            raise InputError(
                f"{run.method_name} has learnt one scene: it has neither objects nor source views",
                where="--object, --sources",
                fix="Leave them away",
            )
        capture = run.capture_info().as_capture()
        loaded = load_scene(run, device=device, best=best)
    else:
        method = load_method(run, device=device, best=best)
        shown = _show(run, method.method, data, object, split, sources)
        capture, loaded = shown.capture, method.see(shown.views)

    def open_photos() -> Capture:
        opened = one_scene(run.open_data(data)) if learns_one else capture
        return opened.split("train") if opened.splits.get("train") else opened

    source = Source(
        run=run,
        method=loaded.method,
        scene=loaded.scene,
        cameras=_training_cameras(capture).cameras,
        open_photos=open_photos,
        device=loaded.device,
        memory=available_memory(),
        counting=counting,
        capture=capture,
    )
    target = None if out is None else Path(out)
    if target is not None and target.is_dir():
        raise InputError("This is a folder, and the export is a file", where=f"--out {out}")
    exported = info.function()(source, options, target)
    return ExportResult(info.name, exported, time.perf_counter() - started)


def _show(
    run: Run, method: Method, data: Path | str | None, object: str | None, split: str, sources: str | None
) -> ShownObject:
    """Open an object with its source views; of one scene that nobody says more of, its training views."""
    if object is None and sources is None:
        found = run.open_data(data)
        if isinstance(found, Capture):
            return ShownObject(found.name, found.split("train"), found)
    return show_object(run, method, data=data, object=object, split=split, sources=sources)


def _training_cameras(capture: Capture) -> Capture:
    return capture.split("train") if capture.splits.get("train") else capture
