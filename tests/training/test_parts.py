"""The parts of the training loop, each by itself."""

import ctypes
import importlib
import io
import math
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.captures import ImageStore, open_capture
from sightline.foundation.errors import InputError, RunError
from sightline.methods.base import Progress, Rendering, Scene
from sightline.methods.pictures import FIRST_CHUNK, PictureRenderer
from sightline.training.budget import Budget
from sightline.training.display import Display, describe, short_number, short_time
from sightline.training.estimates import Estimate, available_memory, check, estimate
from sightline.training.interruption import StopRequests
from sightline.training.logs import TrainingLog
from sightline.training.meter import Meter
from sightline.training.saving import (
    Saver,
    copy_to_cpu,
    copy_weights,
    random_state,
    set_random_state,
)
from sightline.training.settings import TrainSettings
from sightline.training.validation import Validator, choose_views, prepare_views
from small_method import Wave, WaveConfig


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_of_steps() -> None:
    clock = Clock()
    budget = Budget(steps=200, clock=clock, earlier=10.0)
    clock.now += 5
    progress = budget.progress(50)
    assert progress == Progress(50, 0.25, 15.0)
    assert budget.seconds_left(progress) == 45.0


def test_a_budget_of_time() -> None:
    clock = Clock()
    budget = Budget(seconds=60, clock=clock)
    clock.now += 15
    progress = budget.progress(7)
    assert progress == Progress(7, 0.25, 15.0)
    assert budget.seconds_left(progress) == 45.0
    clock.now += 100
    assert budget.progress(8).fraction == 1.0


def test_nothing_is_known_of_the_time_before_the_first_step() -> None:
    budget = Budget(steps=10, clock=Clock())
    assert budget.seconds_left(budget.progress(0)) is None


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 100), st.integers(0, 500)), min_size=1))
def test_a_meter_gives_means_and_rates(steps: list[tuple[float, int, int]]) -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    for loss, rays, samples in steps:
        meter.add({"loss": torch.tensor(loss), "rays": torch.tensor(rays), "samples": samples})
    clock.now += 5
    meter.exclude(1)
    reading = meter.read()
    rays, samples = sum(s[1] for s in steps), sum(s[2] for s in steps)
    assert reading.steps == len(steps)
    assert reading.values == {"loss": pytest.approx(np.mean([s[0] for s in steps]), abs=1e-5)}
    assert reading.rays_per_second == pytest.approx(rays / 4)
    assert reading.samples_per_ray == pytest.approx(samples / rays)
    assert meter.steps == 0
    assert meter.read().values == {}


def test_a_reading_knows_of_losses_that_are_no_numbers() -> None:
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0)})
    meter.add({"loss": torch.tensor(math.nan)})
    reading = meter.read()
    assert not reading.finite
    assert "loss" not in reading.to_json()


def test_logs_drop_what_is_done_again(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path)
    for step in (1, 2, 3):
        log.write("train", Progress(step, 0.1 * step, 1.0), {"loss": 0.5})
    log.close()
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + '{"kind": "tra', encoding="utf-8")
    log = TrainingLog(tmp_path, resume_step=2)
    log.write("train", Progress(3, 0.3, 1.0), {"loss": 0.25})
    log.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert '"step": 2' in lines[1]
    assert '"loss": 0.25' in lines[2]


class _FullFile(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        self.flush()


@pytest.mark.parametrize("part", ["lines", "tensorboard"])
def test_logs_that_cannot_be_written_are_told_once(
    part: str, tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    hook = threading.excepthook
    log = TrainingLog(tmp_path)
    if part == "lines":
        monkeypatch.setattr(log, "_file", _FullFile())
    else:
        monkeypatch.setattr(
            "tensorboard.summary.writer.record_writer.RecordWriter.write", lambda *_: _FullFile().flush()
        )
    started = time.monotonic()
    while not caplog.records and time.monotonic() - started < 20:
        log.write("train", Progress(1, 0.1, 1.0), {"loss": 0.5})
        time.sleep(0.05)
    log.write_picture("validation", Progress(1, 0.1, 1.0), np.zeros((4, 4, 3), np.uint8))
    log.close()
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "The logs cannot be written any more"
    ]
    assert "No space left" in caplog.text
    assert "Traceback" not in capfd.readouterr().err
    assert threading.excepthook is hook


def test_a_stop_is_immediate_before_there_is_something_to_save() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), StopRequests():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stop_while_a_module_is_imported_waits_for_its_end(tmp_path: Path, monkeypatch) -> None:
    code = "import signal\nsignal.raise_signal(signal.SIGINT)\nwhole = True\n"
    (tmp_path / "stopping_module.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with StopRequests() as stop:
        assert importlib.import_module("stopping_module").whole
        with pytest.raises(KeyboardInterrupt):
            stop.defer()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_that_meets_a_callback_is_made_again(name: str, capfd) -> None:
    hook = sys.unraisablehook

    def compile_something() -> None:
        # What is raised in a callback is dropped by ctypes.
        ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(getattr(signal, name)))()
        for _ in range(200):
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt), StopRequests():
        compile_something()
    assert sys.unraisablehook is hook
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_is_noted_then_a_second_one_is_immediate(name: str) -> None:
    with StopRequests() as stop:
        stop.defer()
        assert not stop.requested()
        signal.raise_signal(getattr(signal, name))
        assert stop.requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(getattr(signal, name))


