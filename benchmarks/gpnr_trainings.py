"""A training of `gpnr` from nothing, scored on scenes that it was not shown, beside the trivial baselines.

    python -m benchmarks.gpnr_trainings --scene FOLDER [--given FOLDER …] [--minutes N] [--work FOLDER]

`small` learns from 58 procedural rooms and table tops and the captures of `--given`, each of which counts as
four scenes. It is scored on two rooms more and on the capture `--scene`, before and after it has learnt from
that one's training photos for five minutes. Sets, runs and scores are kept in `--work`; what is there is not
done again. Everything goes through the commands that a user has.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.trainings import evaluate, report, sightline, train

_SCENES, _UNSEEN = 60, 2
_MADE = ("--layout", "llff", "--views", "15", "--size", "252", "--samples", "16")
_MINUTES, _TUNING = 40.0, 5.0
_TIMES = 4
"""how often a given capture is among the scenes"""


def scenes_of(work: Path, given: Sequence[Path]) -> Path:
    """Make a folder of links to scenes, with the lists of those to learn from and those to score."""
    rooms = work / "rooms"
    sightline("data", "make", "scene", "--out", rooms, "--scenes", str(_SCENES), *_MADE)
    made = sorted(entry for entry in rooms.iterdir() if entry.is_dir())
    made.sort(key=lambda entry: entry.name.rpartition("-")[2])
    links = {entry.name: entry for entry in made}
    links |= {f"{entry.name}-{number}": entry for entry in given for number in range(_TIMES)}
    folder = work / "scenes"
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        if not (folder / name).exists():
            os.symlink(target.resolve(), folder / name)
    unseen = [entry.name for entry in made[-_UNSEEN:]]
    lists = {"train": [name for name in links if name not in unseen], "test": unseen}
    for split, names in lists.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return folder


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--scene", type=Path, required=True, help="capture that is not learnt from")
    parser.add_argument("--given", type=Path, nargs="*", default=[], help="captures to learn from, too")
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="of the training on scenes")
    work = Path("runs/gpnr-trainings")
    parser.add_argument("--work", type=Path, default=work, help="where all is kept")
    arguments = parser.parse_args()
    work, scene, scores = arguments.work, arguments.scene, arguments.work / "scores"
    run = train("gpnr", work / "run", scenes_of(work, arguments.given), arguments.minutes)
    found = [evaluate("unseen", run, scores), evaluate("scene", run, scores, "--data", scene)]
    tuned = train("gpnr", work / "tuned", scene, _TUNING, "--init", str(run))
    found.append(evaluate("tuned", tuned, scores))
    report([run, tuned], found)


if __name__ == "__main__":
    main()
