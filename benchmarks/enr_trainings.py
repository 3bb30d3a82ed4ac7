"""Trainings of `enr` from nothing, scored beside the trivial baselines.

    python -m benchmarks.enr_trainings [--published FOLDER] [--only made real …] [--minutes N] [--work FOLDER]

- made: 300 procedural chairs of 20 views at 64 pixels, scored on 60 others, from the first view of each.
- real: 17 of the published set of 20 chairs at half its 128 pixels, every fifth view held out, scored from
  view 0; then the other three, and those by the run of `made`, which has seen no photo of any.
- translation, rototranslation: the published sets with shifts, every fifth view held out, from view 0.

The last three need the published sets, a folder that holds `original`, `translation` and `rototranslation`.
Sets, runs and scores are kept in `--work`; what is there is not done again. Everything goes through the
commands that a user has. The report has a curve of each training and a table of each evaluation.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.runs.run import Run

_PARTS = ("made", "real", "translation", "rototranslation")
_MINUTES = {"made": 60.0, "real": 60.0, "translation": 15.0, "rototranslation": 10.0}
_HELD_OUT = ("--split-rule", "holdout", "--holdout", "5")
_TRAINED = 17
# Networks that see colours tell the few objects apart by them: varied ones leave the shapes to learn.
_VARIED = ("--mirror", "--permute-colours", "--bend-colours", "0.7")
# Our chairs fill the middle of their pictures: no pixel is spent on white, and layers are twice as wide.
_MIDDLE = (
    *("--crop", "36", "--image-size", "36", "--channels-2d", "32", "64", "128", "128", "128"),
    *("--channels-3d", "64", "64", "64", "--channels-inverse-projection", "256", "384", "576"),
    *("--channels-projection", "384", "192", "128"),
)
# Not one of the trivial baselines: it is made of the views that are scored.
_UNFAIR = "object_mean"


@dataclass(frozen=True)
class Score:
    """One evaluation: a run's figures, and those of the baselines by name."""

    name: str
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


def train(run: Path, data: Path, minutes: float, *more: str) -> Path:
    """Train a run, or go on with it where it was stopped."""
    if not finished(run):
        sightline("train", "enr", data, "--out", run, "--resume", "--minutes", f"{minutes:g}", *more)
    if not finished(run):
        raise SystemExit(f"The training was stopped; the same command goes on with it: {run}")
    return run


def finished(run: Path) -> bool:
    """Say whether a training has come to its end."""
    return (run / "run.json").exists() and Run.open(run).record.progress.finished


def evaluate(name: str, run: Path, scores: Path, *more: str | Path) -> Score:
    """Score a run's held-out views, from view 0 unless told otherwise; kept in a file."""
    kept = scores / f"{name}.json"
    if not kept.exists():
        scores.mkdir(parents=True, exist_ok=True)
        sightline("eval", run, *more, "--json", kept)
    values = json.loads(kept.read_text())
    baselines = {key: (value["psnr"], value["ssim"]) for key, value in values["baselines"].items()}
    return Score(name, values["views"], values["psnr"], values["ssim"], baselines)


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


def run_made(work: Path, minutes: float) -> tuple[list[Path], list[Score]]:
    """Procedural chairs."""
    sightline("data", "make", "objects", "--out", work / "chairs64", "--objects", "300", "--views", "20")
    run = train(work / "made", work / "chairs64", minutes, *_VARIED, *_MIDDLE)
    return [run], [evaluate("made", run, work / "scores", "--sources", "0")]


def run_real(work: Path, minutes: float, published: Path) -> tuple[list[Path], list[Score]]:
    """Chairs of the published set at half its size."""
    objects = sorted(entry for entry in (published / "original").iterdir() if entry.is_dir())
    seen = linked(work / "real-seen", objects[:_TRAINED])
    unseen = linked(work / "real-unseen", objects[_TRAINED:])
    reduced = ("--angle-unit", "degrees", "--downscale", "2")
    run = train(work / "real", seen, minutes, *reduced, *_HELD_OUT)
    scores = [evaluate("real", run, work / "scores", "--sources", "0")]
    others: tuple[str | Path, ...] = ("--data", unseen, *reduced, "--holdout", "0", "--sources", "0")
    scores.append(evaluate("real-unseen", run, work / "scores", *others))
    if finished(work / "made"):
        scores.append(evaluate("real-unseen-by-made", work / "made", work / "scores", *others))
    return [run], scores


def run_shifted(name: str, work: Path, minutes: float, published: Path) -> tuple[list[Path], list[Score]]:
    """One of the published sets with shifts."""
    grouped = ("--normalisation", "group")
    run = train(work / name, published / name, minutes, "--angle-unit", "radians", *grouped, *_HELD_OUT)
    # Views of the set with both motions have other numbers than 0, 1, 2.
    first = min(path.stem for path in (published / name).rglob("*.png"))
    return [run], [evaluate(name, run, work / "scores", "--sources", first)]


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
        print(f"| **enr** | **{score.psnr:.2f}** | **{score.ssim:.4f}** |")
        for name, (psnr, ssim) in score.baselines.items():
            note = " (made of the scored views)" if name == _UNFAIR else ""
            print(f"| {name.replace('_', ' ')}{note} | {psnr:.2f} | {ssim:.4f} |")


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--published", type=Path, help="folder of the published sets")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS), help="what to do")
    parser.add_argument("--minutes", type=float, help="of each training; else 60, 60, 15 and 10")
    parser.add_argument("--work", type=Path, default=Path("runs/enr-trainings"), help="where all is kept")
    arguments = parser.parse_args()
    needing = [part for part in arguments.only if part != "made"]
    if needing and arguments.published is None:
        parser.error(f"--published is needed for {', '.join(needing)}")
    for part in arguments.only:
        minutes = arguments.minutes or _MINUTES[part]
        if part == "made":
            found = run_made(arguments.work, minutes)
        elif part == "real":
            found = run_real(arguments.work, minutes, arguments.published)
        else:
            found = run_shifted(part, arguments.work, minutes, arguments.published)
        report(*found)


if __name__ == "__main__":
    main()
