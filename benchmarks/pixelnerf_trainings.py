"""Trainings of `pixelnerf` from nothing, scored beside the trivial baselines.

    python -m benchmarks.pixelnerf_trainings [--published FOLDER --poses FOLDER] [--only made real …]
        [--minutes N] [--work FOLDER]

- made: 300 procedural chairs at 64 pixels, cameras as in SRN, scored on 40 others from one view each; and the
  same network without an encoder, which learns what the chairs have in common.
- real: 17 test objects of SRN chairs at half their 128 pixels, scored on every fifth view of the three
  others, from view 64 and from views 64 and 104; and those by the run of `made`, which has seen no photo of
  any.

The second needs pictures and poses of SRN: `--published` holds folders of pictures, one per object, and
`--poses` the `pose` and `intrinsics.txt` that they share. Sets, runs and scores are kept in `--work`; what is
there is not done again. Everything goes through the commands that a user has.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.trainings import Score, evaluate, finished, report, sightline, train

_PARTS = ("made", "real")
_MINUTES = {"made": 40.0, "real": 13.0}
_WITHOUT = 5.0
"""minutes of the network that sees no picture"""
_TRAINED = 17
_VARIED = ("--permute-colours", "--bend-colours", "0.7")
_SOURCE = "5"
_SOME = ("--every", "5")
"""of 250 views of an object"""


def as_srn(folder: Path, objects: Sequence[Path], poses: Path) -> Path:
    """Make a folder of SRN of links to pictures, poses and lenses."""
    for entry in objects:
        (folder / entry.name / "rgb").mkdir(parents=True, exist_ok=True)
        shared = {"pose": poses / "pose", "intrinsics.txt": poses / "intrinsics.txt"}
        pictures = {f"rgb/{int(path.stem):06d}.png": path for path in sorted(entry.glob("*.png"))}
        for name, target in (shared | pictures).items():
            link = folder / entry.name / name
            if not link.exists():
                os.symlink(target.resolve(), link)
    return folder


def run_made(work: Path, minutes: float) -> tuple[list[Path], list[Score]]:
    """Procedural chairs."""
    data = work / "chairs64"
    views = ("--views", "25", "--test-views", "25", "--size", "64")
    objects = ("--objects", "300", "--val-objects", "15", "--test-objects", "40")
    sightline("data", "make", "objects", "--layout", "srn", "--out", data, *objects, *views)
    run = train("pixelnerf", work / "made", data, minutes, *_VARIED)
    blind = train("pixelnerf", work / "made-blind", data, min(minutes, _WITHOUT), "--no-use-encoder")
    each = ("--sources", _SOURCE)
    scores = [evaluate("made", run, work / "scores", *each)]
    scores.append(evaluate("made-blind", blind, work / "scores", *each))
    return [run, blind], scores


def run_real(work: Path, minutes: float, published: Path, poses: Path) -> tuple[list[Path], list[Score]]:
    """Chairs of SRN at half their size."""
    objects = sorted(entry for entry in published.iterdir() if entry.is_dir())
    seen = as_srn(work / "real-seen" / "chairs_train", objects[:_TRAINED], poses)
    unseen = as_srn(work / "real-unseen" / "chairs_test", objects[_TRAINED:], poses)
    reduced = ("--downscale", "2")
    run = train("pixelnerf", work / "real", seen.parent, minutes, *reduced, *_VARIED)
    scores = []
    for name, sources in (("one", "64"), ("two", "64,104")):
        given: tuple[str | Path, ...] = ("--data", unseen.parent, *reduced, "--sources", sources, *_SOME)
        scores.append(evaluate(f"real-{name}", run, work / "scores", *given))
        if finished(work / "made"):
            scores.append(evaluate(f"real-{name}-by-made", work / "made", work / "scores", *given))
    return [run], scores


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--published", type=Path, help="folder of folders of pictures")
    parser.add_argument("--poses", type=Path, help="folder with pose/ and intrinsics.txt")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS), help="what to do")
    parser.add_argument("--minutes", type=float, help="of each training; else 40 and 13")
    work = Path("runs/pixelnerf-trainings")
    parser.add_argument("--work", type=Path, default=work, help="where all is kept")
    arguments = parser.parse_args()
    if "real" in arguments.only and (arguments.published is None or arguments.poses is None):
        parser.error("--published and --poses are needed for real")
    for part in arguments.only:
        minutes = arguments.minutes or _MINUTES[part]
        if part == "made":
            found = run_made(arguments.work, minutes)
        else:
            found = run_real(arguments.work, minutes, arguments.published, arguments.poses)
        report(*found)


if __name__ == "__main__":
    main()
