"""The public Python interface: `sightline.find_poses`, `sightline.train` and `sightline.load`.

import sightline

found = sightline.find_poses("my_photos")                   # where photos without poses were taken
run = sightline.train("ngp", found.path, minutes=1)
run = sightline.train("ngp", "data/fox", out="runs/fox", minutes=1, downscale=4)
run = sightline.load("runs/fox")
pictures = run.render(run.cameras("test"))
run.evaluate()["psnr"]
run.render_video("orbit", frames=60)
run.report()                                                # a page of HTML: curves, tables, pictures

chairs = sightline.load("runs/chairs")                      # of a method that generalises
seen = chairs.see(object="1a8bbf", sources="64")            # or: chairs.see(photos=["chair.jpg"])
pictures = seen.render(seen.cameras("orbit", frames=12))
pictures = seen.render_motion("azimuth=0:360,right=0.2", frames=12)     # with enr
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.methods.base import Rendering, Scene
from sightline.methods.registry import get_method_info
from sightline.photos.pose_options import PoseOptions
from sightline.photos.poses import FoundPoses
from sightline.runs.history import History, read_history
from sightline.runs.refined import refined_cameras
from sightline.runs.run import Run
from sightline.runs.settings import from_plain, refuse_unknown
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.export import ExportResult, export_run
from sightline.workflows.frame_output import Rendered
from sightline.workflows.motions import of_motion, read_motion, source_camera
from sightline.workflows.options import TrainOptions, read_layers
from sightline.workflows.paths import choose_cameras
from sightline.workflows.posing import pose_photos
from sightline.workflows.render import render_run
from sightline.workflows.report import report_runs
from sightline.workflows.scenes import Device, LoadedMethod, LoadedScene, load_method, load_scene
from sightline.workflows.shown_objects import ShownObject, show_object, show_photos
from sightline.workflows.train import continue_with, train_method

_SHOWN = ("object", "split", "sources")


class TrainedRun:
    """A run folder to look at and to measure; weights are loaded when they are first needed.

    Args:
        run: the run folder.
        device: where to render: "auto", "cpu" or "cuda".
    """

    def __init__(self, run: Run, device: Device = "auto"):
        self.folder = run
        self._device: Device = device
        self._loaded: dict[str | None, LoadedScene] = {}
        self._method: LoadedMethod | None = None

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def config(self) -> Any:
        """The method's configuration."""
        return self.folder.config

    @cached_property
    def capture(self) -> Capture:
        """What the run remembers of its data: cameras, names and splits, but no images."""
        return self.folder.capture_info().as_capture()

    @property
    def history(self) -> History:
        """What its training has logged so far, read anew each time: `run.history.curve("train", "loss")`."""
        return read_history(self.path)

    def _load(self, sampler: str | None = None) -> LoadedScene:
        if sampler not in self._loaded:
            self._loaded[sampler] = load_scene(self.folder, device=self._device, sampler=sampler)
        return self._loaded[sampler]

    @property
    def scene(self) -> Scene:
        """The trained scene, for its density and radiance where it has a field."""
        return self._load().scene

    def cameras(self, path: str = "test", **options: Any) -> Cameras:
        """Make cameras: those of a split, or a path (orbit, spiral, circle, interpolate, a JSON file).

        Options are those of `paths.choose_cameras`: frames, size, elevation, variant.
        """
        return choose_cameras(self.capture, path, **options)

    def render(
        self,
        cameras: Cameras,
        *,
        background: Sequence[float] | None = None,
        chunk: int | None = None,
        sampler: str | None = None,
    ) -> list[Rendering]:
        """Render every camera.

        Args:
            cameras: in the frame of the data.
            background: colour in [0, 1] behind what is transparent; white where not given.
            chunk: rays at a time; the method's own choice where not given.
            sampler: how to place samples along rays, as `--sampler` of `sightline render`; as in training
                where not given.

        Raises:
            InputError: the method has no such sampler.
        """
        colour = None if background is None else (background[0], background[1], background[2])
        render = self._load(sampler).renderer(colour, chunk)
        return [render(cameras[index]) for index in range(len(cameras))]

    def refined_cameras(self) -> Cameras:
        """Give the cameras of the training photos as training corrected them (`ngp --refine poses`).

        Returns:
            One for each of `capture.splits["train"]`, in the frame of the data, in which the given cameras of
            other photos still hold.

        Raises:
            InputError: the run took the cameras as they were given.
        """
        found = refined_cameras(self._load().method, self.capture)
        if found is None:
            raise InputError(
                "The run took its cameras as they were given",
                where=self.path,
                fix="Train it with refine='poses', or use capture.cameras",
            )
        return found

    def render_video(self, path: str = "orbit", **options: Any) -> Rendered:
        """Render along a path into a video or pictures; options are those of `render_run`."""
        return render_run(self.folder, path=path, **{"device": self._device, **options})

    @cached_property
    def objects(self) -> Mapping[str, tuple[str, ...]]:
        """Split name → ids of the objects that the run was trained beside; empty where it was one scene."""
        record = self.folder.collection_info()
        return {} if record is None else record.splits

    def see(
        self,
        *,
        object: str | None = None,
        split: str = "test",
        sources: str | None = None,
        data: Path | str | None = None,
        photos: Sequence[Path | str] = (),
    ) -> "SeenObject":
        """Make the scene of an object from source views, with a method that generalises.

        Args:
            object: id of the object; the first of the split where not given.
            split: whose objects there are to choose from.
            sources: views by number or name with commas; what is usual for the method where not given.
            data: where the data is, if not at its recorded place.
            photos: photos of one object instead, for methods that need no camera.

        Raises:
            InputError: no such object or view, or the method has learnt one scene.
        """
        if self.folder.method_info.learns == "one scene":
            raise InputError(
                f"{self.folder.method_name} has learnt one scene: it sees no others", fix="Use render"
            )
        if self._method is None:
            self._method = load_method(self.folder, device=self._device)
        method = self._method.method
        if photos:
            shown = show_photos(method, [Path(photo) for photo in photos])
        else:
            shown = show_object(self.folder, method, data=data, object=object, split=split, sources=sources)
        return SeenObject(shown, self._method.see(shown.views))

    def export(self, kind: str, **options: Any) -> ExportResult:
        """Export a mesh, points, a volume or weights; options are those of `export_run` and of the export."""
        own = {
            name: options.pop(name) for name in ("out", "data", "device", "best", *_SHOWN) if name in options
        }
        return export_run(self.folder, kind, options, **{"device": self._device, **own})

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """Score held-out views; gives what `metrics.json` holds. Options are those of `evaluate_run`."""
        return evaluate_run(self.folder, **{"device": self._device, **options}).metrics

    def report(self, *others: "TrainedRun | Path | str", **options: Any) -> Path:
        """Write a page of HTML about the run, beside others where there are any; gives its path.

        Options are those of `report_runs`: out, views, pictures, render, data.
        """
        runs = [self.folder, *(run.folder if isinstance(run, TrainedRun) else run for run in others)]
        return report_runs(runs, **{"device": self._device, **options}).path


