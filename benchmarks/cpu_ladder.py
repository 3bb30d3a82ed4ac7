"""How good `ngp` is after how much training on the CPU, and what the training costs.

    python benchmarks/cpu_ladder.py --fox FOLDER --lego FOLDER [--rungs 30,60,300,900] [--scenes fox,lego]
                                    [--json OUT] [--seed 0] [--every 1]

Every rung is a training from scratch for that many seconds, then an evaluation of the held-out views with
the default protocol, both through the public interface and in a process of its own, so that peaks of memory
do not mix. `fox` is opened at a quarter of its size, `lego` as it is. LPIPS is there where its weights are on
this machine. The tables are Markdown.

Rates are medians over the logged intervals of the training. Samples are those that were trained on;
candidates are those that were placed and of which the density network was asked.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

# Nothing here imports torch: on Linux a process begins with its parent's peak of memory.
DOWNSCALE = {"fox": 4, "lego": 1}
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Rung:
    """One training of one scene."""

    scene: str
    data: str
    downscale: float
    seconds: float
    seed: int
    every: int


@dataclass(frozen=True)
class Rates:
    """Medians over the logged intervals of a training; None where the method does not say."""

    samples_per_second: float | None = None
    candidates_per_second: float | None = None
    rays_per_second: float | None = None
    samples_per_ray: float | None = None


@dataclass(frozen=True)
class Result:
    """What became of a rung."""

    scene: str
    seconds: float
    """asked for"""
    trained_seconds: float
    """from opening the data to the last step"""
    warm_up_seconds: float
    """compiling kernels or loading them from disk, before the clock starts"""
    steps: int
    rates: Rates
    psnr: float | None
    ssim: float | None
    lpips: float | None
    per_view: dict[str, float | None]
    """PSNR of every view by its name"""
    seconds_per_view: float
    """median of the time to render one"""
    training_peak_bytes: int | None
    """of the process when the training has ended; None where the system does not say"""
    peak_bytes: int | None
    """the same after the evaluation"""
    versions: dict[str, str] = field(default_factory=dict)


def peak_bytes() -> int | None:
    """Give the largest memory that this process has held so far; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _median(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else None


def read_rates(lines: list[dict[str, Any]]) -> Rates:
    """Take the medians of what `metrics.jsonl` says of the intervals between its lines."""
    train = [line for line in lines if line["kind"] == "train"]
    placed = []
    for before, line in pairwise([{"step": 0, "seconds": 0.0}, *train]):
        seconds = line["seconds"] - before["seconds"]
        if "candidates" in line and seconds > 0:
            # The log holds the mean of a step.
            placed.append(line["candidates"] * (line["step"] - before["step"]) / seconds)
    names = ("samples_per_second", "rays_per_second", "samples_per_ray")
    medians = {name: _median(line.get(name) for line in train) for name in names}
    return Rates(candidates_per_second=_median(placed), **medians)


def run_rung(rung: Rung) -> Result:
    """Train and evaluate in this process."""
    import sightline

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        out = Path(folder) / "run"
        run = sightline.train(
            "ngp",
            rung.data,
            out=out,
            minutes=rung.seconds / 60,
            downscale=rung.downscale,
            seed=rung.seed,
            device="cpu",
        )
        trained = peak_bytes()
        metrics = run.evaluate(every=rung.every)
        record = run.folder.record
        with open(out / "metrics.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    views = metrics["per_view"]
    return Result(
        scene=rung.scene,
        seconds=rung.seconds,
        trained_seconds=record.progress.seconds,
        warm_up_seconds=record.timings.get("warm_up", 0.0),
        steps=record.progress.step,
        rates=read_rates(lines),
        psnr=metrics["psnr"],
        ssim=metrics.get("ssim"),
        lpips=metrics.get("lpips"),
        per_view={view["name"]: view["psnr"] for view in views},
        seconds_per_view=statistics.median(view["seconds"] for view in views),
        training_peak_bytes=trained,
        peak_bytes=peak_bytes(),
        versions=record.versions,
    )


def in_process(rung: Rung) -> Result:
    """Train and evaluate in a new process, whose progress is shown."""
    # LPIPS only where its weights are: a download has no place in a measurement.
    environment = {"SIGHTLINE_OFFLINE": "1", **os.environ}
    command = [sys.executable, str(Path(__file__).resolve()), "--rung", json.dumps(asdict(rung))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{rung.scene} for {rung.seconds:g} s failed, see above")
    values = json.loads(done.stdout.splitlines()[-1])
    return Result(**{**values, "rates": Rates(**values["rates"])})


def measure_machine() -> dict[str, Any]:
    """Let `benchmarks/machine.py` measure what this machine does at best."""
    command = [sys.executable, str(HERE / "machine.py"), "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout)


def _number(value: float | None, digits: int = 2, unit: float = 1.0) -> str:
    return "unknown" if value is None or not math.isfinite(value) else f"{value / unit:.{digits}f}"


def markdown(head: list[str], rows: list[list[str]], left: int = 1) -> str:
    """Write a table whose first `left` columns are texts."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def ladder_table(results: list[Result]) -> str:
    """A row for each rung."""
    head = ["scene", "training s", "PSNR dB", "SSIM", "steps", "visible Msamples/s", "candidates M/s"]
    head += ["krays/s", "samples/ray", "peak GiB (training)", "peak GiB (with evaluation)", "s per view"]
    lpips = any(result.lpips is not None for result in results)
    head[4:4] = ["LPIPS"] if lpips else []
    rows = []
    for result in results:
        rates = result.rates
        quality = [_number(result.psnr), _number(result.ssim, 4)]
        quality += [_number(result.lpips, 4)] if lpips else []
        speed = [
            _number(rates.samples_per_second, 2, 1e6),
            _number(rates.candidates_per_second, 2, 1e6),
            _number(rates.rays_per_second, 1, 1e3),
            _number(rates.samples_per_ray, 1),
        ]
        cost = [_number(peak, 2, 2**30) for peak in (result.training_peak_bytes, result.peak_bytes)]
        cost.append(_number(result.seconds_per_view))
        rows.append([result.scene, f"{result.seconds:g}", *quality, str(result.steps), *speed, *cost])
    return markdown(head, rows)


def view_table(results: list[Result]) -> str:
    """PSNR of every view of one scene, a column for each rung."""
    head = ["view", *(f"{result.seconds:g} s" for result in results)]
    names = results[0].per_view
    return markdown(head, [[name, *(_number(r.per_view.get(name)) for r in results)] for name in names])


def report(found: dict[str, Any], results: list[Result]) -> str:
    """Everything, as Markdown for docs/benchmarks.md."""
    machine = found["machine"]
    versions = results[0].versions if results else {}
    packages = ", ".join(f"{name} {value}" for name, value in versions.items() if name != "system")
    facts = [
        ["processor", machine["processor"]],
        ["system", machine["system"]],
        ["cores, kernel threads", f"{machine['cores']}, {found['kernel_threads']}"],
        ["matrix products, float32", f"{machine['fp32_gflops']:.0f} GFLOP/s"],
        ["matrix products, bfloat16", f"{machine['bf16_gflops']:.0f} GFLOP/s"],
        ["memory copies, read and written", f"{machine['copy_gbytes']:.1f} GB/s"],
        ["versions", packages],
        ["date", found["date"]],
        ["command", f"`{found['command']}`"],
    ]
    parts = [markdown(["machine", ""], facts, left=2), ladder_table(results)]
    for scene in dict.fromkeys(result.scene for result in results):
        parts.append(f"PSNR of the views of {scene}, dB:")
        parts.append(view_table([result for result in results if result.scene == scene]))
    return "\n\n".join(parts)


def _command(arguments: argparse.Namespace, scenes: list[str]) -> str:
    # Folders by their names: where they are says nothing to others.
    parts = ["python benchmarks/cpu_ladder.py"]
    parts += [f"--{scene} {Path(getattr(arguments, scene)).resolve().name}" for scene in scenes]
    parts.append(f"--rungs {','.join(f'{rung:g}' for rung in arguments.rungs)} --seed {arguments.seed}")
    parts += [f"--every {arguments.every}"] if arguments.every > 1 else []
    return " ".join(parts)


def _seconds(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(0 < value < math.inf for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} are no seconds above 0, such as 30,60")
    return values


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--fox", help="folder of the fox photos of instant-ngp")
    parser.add_argument("--lego", help="folder of NeRF-synthetic lego")
    parser.add_argument(
        "--scenes", type=lambda text: text.split(","), help="which; those whose folders are given"
    )
    parser.add_argument("--rungs", type=_seconds, default="30,60,300,900", help="seconds of training each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="score each K-th held-out view only")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures to this file too")
    parser.add_argument("--rung", help=argparse.SUPPRESS)
    return parser


def _check_scenes(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[str]:
    scenes = arguments.scenes or [scene for scene in DOWNSCALE if getattr(arguments, scene)]
    for scene in scenes:
        if scene not in DOWNSCALE:
            parser.error(f"there is no scene {scene!r}; there are {', '.join(DOWNSCALE)}")
        if getattr(arguments, scene) is None:
            parser.error(f"where is {scene}? Give --{scene} FOLDER")
        if not Path(getattr(arguments, scene)).is_dir():
            parser.error(f"there is no folder {getattr(arguments, scene)}")
    if not scenes:
        parser.error("give --fox FOLDER, --lego FOLDER or both")
    return scenes


def main() -> None:
    """Measure and print; results of rungs that are done are kept when a later one fails."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.rung:
        print(json.dumps(asdict(run_rung(Rung(**json.loads(arguments.rung))))))
        return
    scenes = _check_scenes(parser, arguments)
    from sightline.foundation.hardware import available_cores

    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "command": _command(arguments, scenes),
        "python": platform.python_version(),
        "kernel_threads": available_cores(),
        "machine": measure_machine(),
    }
    results: list[Result] = []
    try:
        for scene in scenes:
            for seconds in arguments.rungs:
                data, downscale = getattr(arguments, scene), DOWNSCALE[scene]
                print(f"{scene}, {seconds:g} s", file=sys.stderr, flush=True)
                rung = Rung(scene, data, downscale, seconds, arguments.seed, arguments.every)
                results.append(in_process(rung))
    finally:
        if arguments.json:
            text = json.dumps({**found, "results": [asdict(result) for result in results]}, indent=2)
            arguments.json.write_text(text + "\n", encoding="utf-8")
        if results:
            print(report(found, results))


if __name__ == "__main__":
    main()
