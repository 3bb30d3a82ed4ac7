"""The demo: makes a scene of its own, trains on it, and shows what came out; needs no data."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.evaluation.tables import view_table
from sightline.foundation.errors import inform
from sightline.foundation.files import atomic_path, write_atomic
from sightline.foundation.interruption import Interruption
from sightline.media.tables import Table, to_markdown, to_text
from sightline.methods.registry import get_method_info
from sightline.synthesis.scenes import make_still_life
from sightline.workflows.counting import counting
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.options import TrainOptions
from sightline.workflows.render import render_run
from sightline.workflows.scenes import Device
from sightline.workflows.train import train_method

METHOD = "ngp"
TRAIN_VIEWS, TEST_VIEWS = 60, 10
FRAMES, FRAMES_PER_SECOND = 90, 30.0


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    folder: Path
    capture: Path
    """the pictures and their cameras, in Blender's layout"""
    run: Path
    video: Path
    """once around the scene"""
    contact_sheet: Path
    """test views: truth, prediction, error"""
    table_file: Path
    """the table in Markdown"""
    table: Table
    """scores of the test views"""
    metrics: dict[str, Any]
    """content of the evaluation's metrics.json"""
    seconds: dict[str, float]
    """wall time of each part"""

    def to_text(self) -> str:
        """The table, and where everything is, for people."""
        files = {
            "video": self.video,
            "contact sheet": self.contact_sheet,
            "table": self.table_file,
            "pictures": self.capture,
            "run": self.run,
        }
        width = max(map(len, files))
        lines = [f"{name:<{width}}  {path}" for name, path in files.items()]
        took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        return "\n".join(
            [to_text(self.table), *lines, "", f"{took}; {sum(self.seconds.values()):.0f} s in all"]
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            **{name: getattr(self, name).as_posix() for name in ("folder", "capture", "run", "video")},
            "contact_sheet": self.contact_sheet.as_posix(),
            "table": self.table_file.as_posix(),
            **{name: self.metrics[name] for name in ("psnr", "ssim", "lpips")},
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


def run_demo(
    out: Path | str = "demo",
    *,
    minutes: float = 1.0,
    size: int = 200,
    seed: int = 0,
    train_views: int = TRAIN_VIEWS,
    test_views: int = TEST_VIEWS,
    frames: int = FRAMES,
    device: Device = "auto",
) -> Demo:
    """Make a still life, train on it, score it, render a video; an interrupted demo goes on where it stopped.

    Args:
        out: folder of everything that the demo makes.
        minutes: training time.
        size: width and height of the pictures, pixels.
        seed: another seed, another still life.
        train_views, test_views: how many pictures are made.
        frames: length of the video, at 30 frames per second.
        device: where to train and render.

    Raises:
        InputError: the folder holds a demo with other settings, or a number is out of range.
        RunError: rendering or training failed.
        Interruption: training was asked to stop; what there is has been saved.
    """
    out = Path(out)
    seconds: dict[str, float] = {}
    with _timed(seconds, "scene"):
        capture = _make_scene(out / "still-life", train_views, test_views, size, seed)
    with _timed(seconds, "training"):
        run = _train(capture, out / "run", minutes, seed, device)
    with _timed(seconds, "evaluation"):
        evaluation = evaluate_run(run, device=device)
        assert evaluation.folder is not None
        sheet = _copy(evaluation.folder / "contact_sheet.png", out / "contact_sheet.png")
        table = view_table(evaluation.metrics, f"{METHOD}: still life {seed}, views it has not seen")
        table_file = out / "table.md"
        write_atomic(table_file, to_markdown(table).encode("utf-8"))
    with _timed(seconds, "video"):
        rendered = render_run(
            run, path="orbit", frames=frames, fps=FRAMES_PER_SECOND, out=out / "orbit.mp4", device=device
        )
    return Demo(
        folder=out,
        capture=capture,
        run=run,
        video=rendered.path,
        contact_sheet=sheet,
        table_file=table_file,
        table=table,
        metrics=evaluation.metrics,
        seconds=seconds,
    )


def _make_scene(folder: Path, train_views: int, test_views: int, size: int, seed: int) -> Path:
    total = train_views + test_views
    inform(f"Making a still life: {train_views} training and {test_views} test views of {size}x{size}")
    with counting("rendering the scene", total) as on_view:
        return make_still_life(
            folder,
            seed=seed,
            train_views=train_views,
            test_views=test_views,
            size=size,
            progress=lambda done, _: on_view(done),
        )


def _train(capture: Path, folder: Path, minutes: float, seed: int, device: Device) -> Path:
    options = TrainOptions(out=folder, minutes=minutes, seed=seed, device=device, resume=True)
    trained = train_method(METHOD, capture, get_method_info(METHOD).build_config(), options)
    if trained.result is not None and trained.result.ending == "interrupted":
        raise Interruption
    return trained.run.path


def _copy(source: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
