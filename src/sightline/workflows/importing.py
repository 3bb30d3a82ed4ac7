"""Importing: checkpoints of other programs → a run folder that every other command takes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from sightline.captures import Capture, Collection, detect_format, open_capture
from sightline.captures.formats.llff import FILE_NAME as POSES_FILE
from sightline.foundation.cache import sha256_of
from sightline.foundation.errors import InputError, inform
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.registry import AUTO, read_files
from sightline.methods.base import Method
from sightline.methods.registry import MethodInfo, get_method_info
from sightline.runs.record import DataSource, RunProgress, RunRecord, package_versions
from sightline.runs.run import Run
from sightline.runs.settings import from_plain, refuse_not_finite, refuse_unknown, to_plain
from sightline.runs.weights import apply_weights, write_weights
from sightline.workflows.options import DataOptions, read_settings

# Formats whose captures state no split of their own.
_WITHOUT_SPLIT = ("llff", "colmap")


def import_checkpoint(
    files: Sequence[Path | str],
    out: Path | str,
    *,
    source: str = AUTO,
    preset: str | None = None,
    data: Path | str | None = None,
    config: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    opening: DataOptions | None = None,
) -> Run:
    """Make a run folder of a checkpoint.

    Args:
        files: files of one checkpoint; what belongs to it beside them is read too.
        out: the run folder, new or empty.
        source: the program that wrote it (`importers.registry.SOURCE_NAMES`), or "auto".
        preset: for what the file does not say; the program's own where not given.
        data: what the weights were trained on; poses_bounds.npy beside the file where not given.
        config: YAML file (or run.json) with settings of the method, over those of file and preset.
        settings: the same, over those of `config`.
        opening: how the data is opened.

    Raises:
        InputError: the files are not of that program, tensors of them do not fit (all are listed), settings
            contradict the weights, the data is needed or does not suit. Nothing is written then.
    """
    paths = [Path(file).expanduser() for file in files]
    chosen, read = read_files(paths, source)
    reading = chosen.read(read)
    info = get_method_info(reading.method)
    preset = _choose_preset(chosen, reading, preset)
    given = _given(info, config, settings or {})
    complete = _complete(info, reading, preset, given, paths)
    weights = reading.weights(complete)
    method: Method = info.method_class()(complete)
    options = opening or DataOptions()
    place = _place_of_data(data, paths[0], complete)
    capture = None if place is None else _open(place, reading, options)
    state = _state(method, reading, complete, capture)
    apply_weights(method, weights, where=", ".join(map(str, paths)))
    origins = _origins(reading, complete, preset, given, {} if capture is None else state)
    record = RunRecord(
        method=info.name,
        config=to_plain(complete),
        data=_data_source(place, capture, Path(out), options),
        preset=preset,
        state=to_plain(state),
        progress=RunProgress(step=reading.step, fraction=1.0, finished=True),
        versions=package_versions(),
        source={
            "imported": chosen.name,
            "files": [{"name": file.path.name, "sha256": sha256_of(file.path)} for file in read],
            "facts": _plain(reading.facts),
            "settings": origins,
        },
    )
    run = _write(Path(out), record, capture, method, reading.step)
    inform(_summary(chosen, read, reading, method))
    for origin, values in origins.items():
        told = {name: value for name, value in values.items() if name in reading.told and value is not None}
        if told:
            inform(f"From {_ORIGINS[origin]}: {', '.join(f'{name} {_short(told[name])}' for name in told)}")
    return run


_ORIGINS = {"file": "the file", "preset": "the preset", "given": "what was given", "data": "the data"}


def _choose_preset(source: Source, reading: Reading, wanted: str | None) -> str:
    if wanted is None:
        return reading.preset
    if wanted not in source.presets:
        raise InputError(
            f"The preset {wanted!r} does not go with checkpoints of {source.name}: its networks differ",
            where="--preset",
            fix=f"Choose one of: {', '.join(source.presets)}",
        )
    return wanted


def _given(info: MethodInfo, file: Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that the user gives; None of a flag means that it was not given."""
    values = {} if file is None else read_settings(file, info)[1]
    values |= {name: value for name, value in settings.items() if value is not None}
    refuse_unknown(values, [field.name for field in fields(info.config_class())], where=info.name)
    return values


