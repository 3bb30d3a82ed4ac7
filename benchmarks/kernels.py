"""Each compiled kernel against its PyTorch reference, on what a training step of `ngp` gives it.

    python -m benchmarks.kernels [--json] [--only NAME] [--samples 16384] [--log2-entries 18] [--rounds 7]

Both sides take turns, so that other work on the machine slows both; medians are printed. References run on
one PyTorch thread or on all, whichever is faster; compiled kernels on the package's own
(`SIGHTLINE_THREADS`). Backward passes start from a graph that is there; the hash table's gradient buffer is
handed back cleared and untimed, as the optimiser does it. PyTorch's idle threads are told to sleep, not to
spin beside the other side, unless `OMP_WAIT_POLICY` or `KMP_BLOCKTIME` is set already. Bytes are what the
operation itself needs (8 corners of every level, and the outputs), which caches serve in part; operations
leave out what the backward pass computes again.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

# Read by PyTorch's OpenMP library when it is loaded: GNU's reads the first, Intel's and LLVM's both.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")

import numba
import torch

if __package__:
    from benchmarks.kernel_work import Case, all_cases, nothing
    from benchmarks.machine import Machine, measure_machine
else:  # run as a file: its own folder is on the path
    from kernel_work import Case, all_cases, nothing  # pyright: ignore[reportMissingImports]
    from machine import Machine, measure_machine  # pyright: ignore[reportMissingImports]

from sightline.kernels import parallel


@dataclass(frozen=True)
class Row:
    """What was measured for a case."""

    name: str
    items: int
    unit: str
    compiled_ms: float
    reference_ms: float
    reference_threads: int
    """of PyTorch"""
    ratio: float
    nanoseconds: float
    """of the compiled kernel, for an item"""
    gbytes: float | None
    """per second, by the compiled kernel"""
    gflops: float | None


def timed(case: Case, function: Callable[..., Any], calls: int, finish: Callable[[Any], None]) -> list[float]:
    """Seconds of some calls, after one that does not count."""
    times = []
    for _ in range(calls + 1):
        arguments = case.prepare()
        started = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - started)
        finish(result)
    return times[1:]


def threads_of_reference(case: Case) -> int:
    """One or all of PyTorch's threads: beside other work, threads that wait for each other are slower."""
    best = {}
    for threads in {1, torch.get_num_threads()}:
        with parallel.torch_on_one_thread(threads):
            best[threads] = min(timed(case, case.reference, 2, nothing))
    return min(best, key=lambda threads: best[threads])


def measure(case: Case, rounds: int, calls: int = 3) -> Row:
    """Let both sides take turns for some rounds of some calls each, and take the medians."""
    ours: list[float] = []
    theirs: list[float] = []
    threads = threads_of_reference(case)
    for _ in range(rounds):
        # As in training: PyTorch's idle threads would spin beside the kernels.
        with parallel.torch_on_one_thread():
            ours += timed(case, case.compiled, calls, case.finish)
        with parallel.torch_on_one_thread(threads):
            theirs += timed(case, case.reference, calls, nothing)
    compiled, reference = statistics.median(ours), statistics.median(theirs)
    return Row(
        name=case.name,
        items=case.items,
        unit=case.unit,
        compiled_ms=compiled * 1e3,
        reference_ms=reference * 1e3,
        reference_threads=threads,
        ratio=reference / compiled,
        nanoseconds=compiled * 1e9 / case.items,
        gbytes=case.item_bytes * case.items / compiled / 1e9 if case.item_bytes else None,
        gflops=case.item_operations * case.items / compiled / 1e9 if case.item_operations else None,
    )


def compile_times() -> dict[str, float]:
    """Seconds that a process spends on all kernels with an empty cache, and the next one with a full one."""
    script = "from sightline.kernels.warm import compile_all; print(compile_all())"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SIGHTLINE_CACHE": folder}

        def seconds() -> float:
            done = subprocess.run(
                [sys.executable, "-c", script],
                env=environment,
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
            return float(done.stdout)

        return {"cold_seconds": seconds(), "warm_seconds": seconds()}


def format_table(rows: list[Row], machine: Machine | None) -> str:
    """A table in Markdown; rates stand beside the machine's own."""

    def rate(row: Row) -> str:
        if row.gbytes is not None:
            limit = f" of {machine.copy_gbytes:.1f} copied" if machine else ""
            return f"{row.gbytes:.1f} GB/s{limit}"
        if row.gflops is not None:
            peak = machine and (machine.bf16_gflops if "bfloat16" in row.name else machine.fp32_gflops)
            return f"{row.gflops:.0f} GFLOP/s{f' of {peak:.0f} in GEMM' if peak else ''}"
        return ""

    cells = [["kernel", "items", "compiled ms", "reference ms", "ratio", "ns each", "rate"]]
    for row in rows:
        units = f"{row.items} {row.unit}s"
        times = [
            f"{row.compiled_ms:.3f}",
            f"{row.reference_ms:.2f}",
            f"{row.ratio:.1f}",
            f"{row.nanoseconds:.1f}",
        ]
        cells.append([row.name, units, *times, rate(row)])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    left = {0, 6}
    lines = [
        "| " + " | ".join(
            value.ljust(width) if k in left else value.rjust(width)
            for k, (value, width) in enumerate(zip(line, widths, strict=True))
        ) + " |"
        for line in cells
    ]  # fmt: skip
    rule = "|" + "|".join("-" * (w + 1) + ("-" if k in left else ":") for k, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that was asked for."""
    if arguments.threads:
        parallel.set_thread_count(arguments.threads)
    machine = measure_machine()
    rows = []
    for case in all_cases(arguments.samples, arguments.log2_entries):
        if arguments.only in case.name:
            print(f"measuring {case.name}", file=sys.stderr)
            rows.append(measure(case, arguments.rounds))
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine,
        "kernel_threads": parallel.thread_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "samples": arguments.samples,
        "log2_entries": arguments.log2_entries,
        "rows": rows,
        "compilation": None if arguments.no_compilation else compile_times(),
    }


def print_report(found: dict[str, Any]) -> None:
    """Print what `report` found, for people."""
    machine: Machine = found["machine"]
    print("\n".join(machine.lines()))
    versions = f"Python {found['python']}, Numba {found['numba']}, {found['kernel_threads']} kernel threads"
    print(f"{found['date']}, {versions}, tables of 2^{found['log2_entries']} entries\n")
    print(format_table(found["rows"], machine))
    if found["compilation"]:
        cold, warm = found["compilation"]["cold_seconds"], found["compilation"]["warm_seconds"]
        print(f"\nall kernels: {cold:.1f} s to compile, {warm:.2f} s to load from the cache")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument("--only", default="", help="kernels whose name holds this")
    parser.add_argument("--samples", type=int, default=16384, help="samples along rays")
    parser.add_argument("--log2-entries", type=int, default=18, help="binary logarithm of a level's entries")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side, of three calls")
    parser.add_argument("--threads", type=int, help="threads of the compiled kernels")
    parser.add_argument("--no-compilation", action="store_true", help="do not measure compilation")
    arguments = parser.parse_args()
    found = report(arguments)
    if arguments.json:
        rows = [asdict(row) for row in found["rows"]]
        print(json.dumps({**found, "machine": asdict(found["machine"]), "rows": rows}, indent=2))
    else:
        print_report(found)


if __name__ == "__main__":
    main()
