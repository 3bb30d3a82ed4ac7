"""Whole trainings of the small method: endings, resuming, failures."""

import json
import signal
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from sightline.foundation.errors import InputError, RunError
from sightline.methods.base import Progress
from sightline.runs.run import Run
from sightline.training import saving, session, validation
from sightline.training.budget import Budget
from sightline.training.session import TrainOrder, TrainResult, already_done, train_run
from sightline.training.settings import TrainSettings
from small_method import Wave

STEPS = 40


def train(run: Run, **settings) -> TrainResult:
    return train_run(TrainOrder(run.path, TrainSettings(**{"steps": STEPS, "device": "cpu", **settings})))


def weights(run: Run) -> dict[str, list]:
    return {name: value.tolist() for name, value in load_file(run.weights_path).items()}


def metrics(run: Run, kind: str = "train") -> list[dict]:
    lines = (run.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action) -> None:
    """Do something after a step, as if from outside."""
    real = Wave.after_step

    def after_step(self: Wave, progress: Progress) -> bool:
        if progress.step == step:
            action()
        return real(self, progress)

    monkeypatch.setattr(Wave, "after_step", after_step)


def test_a_training_fits_the_data_and_fills_the_run_folder(make_run) -> None:
    run = make_run()
    result = train(run, steps=200, log_every=10)
    assert result.ending == "finished"
    assert result.step == 200
    assert result.train_psnr is not None
    assert result.train_psnr > 18
    read = metrics(run)
    assert [line["step"] for line in read] == list(range(10, 201, 10))
    assert read[-1]["psnr"] > read[0]["psnr"] + 5
    assert read[0]["samples_per_ray"] == 2.0
    assert read[-1]["learning_rate"] == pytest.approx(0.05 * (1 - 0.9 * 199 / 200), rel=1e-5)
    opened = Run.open(run.path)
    assert opened.record.progress.finished
    assert opened.record.progress.step == 200
    assert opened.record.state == {"scale": pytest.approx(3.0413, abs=1e-4)}
    assert opened.record.versions["torch"] == torch.__version__
    assert set(opened.record.timings) == {"warm_up", "prepare", "train", "saving", "validation"}
    assert opened.capture_info().splits["test"] == (11, 12)
    assert opened.capture_info().thumbnails
    assert list((run.path / "tensorboard").iterdir())
    method = opened.load_method()
    assert torch.equal(method.state_dict()["colours"], load_file(run.weights_path)["colours"])


def test_the_same_seed_gives_the_same_run_and_another_seed_another(make_run) -> None:
    first, second, other = make_run("a"), make_run("b"), make_run("c", seed=1)
    for run in (first, second, other):
        train(run)
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


@pytest.mark.parametrize("step", [1, 17, 33])
def test_stopped_and_resumed_gives_the_identical_result(make_run, monkeypatch, step: int) -> None:
    straight, stopped = make_run("straight"), make_run("stopped")
    train(straight, log_every=5)
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: signal.raise_signal(signal.SIGINT))
        result = train(stopped, log_every=5)
    assert (result.ending, result.step) == ("interrupted", step)
    progress = Run.open(stopped.path).record.progress
    assert (progress.step, progress.finished, progress.fraction) == (step, False, step / STEPS)
    result = train(stopped, log_every=5)
    assert (result.ending, result.step) == ("finished", STEPS)
    assert weights(straight) == weights(stopped)
    losses = {line["step"]: line["loss"] for line in metrics(stopped)}
    for line in metrics(straight):
        # The reading after the stop has fewer steps in its mean.
        if line["step"] % 5 == 0 and line["step"] // 5 != step // 5 + 1:
            assert losses[line["step"]] == line["loss"]


