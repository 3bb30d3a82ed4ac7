"""Training as a whole: from settings to a run folder, new or gone on with."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.foundation.errors import InputError, inform
from sightline.methods.registry import get_method_info
from sightline.runs.checkpoint import WEIGHTS
from sightline.runs.record import DataSource, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import refuse_not_finite, to_plain
from sightline.training.display import short_time
from sightline.training.processes import is_first_process, started_from_outside
from sightline.training.session import TrainOrder, TrainResult, already_done, train_run
from sightline.workflows.cutting_out import ensure_cut_out
from sightline.workflows.naming import data_name
from sightline.workflows.options import DATA_OPTIONS, TrainOptions, differing, with_budget
from sightline.workflows.posing import CAPTURES, ensure_poses

if TYPE_CHECKING:
    from sightline.workflows.view_training import TrainingViewer

_RUNS = Path("runs")


@dataclass(frozen=True)
class Trained:
    """A run and how its training ended."""

    run: Run
    result: TrainResult | None
    """None where it had been trained long enough before"""

    def to_json(self) -> dict[str, Any]:
        """What `sightline train --json` prints."""
        progress = self.run.record.progress
        ending = "already finished" if self.result is None else self.result.ending
        return {"run": self.run.path.as_posix(), "ending": ending, **to_plain(progress)}


def train_method(method: str, data: Path | str, config: Any, options: TrainOptions) -> Trained:
    """Train a method on data, into a new run folder or going on with `options.out`.

    Args:
        method: registry name.
        data: the data's folder or file; of methods that learn one scene, also photos or a video without
            camera poses, which are found first.
        config: the method's configuration.
        options: everything else; `sightline train --help` says what each means.

    Raises:
        InputError: something of the input does not go together, or the run folder exists without `resume`.
        RunError: the training failed; the last good checkpoint is kept.
        SystemExit: in the further processes that torchrun started, when their part is done.
    """
    info = get_method_info(method)
    options = with_budget(options, info)
    options.settings.check()
    for settings in (options, config):
        refuse_not_finite(settings)
    data = Path(data).expanduser()
    if not data.exists():
        raise InputError("There is no such data", where=data, fix="Check the path")
    if options.mask_background and info.learns != "one scene":
        raise InputError(
            f"{info.name} learns many scenes, and the object is cut out of the photos of one",
            where="--mask-background",
            fix="Leave it away",
        )
    if info.learns == "one scene" and is_first_process():
        data = ensure_poses(data)
        if options.mask_background:
            opening = {name: getattr(options, name) for name in ("format", "holdout", "split_rule")}
            data, options = ensure_cut_out(data, CAPTURES, options.mask_with, **opening), _of_cut_out(options)
    folder = options.out or default_folder(data, method)
    initial = _weights_file(options.init) if options.init is not None else None
    watcher = _make_watcher(options)
    if not is_first_process():
        # The first process makes the run folder, and tells the others what is in it.
        train_run(TrainOrder(folder.absolute(), options.settings, initial))
        raise SystemExit(0)
    created = not Run.exists(folder)
    run = _open_or_create(folder, method, data, config, options)
    if already_done(run.record.progress, options.settings):
        done = run.record.progress.step
        inform(f"{run.path} is finished: {done} steps. Give more --minutes or --steps to go on")
        return Trained(run, None)
    try:
        result = train_run(TrainOrder(run.path.resolve(), options.settings, initial, watcher))
    except InputError:
        # The same call can be made again when the input is put right.
        if watcher is not None:
            watcher.close()
        if created:
            run.discard_untrained()
        raise
    except BaseException:
        if watcher is not None:
            watcher.close()
        raise
    run = Run.open(run.path)
    inform(_summary(run, result))
    if watcher is not None:
        watcher.stay(run, ended=result.ending == "finished")
    return Trained(run, result)


def _make_watcher(options: TrainOptions) -> "TrainingViewer | None":
    """Make the viewer of --view; InputError where there cannot be one, before anything is written."""
    if not options.view:
        return None
    if options.devices > 1 or options.num_nodes > 1 or started_from_outside():
        raise InputError(
            "Several processes train the scene, and the viewer takes turns with one only",
            where="--view",
            fix="Leave --view away, and look at the checkpoints from another terminal: sightline view RUN",
        )
    from sightline.workflows.view_training import TrainingViewer

    return TrainingViewer(port=options.view_port)


def default_folder(data: Path, method: str) -> Path:
    """Name the run folder after the data and the method."""
    return _RUNS / f"{data_name(data)}-{method}"


def _open_or_create(folder: Path, method: str, data: Path, config: Any, options: TrainOptions) -> Run:
    if options.resume and Run.exists(folder):
        return _open_resumed(Run.open(folder), method, data, config, options)
    record = RunRecord(
        method=method,
        config=to_plain(config),
        data=DataSource.describe(data, folder, **options.data_options),
        preset=options.preset,
        seed=options.seed,
        training=to_plain(options.settings),
        source=_origin(options),
    )
    return Run.create(folder, record)


def _open_resumed(run: Run, method: str, data: Path, config: Any, options: TrainOptions) -> Run:
    """Check that the run is the one that the settings describe."""
    if "imported" in run.record.source:
        raise InputError(
            "The weights of this run were imported, without what their training needs to go on",
            where=run.path,
            fix="Start a new run in another --out, with --init and --config run.json of this one",
        )
    if run.method_name != method:
        raise InputError(f"The run is of the method {run.method_name!r}, not {method}", where=run.path)
    changed = differing(run.config, config)
    recorded = run.record.data.options
    changed += [name for name in DATA_OPTIONS if getattr(options, name) != recorded[name]]
    changed += ["seed"] if options.seed != run.record.seed else []
    if changed:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise InputError(
            f"A run goes on with the settings that it was started with, but these differ: {names}",
            where=run.path,
            fix="Leave them away, or start a new run in another --out (with --init to begin from this one)",
        )
    source = DataSource.describe(data, run.path, **recorded)
    if source != run.record.data:
        run.update(data=source)
    return run


def _of_cut_out(options: TrainOptions) -> TrainOptions:
    """The cut-out photos are described by a format and splits of their own."""
    return replace(options, format=None, split_rule=None)


def _origin(options: TrainOptions) -> dict[str, Any]:
    found = {} if options.init is None else {"init": Path(options.init).name}
    return found | ({"mask_with": options.mask_with} if options.mask_background else {})


def _weights_file(path: Path) -> Path:
    return path / WEIGHTS if path.is_dir() else path


def _summary(run: Run, result: TrainResult) -> str:
    progress = run.record.progress
    if result.ending == "interrupted":
        if result.step == 0:
            return f"Stopped before the first step. Start with --out {run.path} --resume"
        return (
            f"Stopped at step {result.step} ({progress.fraction:.0%}) and saved. "
            f"Go on with --out {run.path} --resume"
        )
    parts = [f"Trained {result.step} step{'s' * (result.step != 1)} in {short_time(result.seconds)}"]
    if result.train_psnr is not None:
        parts.append(f"train {result.train_psnr:.2f} dB")
    if result.validation_psnr is not None:
        parts.append(f"held-out views, reduced, {result.validation_psnr:.2f} dB")
    return f"{', '.join(parts)}. Next: sightline eval {run.path}; sightline render {run.path}"


def continue_with(options: TrainOptions, **changes: Any) -> TrainOptions:
    """Change options so that one budget takes the place of another."""
    if changes.get("steps") is not None:
        changes.setdefault("minutes", None)
    if changes.get("minutes") is not None:
        changes.setdefault("steps", None)
    return replace(options, **changes)
