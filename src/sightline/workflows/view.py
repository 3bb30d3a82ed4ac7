"""Looking at a run in the browser: finished, or still in training by another process."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from PIL import Image

from sightline.captures import Capture
from sightline.captures.record import CaptureRecord
from sightline.exports.registry import list_exports
from sightline.foundation.errors import InputError, SightlineError, inform, warn
from sightline.methods.base import Method
from sightline.runs.record import RUN_FILE, RunProgress
from sightline.runs.run import Run
from sightline.viewer.app import Viewer
from sightline.viewer.host import ExportKind, Stage, first_view
from sightline.viewer.looks import Look
from sightline.viewer.passes import Pass
from sightline.viewer.photos import Photos
from sightline.viewer.shown_frame import ShownFrame
from sightline.workflows.evaluate import one_scene
from sightline.workflows.export import export_run
from sightline.workflows.scenes import Device, LoadedScene, load_method
from sightline.workflows.view_objects import ObjectChoices

_POLL_SECONDS = 2.0
_LEAST_LONGEST, _MOST_LONGEST = 512, 1024
"""pixels of pictures at rest, to begin with: as the photos, within these"""
_THUMBNAIL_SIDE = 64
_WARM_SECONDS = 0.1
"""that a picture before the first browser may take"""


def view_run(run: Path | str, *, host: str = "127.0.0.1", port: int = 7007, **shown: Any) -> None:
    """Serve the viewer of a run until somebody interrupts.

    Args:
        host, port: where it listens; port 0 for any that is free.
        shown: what to show of the run, see `RunHost`.

    Raises:
        InputError: there is no run or nothing in it yet, the port is in use, or viser is missing.
    """
    opened = open_viewer(run, host=host, port=port, **shown)
    opened.announce()
    follower = Follower(opened)
    try:
        wait_for_interruption(follower.look)
    finally:
        opened.close()


def open_viewer(run: Path | str, *, host: str = "127.0.0.1", port: int = 7007, **shown: Any) -> Viewer:
    """Start the viewer of a run; arguments are those of `view_run`. `close` it afterwards."""
    viewer = Viewer(RunHost(Run.open(run), **shown), address=host, port=port)
    viewer.work()
    return viewer


def wait_for_interruption(every_moment: Callable[[], None] | None = None) -> None:
    """Return when somebody interrupts; call something every few seconds meanwhile."""
    try:
        while True:
            # Short, since a wait without end hears no signal on Windows.
            time.sleep(_POLL_SECONDS)
            if every_moment is not None:
                every_moment()
    except KeyboardInterrupt:
        inform("The viewer ends")


class RunHost:
    """A run for the viewer, see `viewer.host.Host`.

    Args:
        data: where the photos are, if not at their recorded place.
        best: take the weights with the highest validation PSNR instead of the latest.
        sampler: how to place samples along rays, where not as in training.
        object, split, sources, photo, mask: of a method that generalises, what to show first; see
            `render_run`.

    Raises:
        InputError: there is nothing to see in the run yet, or no such object.
    """

    def __init__(
        self,
        run: Run,
        *,
        data: Path | None = None,
        device: Device = "auto",
        best: bool = False,
        sampler: str | None = None,
        object: str | None = None,
        split: str = "test",
        sources: str | None = None,
        photo: Sequence[Path] = (),
        mask: Sequence[str] = (),
    ):
        check_seen(run)
        self.run, self.folder = run, run.path
        self.data, self.best, self.sampler = data, best, sampler
        self.device: Device = device
        self.title = f"{run.path.name}: {run.method_name}"
        self.exports = export_kinds()
        self.choices: ObjectChoices | None = None
        self.exports_refused: str | None = None
        loaded = load_method(run, device=device, best=best, sampler=sampler, tell=False)
        if loaded.method.sampler == "stratified":
            inform("Pictures of this run take long: with --sampler occupancy they come several times faster")
        if run.method_info.learns == "one scene":
            if object is not None or sources is not None or photo:
                raise InputError(
                    f"{run.method_name} has learnt one scene: it has neither objects nor source views",
                    where="--object, --sources, --photo",
                    fix="Leave them away",
                )
            scene = loaded.see(None)
            scene.make_ready()
            self._stage = learnt_stage(run, scene, data)
        else:
            self.choices = ObjectChoices(run, loaded, data)
            self._stage = self.choices.first(object, split, sources, photo, mask)
        warm(self._stage)

    @property
    def stage(self) -> Stage:
        """What a browser is shown first."""
        return self._stage

    @property
    def state(self) -> str:
        """How far the training of the run is."""
        return describe_progress(self.run.record.progress)

    def renew(self, stage: Stage, method: Method) -> Stage:
        """Show the same with the weights that a method has now."""
        renewed = stage.renewed(method)
        if stage is self._stage:
            self._stage = renewed
        return renewed

    def reload(self) -> Method:
        """Take the weights that are in the run folder now."""
        self.run = Run.open(self.run.path)
        loaded = load_method(self.run, device=self.device, best=self.best, sampler=self.sampler, tell=False)
        LoadedScene(self.run, loaded.method, self._stage.scene, loaded.device, self.best).make_ready()
        if self.choices is not None:
            self.choices.loaded = loaded
        self._stage = self._stage.renewed(loaded.method)
        return loaded.method

    def export(self, kind: str, stage: Any, counting: Callable[[str, int], Any]) -> Path:
        """Export a stage, with weights that are loaded for it: those that render are not for two at once."""
        assert stage.export is not None
        result = export_run(
            self.run.path if self._is_folder else self.run.weights_path,
            kind,
            data=self.data,
            device=self.device,
            best=self.best,
            counting=counting,
            **stage.export,
        )
        return result.path

    @property
    def _is_folder(self) -> bool:
        return (self.run.path / RUN_FILE).is_file()

    def render_command(self, path: Path, stage: Stage) -> str:
        """The command that renders a saved camera path."""
        run = self.run.path if self._is_folder else self.run.weights_path
        words = ["sightline", "render", str(run), "--path", str(path), *stage.render_flags]
        words += ["--best"] if self.best else []
        words += ["--sampler", self.sampler] if self.sampler is not None else []
        words += ["--data", str(self.data)] if self.data is not None and stage.sources else []
        return " ".join(quote(word) for word in words)


class Follower:
    """Takes new checkpoints of a run that another process trains."""

    def __init__(self, viewer: Viewer):
        self.viewer = viewer
        assert isinstance(viewer.host, RunHost)
        self.host: RunHost = viewer.host
        self._seen = self._stamp()
        self._busy = threading.Event()
        if not self.host.run.record.progress.finished:
            inform("The viewer follows the checkpoints of the run, if it is being trained")

    def _stamp(self) -> int | None:
        try:
            return (self.host.run.path / RUN_FILE).stat().st_mtime_ns
        except OSError:
            return None

    def look(self) -> None:
        """See whether there is a new checkpoint, and have it loaded by the worker."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen or self._busy.is_set():
            return
        self._seen = stamp
        try:
            progress = Run.open(self.host.run.path).record.progress
        except SightlineError:
            # Looked at again when it changes next.
            return
        if progress.step == self.host.run.record.progress.step:
            return
        self._busy.set()
        self.viewer.scheduler.call(self._reload)

    def _reload(self) -> None:
        try:
            self.viewer.renew(self.host.reload())
            self.viewer.tell_state()
            inform(f"Shows the checkpoint of step {self.host.run.record.progress.step}")
        except SightlineError as error:
            warn(f"The new checkpoint cannot be shown. {error}")
        finally:
            self._busy.clear()


