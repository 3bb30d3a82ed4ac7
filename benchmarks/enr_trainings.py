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
from pathlib import Path

from benchmarks.trainings import Score, evaluate, finished, linked, report, sightline, train

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


def run_made(work: Path, minutes: float) -> tuple[list[Path], list[Score]]:
    """Procedural chairs."""
    sightline("data", "make", "objects", "--out", work / "chairs64", "--objects", "300", "--views", "20")
    run = train("enr", work / "made", work / "chairs64", minutes, *_VARIED, *_MIDDLE)
    return [run], [evaluate("made", run, work / "scores", "--sources", "0")]


def run_real(work: Path, minutes: float, published: Path) -> tuple[list[Path], list[Score]]:
    """Chairs of the published set at half its size."""
    objects = sorted(entry for entry in (published / "original").iterdir() if entry.is_dir())
    seen = linked(work / "real-seen", objects[:_TRAINED])
    unseen = linked(work / "real-unseen", objects[_TRAINED:])
    reduced = ("--angle-unit", "degrees", "--downscale", "2")
    run = train("enr", work / "real", seen, minutes, *reduced, *_HELD_OUT)
    scores = [evaluate("real", run, work / "scores", "--sources", "0")]
    others: tuple[str | Path, ...] = ("--data", unseen, *reduced, "--holdout", "0", "--sources", "0")
    scores.append(evaluate("real-unseen", run, work / "scores", *others))
    if finished(work / "made"):
        scores.append(evaluate("real-unseen-by-made", work / "made", work / "scores", *others))
    return [run], scores


def run_shifted(name: str, work: Path, minutes: float, published: Path) -> tuple[list[Path], list[Score]]:
    """One of the published sets with shifts."""
    grouped = ("--normalisation", "group")
    settings = ("--angle-unit", "radians", *grouped, *_HELD_OUT)
    run = train("enr", work / name, published / name, minutes, *settings)
    # Views of the set with both motions have other numbers than 0, 1, 2.
    first = min(path.stem for path in (published / name).rglob("*.png"))
    return [run], [evaluate(name, run, work / "scores", "--sources", first)]


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
