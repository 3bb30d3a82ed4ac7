"""Where the settings of a training come from: defaults, then preset, then a file, then flags (no torch)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.foundation.registry import load
from sightline.methods.registry import MethodInfo
from sightline.runs.record import RUN_FILE, RunRecord
from sightline.runs.settings import from_plain, refuse_unknown
from sightline.training.settings import TrainSettings

_FALLBACK_MINUTES = 1.0


@dataclass(frozen=True)
class DataOptions:
    """How the data is opened."""

    format: str | None = None
    """format of the data; detected where not given"""
    downscale: float = 1
    """divide the size of the images by this"""
    holdout: int = 8
    """where the data has no split, hold out every so many-th view for testing; 0 for none"""
    split_rule: str | None = None
    """how to split: format (default), holdout, center, bmild, nerf_pl, flax_nerf, llffholdN, testskipN"""
    resize_rule: str | None = None
    """how to make images smaller: area (default), area-straight (bmild, flax_nerf), lanczos (nerf_pl),
    box, pooled (pixelnerf), bilinear (enr)"""
    strict: bool = False
    """refuse data with missing images instead of skipping them"""
    angle_unit: Literal["degrees", "radians"] | None = None
    """of data that holds angles (enr); what the set says, else told by the numbers, where not given"""


@dataclass(frozen=True)
class TrainOptions(DataOptions, TrainSettings):
    """Everything of `sightline train` that does not depend on the method."""

    out: Path | None = None
    """run folder to make; runs/DATA-METHOD where not given"""
    preset: str | None = None
    """named set of the method's settings; later settings go over it"""
    config: Path | None = None
    """settings from a YAML file or from the run.json of another run; flags go over them"""
    init: Path | None = None
    """run folder or weights file to start from"""
    mask_background: bool = False
    """of photos of an object: learn the object alone; it is cut out of all photos first"""
    mask_with: Literal["grabcut", "rembg"] = "grabcut"
    """how it is cut out: by colours (grabcut), or by a network (rembg, to be installed: pip install rembg)"""
    resume: bool = False
    """go on where the run in --out was stopped; start it where there is none"""
    view: bool = False
    """show the scene in the browser while it is trained, and afterwards until Ctrl-C"""
    view_port: int = 7007
    """port of that viewer; 0 for any that is free"""

    @property
    def settings(self) -> TrainSettings:
        """The part that the training loop needs."""
        return TrainSettings(**{field.name: getattr(self, field.name) for field in fields(TrainSettings)})

    @property
    def data_options(self) -> dict[str, Any]:
        """The part that opening the data needs."""
        return {name: getattr(self, name) for name in DATA_OPTIONS}


DATA_OPTIONS = tuple(field.name for field in fields(DataOptions))
_NOT_IN_FILES = ("out", "config", "init", "resume", "view", "view_port")


@dataclass(frozen=True)
class Layers:
    """Settings before flags are applied."""

    options: TrainOptions
    config: Any
    """the method's configuration"""


def read_layers(
    info: MethodInfo, *, preset: str | None = None, file: Path | None = None, resumed: Path | None = None
) -> Layers:
    """Put together defaults, preset and file.

    Args:
        preset: name of a preset; where not given, the one that the file names, or the method's default one.
        file: YAML file, or a run.json.
        resumed: a run folder to go on with: its settings take the place of the defaults.

    Raises:
        InputError: unknown preset, settings that do not exist (all of them are named), or of a wrong type.
    """
    options, values, config_values = TrainOptions(), {}, {}
    if resumed is not None and (resumed / RUN_FILE).is_file():
        values, config_values = _of_run(resumed / RUN_FILE, info)
    if file is not None:
        of_file, config_of_file = read_settings(file, info)
        values, config_values = {**values, **of_file}, {**config_values, **config_of_file}
    chosen = preset or values.get("preset")
    config = info.build_config(chosen)
    options = from_plain(TrainOptions, values, where=file, base=options)
    config = from_plain(type(config), config_values, where=file, base=config)
    return Layers(replace(options, preset=chosen), config)


def read_settings(path: Path, info: MethodInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file of settings; gives those that all methods share and those of the method.

    Both kinds stand side by side, named as on the command line (with - or _), or as the published program of
    the method has them.
    """
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if isinstance(document, dict) and "schema" in document and "method" in document:
            return _of_run(path, info)
    else:
        document = _read_yaml(path)
    if document is None:
        return {}, {}
    if not isinstance(document, Mapping):
        raise InputError(
            "The file does not hold names and values", where=path, fix="Write lines such as: seed: 1"
        )
    values = {str(name).replace("-", "_"): value for name, value in document.items()}
    if info.translate is not None:
        values = dict(load(info.translate)(values, path))
    if values.pop("method", info.name) != info.name:
        raise InputError(
            f"The settings are for the method {document['method']!r}, not {info.name}", where=path
        )
    shared = [field.name for field in fields(TrainOptions) if field.name not in _NOT_IN_FILES]
    own = [field.name for field in fields(info.config_class())]
    refuse_unknown(values, [*shared, *own], where=path)
    return (
        {name: value for name, value in values.items() if name in shared},
        {name: value for name, value in values.items() if name in own},
    )


def _of_run(path: Path, info: MethodInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    record = RunRecord.read(path.parent)
    if record.method != info.name:
        raise InputError(f"The run is of the method {record.method!r}, not {info.name}", where=path)
    known = {field.name for field in fields(TrainSettings)}
    values = {name: value for name, value in record.training.items() if name in known}
    values |= {"seed": record.seed, "preset": record.preset}
    if "mask_with" in record.source:
        values |= {"mask_background": True, "mask_with": record.source["mask_with"]}
    values |= {name: value for name, value in record.data.options.items() if name in DATA_OPTIONS}
    return values, dict(record.config)


def _read_yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError("The file does not exist", where=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the file ({error})", where=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path
        raise InputError(f"Not valid YAML: {getattr(error, 'problem', error)}", where=place) from error


def with_budget(options: TrainOptions, info: MethodInfo) -> TrainOptions:
    """Fill in how long to train where neither --minutes nor --steps is given."""
    if options.minutes is not None or options.steps is not None:
        return options
    if info.default_steps is not None:
        return replace(options, steps=info.default_steps)
    return replace(options, minutes=info.default_minutes or _FALLBACK_MINUTES)


def differing(first: Any, second: Any) -> list[str]:
    """Name the fields in which two configurations of the same class differ."""
    others = asdict(second)
    return [name for name, value in asdict(first).items() if value != others[name]]
