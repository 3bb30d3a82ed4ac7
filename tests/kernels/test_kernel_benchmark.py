import importlib
import json
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.kernels")


def leaves(value) -> list[torch.Tensor]:
    """All tensors of a result."""
    if isinstance(value, torch.Tensor):
        return [value]
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    return [leaf for item in value or () for leaf in leaves(item)]


def test_both_sides_of_every_case_compute_the_same(benchmark):
    cases = list(benchmark.all_cases(samples=1200, log2_entries=10))
    assert len({case.name for case in cases}) == len(cases) >= 14
    for case in cases:
        arguments, others = case.prepare(), case.prepare()
        ours, theirs = leaves(case.compiled(*arguments)), leaves(case.reference(*others))
        # What is changed in place counts as well.
        ours, theirs = ours + leaves(arguments), theirs + leaves(others)
        assert len(ours) == len(theirs) > 0
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.shape == other.shape, case.name
            # A bin on a cell's border, or bfloat16's eight bits, may make a difference, but not on the whole.
            apart = float((mine.double() - other.double()).abs().mean())
            narrow = "bfloat16" in case.name or case.name.startswith("training step")
            part = 0.08 if narrow else 0.002
            assert apart <= part * max(float(other.double().abs().mean()), 1e-3), case.name


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere PyTorch has another OpenMP")
@pytest.mark.parametrize(("given", "spins"), [({}, "0"), ({"OMP_WAIT_POLICY": "active"}, None)])
def test_idle_threads_of_pytorch_do_not_spin(given, spins):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "GOMP_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", "import benchmarks.kernels, os; print(os.environ['KMP_BLOCKTIME'])"],
        cwd=ROOT,
        env={**environment, **given, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    read = dict(line.strip().split(" = ") for line in done.stderr.splitlines() if " = " in line)
    if "GOMP_SPINCOUNT" not in read:
        pytest.skip("PyTorch has another OpenMP library here")
    assert (read["GOMP_SPINCOUNT"] == "'0'") == (spins == "0")
    assert done.stdout == "0\n"


def test_what_an_item_takes(benchmark):
    cases = {case.name: case for case in benchmark.all_cases(samples=300, log2_entries=10)}
    # 8 levels of 8 corners with 4 features of 4 bytes; 32 outputs of 4 bytes.
    assert cases["hash encoding, forward"].item_bytes == 8 * 8 * 4 * 4 + 32 * 4
    assert cases["hash encoding, forward"].unit == "sample"
    assert cases["density network, forward"].item_operations == 2 * (32 * 64 + 64 * 16)
    assert cases["colour network, backward"].item_operations == 4 * (32 * 64 + 64 * 64 + 64 * 3)


def test_sides_take_turns_and_first_calls_do_not_count(benchmark, monkeypatch):
    clock, calls = [0.0], []

    def side(name, *costs):
        seconds = iter(costs)

        def call(argument):
            calls.append(name)
            assert argument == "prepared"
            clock[0] += next(seconds)

        return call

    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(benchmark, "threads_of_reference", lambda case: 1)
    case = benchmark.Case(
        name="a",
        items=1000,
        unit="sample",
        compiled=side("ours", 9, 1, 2, 9, 2, 3),
        reference=side("theirs", 50, 10, 30, 50, 12, 8),
        prepare=lambda: ("prepared",),
        item_bytes=4e6,
    )
    row = benchmark.measure(case, rounds=2, calls=2)
    assert calls == [*["ours"] * 3, *["theirs"] * 3] * 2
    # Medians of 1, 2, 2, 3 and of 8, 10, 12, 30.
    assert (row.compiled_ms, row.reference_ms, row.ratio) == (2000, 11000, 5.5)
    assert row.nanoseconds == 2e6
    assert row.gbytes == pytest.approx(4e6 * 1000 / 2 / 1e9)
    assert row.gflops is None


def test_the_table_and_its_machine_readable_form(benchmark, monkeypatch, capsys):
    machine = benchmark.Machine("cpu", "os", 2, 2, "2.0", 100.0, 200.0, 20.0)
    monkeypatch.setattr(benchmark, "measure_machine", lambda: machine)
    command = ["kernels", "--only", "forward", "--samples", "300", "--log2-entries", "8", "--rounds", "1"]
    monkeypatch.setattr("sys.argv", [*command, "--no-compilation"])
    benchmark.main()
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0].split("|")[1].strip() == "kernel"
    assert {len(line) for line in table} == {len(table[0])}
    assert any(
        line.startswith("| hash encoding, forward") and "GB/s of 20.0 copied" in line for line in table
    )
    assert any(line.startswith("| density network, forward") and "of 100 in GEMM" in line for line in table)
    assert not any("Adam" in line for line in table)
    monkeypatch.setattr("sys.argv", [*command, "--no-compilation", "--json"])
    benchmark.main()
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["copy_gbytes"] == 20
    assert len(found["rows"]) == len(table) - 2
    assert found["rows"][0]["ratio"] == found["rows"][0]["reference_ms"] / found["rows"][0]["compiled_ms"]


def test_measuring_the_machine(benchmark, monkeypatch):
    machine = importlib.import_module("benchmarks.machine")
    clock = [0.0]

    def one_second():
        clock[0] += 1

    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    assert machine.median_seconds(one_second, seconds=3, least=5) == 1
    # The first call does not count.
    assert clock[0] == 6
    results = []

    def half_a_second(call, seconds):
        results.append(call())
        return 0.5

    monkeypatch.setattr(machine, "median_seconds", half_a_second)
    # Twice the cube of 100 operations in half a second.
    assert machine.gemm_gflops(torch.bfloat16, sizes=(10, 100)) == pytest.approx(4e6 / 1e9)
    assert [(out.shape, out.dtype) for out in results] == [
        ((10, 10), torch.bfloat16),
        ((100, 100), torch.bfloat16),
    ]
    assert machine.copy_gbytes(megabytes=2) == pytest.approx(2 * 2 * 2**20 / 0.5 / 1e9)
    assert (results[-1] == 1).all()
