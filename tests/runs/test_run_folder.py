import errno
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sightline.foundation.errors import InputError, RunError
from sightline.runs import checkpoint as checkpoint_module
from sightline.runs.checkpoint import (
    STATE,
    WEIGHTS,
    Checkpoint,
    read_state,
    repair_checkpoint,
    write_checkpoint,
)
from sightline.runs.record import DataSource, RunProgress, RunRecord
from sightline.runs.run import Run
from sightline.runs.weights import read_step, read_weights, write_weights
from small_method import Wave, WaveConfig


def trained(make_run, value: float = 0.25) -> Run:
    run = make_run()
    run.update(state={"scale": 3.0})
    weights = {name: torch.full_like(t, value) for name, t in Wave(WaveConfig()).state_dict().items()}
    run.write_checkpoint(Checkpoint("wave", 5, weights, {"a": 1}), progress=RunProgress(5, 0.5, 2.0))
    return run


def test_a_run_that_is_opened_again_is_the_same(make_run) -> None:
    run = trained(make_run)
    again = Run.open(run.path)
    assert again.record == run.record
    assert again.config == WaveConfig()
    assert again.record.progress == RunProgress(5, 0.5, 2.0)
    method = again.load_method()
    assert isinstance(method, Wave)
    assert not method.training
    assert method.scale == 3.0
    assert torch.equal(method.colours, torch.full((8, 3), 0.25))
    assert read_step(run.weights_path) == 5
    assert run.weights_path.stat().st_mode == (run.path / "run.json").stat().st_mode


def test_an_existing_folder_is_refused(make_run) -> None:
    run = make_run()
    with pytest.raises(InputError, match=r"exists already.*--resume"):
        Run.create(run.path, run.record)