def test_stops_work_without_signals_in_another_thread() -> None:
    found = []

    def work() -> None:
        with StopRequests() as stop:
            found.append(stop.requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_the_saver_chooses_an_interval_that_costs_two_per_cent() -> None:
    clock = Clock()
    saver = Saver(clock=clock)

    def save(blocked: float) -> None:
        def take():
            clock.now += blocked
            return lambda: None

        saver.save(take)
        saver.finish()

    save(0.2)
    assert saver.interval == pytest.approx(10.0, rel=0.05)
    save(0.001)
    assert saver.interval == 5.0
    save(30.0)
    assert saver.interval == 14.5
    assert not saver.due()
    clock.now += 15
    assert saver.due()
    saver.close()


def test_the_saver_raises_only_when_asked_to_finish(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RunError("the disk is full")

    saver = Saver()
    saver.also(fail)
    saver.also(lambda: None)
    assert "the disk is full" in caplog.text
    saver.also(fail)
    with pytest.raises(RunError):
        saver.finish()
    saver.close()


def test_copies_share_no_memory() -> None:
    module = torch.nn.Linear(2, 2)
    module.tied = module.weight
    copied = copy_weights(module)
    assert copied["weight"].data_ptr() != copied["tied"].data_ptr() != module.weight.data_ptr()
    nested = {"a": [torch.ones(2), (1, "x")]}
    other = copy_to_cpu(nested)
    nested["a"][0].zero_()
    assert other["a"][0].tolist() == [1.0, 1.0]
    assert other["a"][1] == (1, "x")


def test_random_states_survive_a_safe_file(tmp_path: Path) -> None:
    import random

    torch.save(random_state(), tmp_path / "state.pt")
    expected = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_validation_views_are_spread_and_small(data: Path) -> None:
    capture = open_capture(data)
    assert choose_views(capture) == [9, 10]
    assert choose_views(capture, 1) == [10]
    views = prepare_views(capture, pixels=32)
    assert [tuple(view.truth.shape) for view in views] == [(4, 4, 3), (4, 4, 3)]
    assert int(views[0].camera.width[0]) == 4
    mean = torch.tensor(capture.images[9]).float().mean((0, 1)) / 255
    assert torch.allclose(views[0].truth.mean((0, 1)), mean, atol=1 / 255)
    unreduced = prepare_views(capture, pixels=10_000)
    assert torch.equal((unreduced[0].truth * 255).round().byte(), torch.tensor(capture.images[9]))


def test_a_perfect_method_is_scored_so_and_masked_pixels_do_not_count(data: Path) -> None:
    capture = open_capture(data)

    class Perfect(Wave):
        wrong: float | torch.Tensor = 0.0

        def render(self, scene, camera, *, background=None, chunk=None):
            index = int((capture.cameras.c2w == camera.c2w).flatten(1).all(1).nonzero()[0])
            rgb = torch.tensor(capture.images[index]).float() / 255
            return Rendering(rgb + self.wrong)

    validator = Validator(capture, every=1, pixels=10_000)
    method = Perfect(WaveConfig())
    assert validator.run(method).psnr == 100.0
    method.wrong = 0.1
    assert validator.run(method).psnr == pytest.approx(20.0, abs=0.01)
    assert method.training
    left = np.zeros((8, 8), np.uint8)
    left[:, :4] = 1
    masks = ImageStore.from_arrays([left] * len(capture))
    capture = replace(capture, masks=masks)
    half_wrong = torch.cat([torch.ones(8, 4, 3), torch.zeros(8, 4, 3)], 1)
    method.wrong = 0.3 * half_wrong
    assert Validator(capture, every=1, pixels=10_000).run(method).psnr == 100.0


def test_validation_is_as_frequent_as_asked(data: Path) -> None:
    capture = open_capture(data)
    assert [step for step in range(1, 10) if Validator(capture, every=4).due(step)] == [4, 8]
    assert not Validator(capture, every=0).possible
    clock = Clock()
    validator = Validator(capture, clock=clock)
    assert not validator.due(1)
    clock.now += 10.5
    assert validator.due(2)
    validator.run(Wave(WaveConfig()))
    assert not validator.due(3)


def test_chunks_halve_until_the_memory_is_enough(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture = open_capture(data)
    asked = []

    class Greedy(Wave):
        def render(self, scene, camera, *, background=None, chunk=None):
            asked.append(chunk)
            if chunk is None or chunk > 5000:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().render(scene, camera, background=background, chunk=chunk)

    render = PictureRenderer(Greedy(WaveConfig()), Scene())
    assert render(capture.cameras[0]).rgb.shape == (8, 8, 3)
    assert asked == [None, FIRST_CHUNK // 2, FIRST_CHUNK // 4, FIRST_CHUNK // 8, FIRST_CHUNK // 16]
    render(capture.cameras[1])
    assert asked[-1] == FIRST_CHUNK // 16
    assert len(asked) == 6
    assert "4096 rays at a time" in caplog.text


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_is_never_enough_is_told(data: Path, error: Exception) -> None:
    class Hopeless(Wave):
        def render(self, *_, **__):
            raise error

    capture = open_capture(data)
    with pytest.raises(RunError, match="even 256 rays at a time"):
        PictureRenderer(Hopeless(WaveConfig()), Scene())(capture.cameras[0])


def test_other_errors_of_rendering_are_not_hidden(data: Path) -> None:
    class Broken(Wave):
        def render(self, *_, **__):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        PictureRenderer(Broken(WaveConfig()), Scene())(open_capture(data).cameras[0])


def test_the_display_prints_plain_lines_away_from_a_terminal() -> None:
    stream, clock = io.StringIO(), Clock()
    display = Display(stream, clock=clock)
    assert not display.due()
    clock.now += 10
    assert display.due()
    meter = Meter(clock=clock)
    meter.add({"loss": 0.5, "psnr": 21.5, "rays": 4000, "samples": 8000})
    clock.now += 1
    display.show(Progress(120, 0.25, 11.0), meter.read(), 33.0)
    assert stream.getvalue() == " 25%  step 120  train 21.50 dB  4k rays/s  2.0 samples/ray  33 s left\n"


def test_numbers_and_times_are_short() -> None:
    assert [short_number(v) for v in (950, 12_345, 4.56e6, 2e9)] == ["950", "12.3k", "4.56M", "2G"]
    assert [short_time(v) for v in (8.4, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 5 min"]
    assert describe(Progress(3, 0.0), None, None) == "step 3  time left unknown"


def test_what_will_be_replaced_counts_as_free_disk(tmp_path: Path, monkeypatch) -> None:
    need = Estimate(memory=1, disk=100 << 20)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=70 << 20))
    with pytest.raises(InputError, match=r"about 100 MiB of disk, but 70 MiB are free.*--out"):
        check(need, tmp_path)
    with open(tmp_path / "weights.safetensors", "wb") as file:
        file.truncate(40 << 20)
    check(need, tmp_path)
    with open(tmp_path / "weights.safetensors", "wb") as file:
        file.truncate(20 << 20)
    with pytest.raises(InputError, match="about 80 MiB"):
        check(need, tmp_path)


def test_the_estimate_counts_parameters_images_and_copies(data: Path) -> None:
    capture = open_capture(data)
    module = torch.nn.Linear(1000, 1000, bias=False)
    small = estimate(module, capture, TrainSettings(steps=10))
    more = estimate(module, capture, TrainSettings(steps=10, save_every=5))
    assert more.disk - small.disk == 2 * 4_000_000
    assert small.disk >= 4 * 4_000_000
    bare = estimate(torch.nn.Linear(1, 1, bias=False), None, TrainSettings(steps=10))
    assert small.memory - bare.memory == pytest.approx(4_000_000 * 7 + 2 * 13 * 64 * 3, rel=0.01)
    memory = available_memory()
    assert memory is None or memory > 1 << 20


def test_pauses_are_no_training_time():
    now = [100.0]
    budget = Budget(None, 10.0, earlier=2.0, clock=lambda: now[0])
    now[0] += 5.0
    budget.pause(3.0)
    assert budget.elapsed() == 4.0
    assert budget.progress(7).fraction == pytest.approx(0.4)
    assert budget.seconds_left(budget.progress(7)) == pytest.approx(6.0)