def check_seen(run: Run) -> None:
    """Raise InputError where a run has no weights to show yet."""
    if run.weights_path.is_file():
        return
    raise InputError(
        "There is nothing to see in this run yet: it has no weights",
        where=run.path,
        fix="Train it; the first checkpoint comes within 15 s of training",
    )


def describe_progress(progress: RunProgress) -> str:
    """Say how far a training is."""
    if progress.finished:
        return f"Trained, {progress.step} steps"
    if progress.step == 0:
        return "Not trained here"
    return f"Checkpoint of step {progress.step}, {progress.fraction:.0%} of the training"


def export_kinds() -> list[ExportKind]:
    """What there are buttons for."""
    return [ExportKind(info.name, info.summary, info.needs) for info in list_exports()]


def learnt_stage(run: Run, loaded: LoadedScene, data: Path | None = None) -> Stage:
    """Make the stage of a scene that a method has learnt."""
    record = run.capture_info()
    return Stage(
        name=record.name,
        method=loaded.method,
        scene=loaded.scene,
        photos=photos_of_run(run, record, data),
        frame=ShownFrame.around(record.cameras),
        device=loaded.device,
        path_size=path_size(record.cameras),
        longest=usual_longest(record.cameras),
    )


def photos_of_run(run: Run, record: CaptureRecord, data: Path | None = None) -> Photos:
    """The photos that a run remembers; their pixels come from its data, when they are asked for."""
    opened: list[Capture] = []
    lock = threading.Lock()

    def load(index: int) -> np.ndarray:
        with lock:
            if not opened:
                opened.append(one_scene(run.open_data(data)))
            capture, name = opened[0], record.image_names[index]
            if name not in capture.image_names:
                raise InputError(f"The data has no photo {name!r} any more", where=capture.path)
            return np.asarray(capture.images[capture.image_names.index(name)])

    def thumbnail(index: int) -> np.ndarray | None:
        # Runs that were not finished have none.
        return record.thumbnail(index) if record.thumbnails else small(load, index)

    return Photos(record.cameras, record.image_names, record.splits, thumbnail, load)


def small(load: Callable[[int], np.ndarray], index: int) -> np.ndarray | None:
    """Make a thumbnail of a photo; None where that cannot be opened."""
    try:
        picture = Image.fromarray(load(index))
    except (SightlineError, OSError):
        return None
    picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(picture)


def path_size(cameras: Any) -> tuple[int, int]:
    """Size of pictures along paths: the first camera's, in even numbers."""
    return max(2, int(cameras.width[0]) // 2 * 2), max(2, int(cameras.height[0]) // 2 * 2)


def usual_longest(cameras: Any) -> int:
    """Pixels of the longer side of pictures at rest."""
    longest = max(int(cameras.width.max()), int(cameras.height.max()))
    return min(max(longest, _LEAST_LONGEST), _MOST_LONGEST) // 32 * 32


def warm(stage: Stage) -> None:
    """Render something small, so that nothing is compiled when the first browser waits; learns the speed."""
    pose, fov = first_view(stage)
    painter, done = stage.painter(), False
    for side in (16, 16, 48):
        look, seconds = Look(np.asarray(pose), fov, side, side), 0.0
        for draft in (True, False):
            one, started = Pass(side, side, draft, not draft), time.perf_counter()
            painter.finish(look, one, [painter.paint(look, one, 0, side)], 0.0)
            seconds = time.perf_counter() - started
            stage.pace.set(one.rays, seconds, draft)
        # What is compiled first took the longest; slow scenes need not be measured better.
        if done and seconds > _WARM_SECONDS:
            return
        done = True