def test_an_empty_folder_is_taken(make_run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", make_run().record).path.is_dir()


def test_what_is_no_run_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        Run.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"not a run folder: it has no run\.json"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 1,\n "method" 2}', encoding="utf-8")
    with pytest.raises(InputError, match="line 2, column 11"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 1, "method": "wave"}', encoding="utf-8")
    with pytest.raises(InputError, match="'config' is missing"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(InputError, match=r"newer Sightline.*99"):
        Run.open(tmp_path)


def test_an_unknown_setting_of_the_method_is_named(make_run) -> None:
    run = make_run()
    run.update(config={"rays": 3, "beams": 4})
    with pytest.raises(InputError, match="'beams'"):
        _ = Run.open(run.path).config


def test_the_folder_can_be_moved_together_with_its_data(make_run, data: Path, tmp_path: Path) -> None:
    run = make_run()
    assert not Path(run.record.data.path).is_absolute()
    new = tmp_path / "elsewhere"
    new.mkdir()
    shutil.move(data, new / "data")
    shutil.move(run.path, new / "run")
    assert len(Run.open(new / "run").open_data()) == 13


def test_data_that_is_gone_is_asked_for(make_run, data: Path, tmp_path: Path) -> None:
    run = make_run()
    shutil.move(data, tmp_path / "moved")
    with pytest.raises(InputError, match=r"not where it was.*--data"):
        run.open_data()
    assert len(run.open_data(tmp_path / "moved")) == 13
    run.relocate_data(tmp_path / "moved")
    assert len(Run.open(run.path).open_data()) == 13


def test_data_options_are_kept_and_can_be_replaced(data: Path, tmp_path: Path, make_run) -> None:
    run = make_run()
    run.update(data=DataSource.describe(data, run.path, downscale=2))
    assert run.open_data().images.sizes[0].tolist() == [4, 4]
    assert run.open_data(downscale=1).images.sizes[0].tolist() == [8, 8]


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_weights_that_are_cut_short_are_told(make_run, keep: int) -> None:
    run = trained(make_run)
    content = run.weights_path.read_bytes()
    run.weights_path.write_bytes(content[:keep])
    with pytest.raises(InputError, match=r"cannot be read.*cut short") as caught:
        run.load_method()
    assert str(run.weights_path) in str(caught.value)


def test_a_training_state_that_is_cut_short_is_told_in_one_sentence(make_run) -> None:
    run = trained(make_run)
    path = run.path / "training_state.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"^The training state cannot be read \([^.]*\)\. Where: .*--init"):
        run.read_training_state()
    run.load_method()


def test_a_method_that_is_not_installed_is_told_with_the_run(make_run) -> None:
    run = make_run()
    run.update(method="tensorf")
    with pytest.raises(InputError, match=r"'tensorf', which is not installed.*run\.json"):
        Run.open(run.path).load_method()


def test_missing_weights_are_told(make_run) -> None:
    run = make_run()
    with pytest.raises(InputError, match="no weights here"):
        run.load_method()


def test_weights_of_another_method_are_told(make_run) -> None:
    run = trained(make_run)
    write_weights(run.weights_path, {"x": torch.zeros(2)}, method="nerf", step=1)
    with pytest.raises(InputError, match="of the method 'nerf', but the run is of 'wave'"):
        run.load_method()


def test_every_tensor_that_does_not_fit_is_listed(make_run) -> None:
    run = trained(make_run)
    save_file(
        {"colours": torch.zeros(4, 3), "noise": torch.zeros(3), "other": torch.zeros(1)}, run.weights_path
    )
    with pytest.raises(InputError) as caught:
        run.load_method()
    text = str(caught.value)
    assert "missing: seen" in text
    assert "not known: other" in text
    assert "colours (4, 3) instead of (8, 3)" in text


def test_a_checkpoint_of_two_files_is_whole_at_every_moment(tmp_path: Path, monkeypatch) -> None:
    """Stop at every rename: what is found afterwards is the old or the new pair, never a mixture."""
    old = Checkpoint("wave", 1, {"x": torch.ones(2)}, {"value": 1})
    new = Checkpoint("wave", 2, {"x": torch.full((2,), 2.0)}, {"value": 2})
    real = os.replace

    class PowerFailure(BaseException):
        pass

    seen = []
    for moment in range(4):
        folder = tmp_path / str(moment)
        folder.mkdir()
        write_checkpoint(folder, old)
        left = [moment]

        def replace(source, target, left=left):
            if left[0] == 0:
                raise PowerFailure
            left[0] -= 1
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        if moment < 3:
            with pytest.raises(PowerFailure):
                write_checkpoint(folder, new)
        else:
            write_checkpoint(folder, new)
        monkeypatch.setattr(os, "replace", real)
        repair_checkpoint(folder)
        state = read_state(folder)
        assert state is not None
        weights = read_weights(folder / WEIGHTS)
        assert state["step"] == state["value"] == int(weights["x"][0]) == read_step(folder / WEIGHTS)
        seen.append(state["step"])
    assert seen == [1, 1, 2, 2]


@pytest.mark.parametrize("failing", ["weights", "state"])
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch, failing: str) -> None:
    write_checkpoint(tmp_path, Checkpoint("wave", 1, {"x": torch.ones(2)}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "weights":
        monkeypatch.setattr("sightline.runs.weights.save_file", full)
    else:
        monkeypatch.setattr(checkpoint_module, "_save", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_checkpoint(tmp_path, Checkpoint("wave", 2, {"x": torch.zeros(2)}))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_as_the_reason() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint_module._save({"x": torch.zeros(1000)}, Path("/dev/full"))


@pytest.mark.skipif(sys.platform == "win32", reason="rights of folders work otherwise on Windows")
def test_a_read_only_folder_leaves_the_earlier_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_checkpoint(folder, Checkpoint("wave", 1, {"x": torch.ones(2)}))
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(RunError, match=r"Cannot write the file.*earlier|Cannot write the file"):
            write_checkpoint(folder, Checkpoint("wave", 2, {"x": torch.zeros(2)}))
    finally:
        folder.chmod(0o755)
    assert load_file(folder / WEIGHTS)["x"].tolist() == [1.0, 1.0]


def test_nothing_in_a_training_state_is_executed(tmp_path: Path) -> None:
    class Dangerous:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    torch.save({"step": 1, "x": Dangerous()}, tmp_path / STATE)
    with pytest.raises(InputError, match="cannot be read"):
        read_state(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_the_record_of_the_capture_needs_no_data(make_run, data: Path) -> None:
    run = make_run()
    capture = run.open_data()
    run.record_capture(capture, thumbnails=True)
    shutil.rmtree(data)
    info = Run.open(run.path).capture_info()
    assert torch.equal(info.cameras.c2w, capture.cameras.c2w)
    assert info.splits == capture.splits
    assert info.path == "../data"
    assert len(info.thumbnails) == 13
    thumbnail = info.thumbnail(0)
    assert thumbnail is not None
    assert thumbnail.shape == (8, 8, 3)


def test_run_json_is_readable_and_complete(make_run) -> None:
    run = trained(make_run)
    values = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert next(iter(values)) == "schema"
    assert values["data"] == {
        "path": "../data",
        "format": None,
        "downscale": 1,
        "holdout": 8,
        "split_rule": None,
        "resize_rule": None,
        "strict": False,
        "angle_unit": None,
    }
    assert RunRecord.read(run.path).to_json() == values


def test_timings_add_up_over_parts(make_run) -> None:
    run = make_run()
    run.add_timings({"train": 1.5, "saving": 0.25})
    run.add_timings({"train": 2.0})
    assert run.record.timings == {"train": 3.5, "saving": 0.25}


def test_a_reader_that_makes_the_last_move_does_not_disturb_the_writer(tmp_path, monkeypatch) -> None:
    """As the viewer and `sightline eval` do, when they open a run between the writer's moves."""
    weights = {"a": torch.zeros(2)}
    write_checkpoint(tmp_path, Checkpoint("wave", 1, weights))
    move = checkpoint_module._replace

    def after_a_reader(source: Path, target: Path) -> None:
        monkeypatch.setattr(checkpoint_module, "_replace", move)
        checkpoint_module.repair_checkpoint(tmp_path)
        assert not source.exists()
        move(source, target)

    monkeypatch.setattr(checkpoint_module, "_replace", after_a_reader)
    write_checkpoint(tmp_path, Checkpoint("wave", 2, weights))
    assert read_step(tmp_path / "weights.safetensors") == 2

    def fails(source: Path, target: Path) -> None:
        source.unlink()
        move(source, target)

    monkeypatch.setattr(checkpoint_module, "_replace", fails)
    with pytest.raises(RunError):
        write_checkpoint(tmp_path, Checkpoint("wave", 3, weights))