@dataclass(frozen=True)
class SeenObject:
    """An object as a method sees it from source views."""

    shown: ShownObject
    loaded: LoadedScene

    @property
    def name(self) -> str:
        """Id of the object, or name of its first photo."""
        return self.shown.name

    @property
    def views(self) -> Capture:
        """The source views."""
        return self.shown.views

    @property
    def scene(self) -> Scene:
        """What the method made of them."""
        return self.loaded.scene

    def cameras(self, path: str = "orbit", **options: Any) -> Cameras:
        """Make cameras of a path around the object; options are those of `ShownObject.cameras`."""
        return self.shown.cameras(path, **options)[0]

    def render(
        self, cameras: Cameras, *, background: Sequence[float] | None = None, chunk: int | None = None
    ) -> list[Rendering]:
        """Render every camera (in the frame of the data) over a background colour in [0, 1], else white."""
        colour = None if background is None else (background[0], background[1], background[2])
        render = self.loaded.renderer(colour, chunk)
        return [render(cameras[index]) for index in range(len(cameras))]

    def render_motion(
        self, motion: str, *, frames: int | None = None, size: str | None = None
    ) -> list[Rendering]:
        """Render the scene as its source camera sees it while it moves; arguments as `sightline render`'s.

        Raises:
            InputError: no such motion, or scenes of the method have none of their own.
        """
        moving = read_motion(motion, frames)
        cameras = source_camera(self.views, len(moving), size)
        frame = of_motion(self.loaded.renderer(), moving)
        return [frame(index, cameras[index]) for index in range(len(moving))]


def load(run: Path | str, *, device: Device = "auto") -> TrainedRun:
    """Open a run folder.

    Raises:
        InputError: there is no run, or a newer version wrote it.
    """
    return TrainedRun(Run.open(run), device)


def find_poses(photos: Path | str, out: Path | str | None = None, **options: Any) -> FoundPoses:
    """Find the camera poses of a folder of photos or of a video, and write a capture to train on.

    Args:
        out: folder of the capture; captures/NAME where not given.
        options: the flags of `sightline poses` by name, with _ for -.

    Raises:
        InputError: unknown options, or photos that do not hang together.
    """
    return pose_photos(photos, None if out is None else Path(out), from_plain(PoseOptions, options))


def train(method: str, data: Path | str, *, preset: str | None = None, **settings: Any) -> TrainedRun:
    """Train a method on data; settings are the flags of `sightline train` by name, with _ for -.

    Raises:
        InputError: unknown settings, or something of the input is wrong.
        RunError: the training failed; the last good checkpoint is kept.
    """
    info = get_method_info(method)
    shared = [field.name for field in fields(TrainOptions)]
    own = [field.name for field in fields(info.config_class())]
    refuse_unknown(settings, [*shared, *own])
    given = {name: value for name, value in settings.items() if name in shared}
    file, out = given.get("config"), given.get("out")
    resumed = Path(out) if given.get("resume") and out is not None else None
    if given.get("resume") and out is None:
        raise InputError("Which run shall go on is not said", fix="Give out=, the run folder")
    layers = read_layers(info, preset=preset, file=None if file is None else Path(file), resumed=resumed)
    checked = from_plain(TrainOptions, given)
    options = continue_with(layers.options, **{name: getattr(checked, name) for name in given})
    own_settings = {name: value for name, value in settings.items() if name in own}
    config = from_plain(type(layers.config), own_settings, base=layers.config)
    return TrainedRun(train_method(method, data, config, options).run, options.device)
