import json

import pytest

from sightline.runs.history import read_history


def write(folder, *lines: str):
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_history(folder)


def line(kind="train", step=10, seconds=60.0, **values) -> str:
    return json.dumps({"kind": kind, "step": step, "seconds": seconds, "fraction": 0.5, **values})


def test_columns_by_kind_and_name(tmp_path):
    found = write(
        tmp_path,
        line(step=10, seconds=30, loss=0.5, psnr=12),
        line("val", 10, 31, psnr=11),
        line(step=20, seconds=60, loss=0.25),
    )
    assert (found.lines, found.damaged, found.exists) == (3, 0, True)
    assert {kind: sorted(named) for kind, named in found.curves.items()} == {
        "train": ["loss", "psnr"],
        "val": ["psnr"],
    }
    loss = found.curve("train", "loss")
    assert loss is not None
    assert loss.steps.tolist() == [10, 20]
    assert loss.minutes.tolist() == [0.5, 1.0]
    assert loss.values.tolist() == [0.5, 0.25]
    assert len(loss) == 2
    assert found.curve("val", "loss") is None


def test_damaged_lines_are_passed_over(tmp_path):
    found = write(
        tmp_path,
        line(loss=1.0),
        line(loss=2.0)[:-9],
        "[1, 2]",
        '{"kind": "train", "loss": 3}',
        '{"kind": "train", "step": "x", "seconds": 1, "loss": 3}',
        "",
        line(step=30, loss=0.5, note="text", flag=True, nothing=None),
    )
    assert (found.lines, found.damaged) == (2, 4)
    assert list(found.curves["train"]) == ["loss"]
    assert found.curves["train"]["loss"].values.tolist() == [1.0, 0.5]


def test_values_that_are_no_numbers_are_left_out(tmp_path):
    found = write(
        tmp_path, line(loss=1.0), '{"kind": "train", "step": 2, "seconds": 1, "loss": NaN, "psnr": Infinity}'
    )
    assert found.curves["train"]["loss"].values.tolist() == [1.0]
    assert "psnr" not in found.curves["train"]


def test_steps_are_in_order(tmp_path):
    found = write(tmp_path, line(step=20, loss=2.0), line(step=10, loss=1.0))
    assert found.curves["train"]["loss"].values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("empty", [False, True])
def test_without_a_log(tmp_path, empty):
    if empty:
        (tmp_path / "metrics.jsonl").touch()
    found = read_history(tmp_path)
    assert (found.curves, found.lines, found.damaged, found.exists) == ({}, 0, 0, empty)
