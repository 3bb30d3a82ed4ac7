"""The ladder's arithmetic and tables, without training."""

import importlib
import subprocess
import sys
from dataclasses import replace

import pytest


@pytest.fixture
def ladder(monkeypatch, root):
    monkeypatch.syspath_prepend(str(root))
    return importlib.import_module("benchmarks.cpu_ladder")


@pytest.fixture
def result(ladder):
    return ladder.Result(
        scene="fox",
        seconds=30.0,
        trained_seconds=30.1,
        warm_up_seconds=0.5,
        steps=1234,
        rates=ladder.Rates(1.25e6, 2.5e6, 98_765.0, 12.34),
        psnr=25.678,
        ssim=0.81234,
        lpips=None,
        per_view={"a.jpg": 24.0, "b.jpg": None},
        seconds_per_view=0.456,
        training_peak_bytes=3 << 29,
        peak_bytes=None,
    )


def line(step: int, seconds: float, **values):
    return {"kind": "train", "step": step, "seconds": seconds, **values}


def test_rates_are_medians_of_intervals(ladder):
    lines = [
        line(10, 1.0, samples_per_second=5.0, rays_per_second=2.0, samples_per_ray=2.5, candidates=100),
        {"kind": "val", "step": 10, "seconds": 1.2, "psnr": 20.0},
        line(30, 2.0, samples_per_second=9.0, rays_per_second=3.0, samples_per_ray=3.0, candidates=200),
        line(40, 4.0, samples_per_second=7.0, rays_per_second=4.0, samples_per_ray=1.75, candidates=300),
    ]
    # Candidates: 100 · 10 in 1 s, 200 · 20 in 1 s, 300 · 10 in 2 s.
    assert ladder.read_rates(lines) == ladder.Rates(7.0, 1500.0, 3.0, 2.5)


def test_rates_without_steps_are_unknown(ladder):
    assert ladder.read_rates([{"kind": "val", "step": 0, "seconds": 1.0}]) == ladder.Rates()


def test_a_row_says_what_was_found(ladder, result):
    head, rule, row = (text.strip("| ").split(" | ") for text in ladder.ladder_table([result]).splitlines())
    assert len(head) == len(rule) == len(row)
    assert row[:8] == ["fox", "30", "25.68", "0.8123", "1234", "1.25", "2.50", "98.8"]
    assert row[8:] == ["12.3", "1.50", "unknown", "0.46"]


def test_lpips_has_a_column_where_it_is_known(ladder, result):
    assert "LPIPS" not in ladder.ladder_table([result])
    table = ladder.ladder_table([replace(result, lpips=0.25), result]).splitlines()
    assert [text.split(" | ")[4] for text in table[2:]] == ["0.2500", "unknown"]


def test_views_have_a_column_for_each_rung(ladder, result):
    later = replace(result, seconds=60.0, per_view={"a.jpg": 26.126, "b.jpg": 20.0})
    assert ladder.view_table([result, later]).splitlines()[2:] == [
        "| a.jpg | 24.00 | 26.13 |",
        "| b.jpg | unknown | 20.00 |",
    ]


def in_new_process(root, script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.split()


def test_the_parent_stays_small(root):
    script = "import sys, benchmarks.cpu_ladder; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert in_new_process(root, script) == ["False", "False"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say")
def test_the_peak_of_memory_stays_when_memory_is_freed(root):
    script = """
from benchmarks.cpu_ladder import peak_bytes
held = bytearray(b"x") * (300 << 20)
del held
print(peak_bytes() >> 20)
"""
    # A process begins with its parent's peak on Linux, so there is no limit above.
    assert int(in_new_process(root, script)[0]) >= 300
