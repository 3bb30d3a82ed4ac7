"""The portable scene: see `sightline.runs.portable`."""

from pathlib import Path

from sightline.exports.source import Exported, Source
from sightline.exports.weights.config import WeightsOptions
from sightline.foundation.errors import inform
from sightline.runs.portable import write_portable


def export_weights(source: Source, options: WeightsOptions, out: Path | None = None) -> Exported:
    """Write what rendering needs, and no more, as one file; see `WeightsOptions`.

    Args:
        out: the file; in `exports/` of the run folder, named after it, where not given.
    """
    path = out or source.run.path / "exports" / f"{source.run.path.resolve().name}.sightline"
    write_portable(source.run, source.method, path, half=options.half)
    size = path.stat().st_size
    inform(f"{size / 1e6:.1f} MB; render it with: sightline render {path.name}")
    return Exported((path,), {"bytes": size, "half": options.half, "cameras": len(source.cameras)})
