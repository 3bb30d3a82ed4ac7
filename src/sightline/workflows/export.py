"""Exporting a run: loading it with what exporters need, and calling one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.captures import Capture
from sightline.exports.registry import get_export_info
from sightline.exports.source import Exported, Source
from sightline.foundation.errors import InputError
from sightline.runs.run import Run
from sightline.runs.settings import from_plain, refuse_not_finite
from sightline.training.estimates import available_memory
from sightline.workflows.counting import counting
from sightline.workflows.evaluate import one_scene, source_views
from sightline.workflows.scenes import Device, load_scene


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
) -> ExportResult:
    """Make a mesh, points, a volume or a portable scene of a run.

    Args:
        run: the run, its folder, or a portable scene.
        kind: name of an export.
        options: its settings: the dataclass or a mapping; defaults where not given.
        out: the file to write; in `exports/` of the run folder where not given.
        data: where the photos are, if not at their recorded place.
        best: use the weights with the highest validation PSNR.

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
    capture = run.capture_info().as_capture() if learns_one else one_scene(run.open_data(data))
    loaded = load_scene(run, device=device, best=best, sources=source_views(run, capture))

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
    )
    target = None if out is None else Path(out)
    if target is not None and target.is_dir():
        raise InputError("This is a folder, and the export is a file", where=f"--out {out}")
    exported = info.function()(source, options, target)
    return ExportResult(info.name, exported, time.perf_counter() - started)


def _training_cameras(capture: Capture) -> Capture:
    return capture.split("train") if capture.splits.get("train") else capture
