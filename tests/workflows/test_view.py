"""Looking at runs: finished, unfinished, and while they are trained."""

import threading
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.methods.registry import get_method_info
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.viewer.looks import Look, Picture
from sightline.viewer.pace import Pace
from sightline.workflows import view_training
from sightline.workflows.options import read_layers
from sightline.workflows.train import train_method
from sightline.workflows.view import Follower, RunHost, open_viewer
from small_method import WaveConfig

pytest.importorskip("viser")


def look_from(stage, index: int, **options) -> Look:
    pose = stage.photos.cameras.c2w[index].numpy()
    return Look(pose, 0.8, 60, 40, **options)


class Onlooker:
    """A browser without a browser: looks elsewhere again and again, and notes what it is shown."""

    def __init__(self, viewer):
        self.viewer, self.shown, self.stopped = viewer, [], threading.Event()
        viewer.scheduler.open(99, viewer.host.stage.painter(), self.shown.append, Pace())
        self.thread = threading.Thread(target=self._move)
        self.thread.start()

    def _move(self) -> None:
        turn = 0
        while not self.stopped.is_set():
            self.viewer.scheduler.look(99, look_from(self.viewer.host.stage, turn % 9))
            turn += 1
            time.sleep(0.005)

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


@pytest.fixture
def train(wave, data, tmp_path, monkeypatch):
    """Train the small method, with a browser that looks on where there is a viewer."""
    monkeypatch.setattr(view_training, "wait_for_interruption", lambda *arguments: None)
    seen = []
    begin = view_training.TrainingViewer.begin

    def begin_and_look(self, run, method):
        begin(self, run, method)
        seen.append(Onlooker(self.viewer))

    monkeypatch.setattr(view_training.TrainingViewer, "begin", begin_and_look)
    options = read_layers(get_method_info("wave")).options

    def start(name: str, **changes):
        try:
            trained = train_method(
                "wave", data, WaveConfig(), replace(options, out=tmp_path / name, **changes)
            )
        finally:
            for onlooker in seen:
                onlooker.stop()
        return trained, seen

    return start


def test_who_looks_on_changes_nothing(train, tmp_path):
    train("plain", steps=400, seed=5)
    trained, seen = train("viewed", steps=400, seed=5, view=True, view_port=0)
    assert len([shown for shown in seen[0].shown if isinstance(shown, Picture)]) > 3
    plain, viewed = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "viewed"))
    assert all(bool((plain[name] == viewed[name]).all()) for name in plain)
    assert trained.run.record.timings["viewing"] > 0


def test_time_of_viewing_is_no_training_time(train):
    started = time.perf_counter()
    trained, _ = train("timed", minutes=1.5 / 60, view=True, view_port=0)
    took = time.perf_counter() - started
    timings = trained.run.record.timings
    assert timings["viewing"] > 0.05
    seconds = trained.run.record.progress.seconds
    assert seconds >= 1.5
    # Both are parts of what the clock on the wall shows, and not of each other.
    assert took > seconds + timings["viewing"]


def test_several_processes_are_refused_before_anything_is_written(train, tmp_path):
    with pytest.raises(InputError, match=r"--view.*sightline view RUN"):
        train("several", steps=4, devices=2, view=True)
    assert not (tmp_path / "several").exists()


def test_a_run_without_weights_is_refused(make_run):
    with pytest.raises(InputError, match="nothing to see"):
        RunHost(make_run())


def test_new_checkpoints_are_shown(make_run):
    run = make_run()
    train_run(TrainOrder(run.path, TrainSettings(steps=5, eval_every=0)))
    viewer = open_viewer(run.path, port=0)
    try:
        shown = []
        viewer.scheduler.open(99, viewer.host.stage.painter(), shown.append, Pace())
        follower = Follower(viewer)
        follower.look()
        before = viewer.host.stage.method.colours.detach().clone()
        train_run(TrainOrder(run.path, TrainSettings(steps=60, eval_every=0)))
        follower.look()
        for _ in range(500):
            if viewer.host.run.record.progress.step == 60 and not viewer.scheduler.waiting:
                break
            time.sleep(0.01)
        after = viewer.host.stage.method.colours.detach()
        assert not torch.equal(before, after)
        assert torch.equal(after, load_file(run.path / "weights.safetensors")["colours"])
        assert "60 steps" in viewer.host.state
    finally:
        viewer.close()


def test_the_viewer_lets_its_threads_and_port_go(make_run):
    run = make_run()
    train_run(TrainOrder(run.path, TrainSettings(steps=2, eval_every=0)))
    viewer = open_viewer(run.path, port=0)
    port = viewer.port
    viewer.close()
    assert not viewer._worker.is_alive()
    again = open_viewer(run.path, port=port)
    assert again.port == port
    again.close()


def test_photos_come_from_the_data_and_their_absence_is_told(make_run, data):
    run = make_run()
    train_run(TrainOrder(run.path, TrainSettings(steps=2, eval_every=0)))
    photos = RunHost(Run.open(run.path)).stage.photos
    assert photos.pixels(0).shape == (8, 8, 3)
    assert photos.thumbnail(1) is not None
    data.rename(data.with_name("elsewhere"))
    host = RunHost(Run.open(run.path))
    painter = host.stage.painter()
    settings = replace(look_from(host.stage, 0).settings, mode="error")
    look = look_from(host.stage, 0, settings=settings)
    from sightline.viewer.passes import Pass

    one = Pass(60, 40, False, True)
    picture = painter.finish(look, one, [painter.paint(look, one, 0, 40)], 0.0)
    assert "is not where it was" in picture.note
    # The scene is shown all the same.
    assert picture.pixels.std() > 0


def test_help_needs_no_run(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["view", "--help"])
    assert ended.value.code == 0
    assert "--port" in capsys.readouterr().out
    assert main(["view", "nothing-there"]) == 2
    assert "no such run folder" in capsys.readouterr().err