def test_killed_between_checkpoints_and_resumed_gives_the_identical_result(make_run, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    straight, killed = make_run("straight"), make_run("killed")
    train(straight)
    with monkeypatch.context() as patch:
        patch.setattr(saving.Saver, "due", lambda self: True)
        at_step(patch, 23, kill)
        with pytest.raises(Killed):
            train(killed)
    step = Run.open(killed.path).record.progress.step
    assert 1 <= step < 23
    assert train(killed).step == STEPS
    assert weights(straight) == weights(killed)


def test_validation_and_checkpoints_do_not_change_the_result(make_run, monkeypatch) -> None:
    plain, busy = make_run("plain"), make_run("busy")
    train(plain, eval_every=0)
    monkeypatch.setattr(saving.Saver, "due", lambda self: True)
    train(busy, eval_every=3, save_every=7)
    assert weights(plain) == weights(busy)
    assert [line["step"] for line in metrics(busy, "val")] == [*range(3, 40, 3), 40]
    kept = sorted(path.name for path in (busy.path / "milestones").iterdir())
    assert kept == [f"weights.{step:08d}.safetensors" for step in range(7, 41, 7)]
    assert len(list((busy.path / "eval" / "validation").glob("*.png"))) == 14


def test_the_best_weights_are_those_of_the_highest_validation_psnr(make_run, monkeypatch) -> None:
    run = make_run()
    # Two views at each of the steps 8, 16, 24, 32, 40.
    values = iter([10.0, 10.0, 40.0, 20.0, 20.0, 20.0, 25.0, 27.0, 5.0, 5.0])
    monkeypatch.setattr(validation, "picture_psnr", lambda *_: next(values))
    train(run, eval_every=8, save_every=8)
    assert Run.open(run.path).record.progress.best_psnr == 30.0
    best = load_file(run.best_weights_path)["colours"]
    assert torch.equal(best, load_file(run.path / "milestones" / "weights.00000016.safetensors")["colours"])
    assert not torch.equal(best, load_file(run.weights_path)["colours"])


def test_minutes_end_the_training_by_the_clock_and_count_over_parts(make_run, monkeypatch) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        at_step(patch, 30, lambda: signal.raise_signal(signal.SIGTERM))
        first = train(run, steps=None, minutes=0.01)
    assert first.ending == "interrupted"
    assert 0 < first.seconds < 0.6
    second = train(run, steps=None, minutes=0.01)
    assert second.ending == "finished"
    assert 0.6 <= second.seconds < 1.2
    assert second.step > 30
    progress = Run.open(run.path).record.progress
    assert progress.finished
    assert already_done(progress, TrainSettings(minutes=0.01))
    assert not already_done(progress, TrainSettings(minutes=0.1))


def test_a_stop_while_preparing_leaves_an_empty_run_that_can_be_started(make_run, monkeypatch) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        patch.setattr(Wave, "prepare", lambda self, data: signal.raise_signal(signal.SIGINT))
        result = train(run)
    assert (result.ending, result.step) == ("interrupted", 0)
    assert Run.open(run.path).read_training_state() is None
    assert train(run).step == STEPS


def test_nan_stops_and_keeps_the_last_good_checkpoint(make_run, monkeypatch) -> None:
    run = make_run(fail_at=12)
    monkeypatch.setattr(saving.Saver, "due", lambda self: True)
    with pytest.raises(RunError, match="not a finite number at step 12"):
        train(run)
    assert all(torch.isfinite(value).all() for value in load_file(run.weights_path).values())
    state = run.read_training_state()
    assert state is not None
    assert state["step"] in (11, 12)


def test_weights_that_became_nan_are_not_saved(make_run, monkeypatch) -> None:
    run = make_run()
    monkeypatch.setattr(saving.Saver, "due", lambda self: True)

    def poison(self: Wave, progress: Progress) -> bool:
        if progress.step == 9:
            self.colours.data[0] = torch.inf
        return False

    monkeypatch.setattr(Wave, "after_step", poison)
    with pytest.raises(RunError, match="not a finite number"):
        train(run)
    assert torch.isfinite(load_file(run.weights_path)["colours"]).all()


def test_a_full_disk_while_training_is_told_and_tried_again(make_run, monkeypatch, caplog) -> None:
    run = make_run()
    monkeypatch.setattr(saving.Saver, "due", lambda self: True)
    real, calls = Run.write_checkpoint, []

    def write(self, checkpoint, **changes):
        calls.append(checkpoint.step)
        if checkpoint.step == 3:
            raise RunError("Cannot write the file (No space left on device)", where=self.weights_path)
        real(self, checkpoint, **changes)

    monkeypatch.setattr(Run, "write_checkpoint", write)
    assert train(run).ending == "finished"
    assert "Saving failed and will be tried again. Cannot write the file (No space left" in caplog.text
    assert calls[-1] == STEPS
    assert Run.open(run.path).record.progress.step == STEPS


def test_a_full_disk_at_the_end_fails_and_keeps_the_earlier_checkpoint(make_run, monkeypatch) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        at_step(patch, 10, lambda: signal.raise_signal(signal.SIGINT))
        train(run)
    before = weights(run)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sightline.runs.weights.save_file", full)
        with pytest.raises(RunError, match="No space left on device"):
            train(run)
    assert weights(run) == before
    assert train(run).step == STEPS


def test_too_little_disk_is_told_before_the_first_step(make_run, monkeypatch) -> None:
    run = make_run()
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr("sightline.training.estimates.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="needs about 5 MiB of disk, but 0 MiB are free"):
        train(run)


def test_training_can_begin_from_the_weights_of_another_run(make_run) -> None:
    first, second = make_run("first"), make_run("second")
    train(first, steps=200)
    order = TrainOrder(second.path, TrainSettings(steps=1, device="cpu", eval_every=0), first.weights_path)
    result = train_run(order)
    assert result.train_psnr is not None
    assert result.train_psnr > 18


def test_the_learning_rates_of_groups_follow_the_schedule(make_run, monkeypatch) -> None:
    seen = []
    real = Wave.forward

    def forward(self, batch, progress):
        seen.append(progress)
        return real(self, batch, progress)

    monkeypatch.setattr(Wave, "forward", forward)
    train(make_run(), steps=4, eval_every=0)
    assert [(p.step, p.fraction) for p in seen] == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]


class SlowMachine:
    """A clock on which preparing the data takes 40 s and a step 15 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 0.0
        monkeypatch.setattr(session, "Budget", partial(Budget, clock=lambda: self.now))
        for name, seconds in (("prepare", 40.0), ("forward", 15.0)):
            self.delay(monkeypatch, name, seconds)

    def delay(self, monkeypatch: pytest.MonkeyPatch, name: str, seconds: float) -> None:
        real = getattr(Wave, name)

        def slow(method: Wave, *arguments):
            self.now += seconds
            return real(method, *arguments)

        monkeypatch.setattr(Wave, name, slow)


@pytest.mark.parametrize(
    ("minutes", "steps", "said"),
    [
        (
            0.5,
            0,
            "No training step was taken: opening and preparing the data took 40.0 s of 40.0 s. ",
        ),
        (
            0.8,
            1,
            "Only 1 training step was taken: opening and preparing the data took 40.0 s of 55.0 s",
        ),
        (1.5, 4, "Only 4 training steps were taken: opening and preparing the data took 40.0 s of 100.0 s, "),
        (4.0, 14, ""),
    ],
)
def test_too_little_time_is_told_and_the_run_is_saved(
    make_run, monkeypatch, caplog: pytest.LogCaptureFixture, minutes: float, steps: int, said: str
) -> None:
    run = make_run()
    with monkeypatch.context() as patch, caplog.at_level("WARNING", "sightline"):
        SlowMachine(patch)
        result = train(run, steps=None, minutes=minutes)
    assert (result.ending, result.step) == ("finished", steps)
    assert [record.message.startswith(said) for record in caplog.records] == ([True] if said else [])
    assert ("a step 15.0 s" in caplog.text) == (steps in (1, 4))
    assert "--resume and more --minutes" in caplog.text or not said
    assert len(weights(run)["colours"]) == 8
    opened = Run.open(run.path)
    assert (opened.record.progress.step, opened.record.progress.finished) == (steps, True)
    assert opened.load_method() is not None
    assert train(run, steps=steps + 20).step == steps + 20


def test_a_resumed_training_without_time_for_a_step_is_told(
    make_run, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run()
    train(run, steps=30)
    before = weights(run)
    SlowMachine(monkeypatch)
    with caplog.at_level("WARNING", "sightline"):
        assert train(run, steps=None, minutes=0.5).step == 30
    assert "No further training step was taken" in caplog.text
    assert weights(run) == before


def test_a_missing_gpu_is_told(make_run) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(InputError, match="No CUDA device"):
        train(make_run(), device="cuda")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 5, "minutes": 1.0}, "Both a time and a number of steps"),
        ({"steps": 0}, "above 0.*--steps"),
        ({"steps": 5, "log_every": 0}, "--log-every"),
        ({"steps": 5, "eval_every": -1}, "--eval-every"),
        ({"steps": 5, "num_nodes": 2}, "torchrun"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make_run, settings: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        train(make_run(), **settings)


def test_two_processes_train_the_same_scene(make_run, installed_wave) -> None:
    run = make_run()
    result = train(run, steps=60, devices=2)
    assert (result.ending, result.step) == ("finished", 60)
    assert result.train_psnr is not None
    assert result.train_psnr > 18
    state = run.read_training_state()
    assert state is not None
    assert len(state["processes"]) == 2
    first, second = (process["batches"]["order"] for process in state["processes"])
    assert not torch.equal(first, second)
    # Global randomness is the same in both, so what a method draws after a step is too.
    assert torch.equal(*(process["random"]["torch"] for process in state["processes"]))


@pytest.mark.slow  # three times two processes that import everything: 20 s
def test_two_processes_stopped_and_resumed_give_the_identical_result(make_run, installed_wave) -> None:
    straight, stopped = make_run("straight"), make_run("stopped", stop_at=13)
    train(straight, devices=2)
    assert train(stopped, devices=2).step == 13
    stopped.update(config={**stopped.record.config, "stop_at": None})
    assert train(stopped, devices=2).step == STEPS
    assert weights(straight) == weights(stopped)


@pytest.mark.slow  # two processes that import everything: 15 s
def test_an_error_in_a_further_process_comes_home(make_run, installed_wave) -> None:
    with pytest.raises(RunError, match="not a finite number at step 5"):
        train(make_run(fail_at=5), devices=2)
