"""Trainings through the commands that a user has, scored beside the trivial baselines, with a report.

What `enr_trainings.py` and its like share: runs and scores are kept, and what is there is not done again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.runs.run import Run

# Not one of the trivial baselines: it is made of the views that are scored.
_UNFAIR = "object_mean"


@dataclass(frozen=True)
class Score:
    """One evaluation: a run's figures, and those of the baselines by name."""

    name: str
    method: str
    views: int
    psnr: float
    ssim: float
    baselines: dict[str, tuple[float, float]]

    @property
    def best(self) -> str:
        """The best of the trivial baselines."""
        return max((name for name in self.baselines if name != _UNFAIR), key=lambda n: self.baselines[n][0])


def sightline(*words: str | Path) -> None:
    """Run a command as a user does; its output goes to the terminal."""
    print("$ sightline", *words, flush=True, file=sys.stderr)
    subprocess.run([sys.executable, "-m", "sightline", *map(str, words)], check=True, stdout=sys.stderr)


def train(method: str, run: Path, data: Path, minutes: float, *more: str) -> Path:
    """Train a run, or go on with it where it was stopped."""
    if not finished(run):
        sightline("train", method, data, "--out", run, "--resume", "--minutes", f"{minutes:g}", *more)
    if not finished(run):
        raise SystemExit(f"The training was stopped; the same command goes on with it: {run}")
    return run


def finished(run: Path) -> bool:
    """Say whether a training has come to its end."""
    return (run / "run.json").exists() and Run.open(run).record.progress.finished


def evaluate(name: str, run: Path, scores: Path, *more: str | Path) -> Score:
    """Score a run's held-out views; kept in a file."""
    kept = scores / f"{name}.json"
    if not kept.exists():
        scores.mkdir(parents=True, exist_ok=True)
        sightline("eval", run, *more, "--json", kept)
    values = json.loads(kept.read_text())
    baselines = {key: (value["psnr"], value["ssim"]) for key, value in values["baselines"].items()}
    return Score(
        name, Run.open(run).record.method, values["views"], values["psnr"], values["ssim"], baselines
    )


def curve(run: Path, points: int = 12) -> list[tuple[float, int, float]]:
    """Minutes, steps and PSNR of validation, mean of each part of the training."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [line for line in lines if line["kind"] == "val"]
    result = []
    for part in range(points):
        chosen = found[part * len(found) // points : (part + 1) * len(found) // points]
        if chosen:
            mean = sum(line["psnr"] for line in chosen) / len(chosen)
            result.append((chosen[-1]["seconds"] / 60, chosen[-1]["step"], mean))
    return result


def linked(folder: Path, objects: Sequence[Path]) -> Path:
    """Make a folder that holds links to objects."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in objects:
        link = folder / entry.name
        if not link.exists():
            os.symlink(entry.resolve(), link)
    return folder


def report(runs: Sequence[Path], scores: Sequence[Score]) -> None:
    """Print curves and tables in Markdown."""
    for run in runs:
        print(f"\n{run.name}: validation PSNR (pictures of few pixels, held-out views)\n")
        print("| minutes | steps | dB |\n|---|---|---|")
        for minutes, steps, psnr in curve(run):
            print(f"| {minutes:.1f} | {steps} | {psnr:.2f} |")
    for score in scores:
        best = score.baselines[score.best][0]
        print(f"\n{score.name}: {score.views} views, {score.psnr - best:+.2f} dB against {score.best}\n")
        print("| | PSNR | SSIM |\n|---|---|---|")
        print(f"| **{score.method}** | **{score.psnr:.2f}** | **{score.ssim:.4f}** |")
        for name, (psnr, ssim) in score.baselines.items():
            note = " (made of the scored views)" if name == _UNFAIR else ""
            print(f"| {name.replace('_', ' ')}{note} | {psnr:.2f} | {ssim:.4f} |")