def _complete(
    info: MethodInfo, reading: Reading, preset: str, given: Mapping[str, Any], paths: Sequence[Path]
) -> Any:
    """The configuration: preset, file, then what is given, which may not contradict the weights."""
    base = info.build_config(preset, **reading.exact)
    of_file = from_plain(type(base), reading.settings, where=paths[0], base=base)
    complete = from_plain(type(base), given, base=of_file)
    refuse_not_finite(complete)
    wrong = [name for name in reading.fixed if getattr(complete, name) != getattr(of_file, name)]
    if wrong:
        listing = ", ".join(
            f"{name} {getattr(complete, name)}, but it is {getattr(of_file, name)}" for name in sorted(wrong)
        )
        raise InputError(
            f"Settings contradict the weights: {listing}", where=paths[0], fix="Leave these settings away"
        )
    return complete


def _place_of_data(data: Path | str | None, file: Path, config: Any) -> Path | None:
    """The data: what is given, else poses_bounds.npy beside the file, for scenes that may be photos."""
    if data is not None:
        return Path(data).expanduser()
    beside = file.with_name(POSES_FILE)
    if beside.is_file() and getattr(config, "scene", None) != "bounded":
        inform(f"Taking the cameras of {beside}")
        return beside
    return None


def _open(place: Path, reading: Reading, options: DataOptions) -> Capture | Collection:
    """Open the data as the program had it, where options do not say otherwise."""
    format = options.format or detect_format(place)
    if options.split_rule is None and format in _WITHOUT_SPLIT:
        options = replace(options, split_rule=reading.split_rule)
    opened = open_capture(place, **asdict(options))
    trained = reading.image_width
    if isinstance(opened, Collection) or trained is None or options.downscale != 1:
        return opened
    width = int(opened.cameras.width[0])
    if width <= trained:
        return opened
    inform(f"Pictures are reduced to a width of {trained} pixels, as in the training")
    rule = options.resize_rule or reading.resize_rule
    return open_capture(place, **asdict(replace(options, downscale=width / trained, resize_rule=rule)))


def _state(
    method: Method, reading: Reading, config: Any, capture: Capture | Collection | None
) -> dict[str, Any]:
    """Let the method look at the data, or do without it."""
    if capture is not None:
        method.prepare(capture)
    else:
        state = {} if reading.state_without_data is None else reading.state_without_data(config)
        method.restore(state)
    return method.state()


def _data_source(
    place: Path | None, capture: Capture | Collection | None, out: Path, options: DataOptions
) -> DataSource:
    if place is None or capture is None:
        return DataSource(path="", **asdict(options))
    used = {field.name: getattr(options, field.name) for field in fields(DataOptions)}
    used |= {name: value for name, value in capture.options.items() if name in used}
    return DataSource.describe(place, out, **used)


def _origins(
    reading: Reading, config: Any, preset: str, given: Mapping[str, Any], state: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Say for every setting that the user did not see where its value is from."""
    of_data = reading.found_in_data(state) if state else {}
    of_file = {name: getattr(config, name) for name in reading.settings if name not in given}
    chosen = {name: getattr(config, name) for name in given}
    rest = {
        name: getattr(config, name)
        for name in reading.told
        if name not in of_file and name not in chosen and name not in of_data
    }
    found = {name: value for name, value in of_data.items() if name not in chosen}
    return {"file": to_plain(of_file), "preset": rest, "data": to_plain(found), "given": to_plain(chosen)}


def _write(
    out: Path, record: RunRecord, capture: Capture | Collection | None, method: Method, step: int
) -> Run:
    run = Run.create(out, record)
    try:
        if isinstance(capture, Capture):
            run.record_capture(capture)
            # Thumbnails are an extra; there may be cameras alone.
            with suppress(Exception):
                run.record_capture(capture, thumbnails=True)
        tensors = {name: value.detach().contiguous() for name, value in method.state_dict().items()}
        write_weights(run.weights_path, tensors, method=run.method_name, step=step)
    except BaseException:
        run.discard_untrained()
        raise
    return run


def _summary(source: Source, files: Sequence[SourceFile], reading: Reading, method: Method) -> str:
    names = ", ".join(file.path.name for file in files)
    parameters = sum(parameter.numel() for parameter in method.parameters())
    steps = f", {reading.step} steps" if reading.step else ""
    return f"Imported {names} of {source.name} ({parameters:,} parameters{steps}) as {reading.method}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a foreign file's facts what can be written as JSON."""
    found = {}
    for name, value in facts.items():
        with suppress(TypeError):
            found[name] = to_plain(value)
    return found
