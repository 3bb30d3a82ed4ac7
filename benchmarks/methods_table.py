"""All methods on the same captures under the same protocol, in one table.

    python -m benchmarks.methods_table --scene FOLDER --published FOLDER --poses FOLDER --gpnr RUN

- scene: a capture of a scene. Methods that fit one scene learn from its training photos; RUN, which has not
  seen it, is shown them; `--tuned` is a run that went on with them.
- object: one object of SRN at half its 128 pixels. Methods that fit one scene learn from its training
  views, as `gpnr` is shown them; `pixelnerf` and `enr` learn from 17 other objects and see it in one view.

All are scored on the same held-out views of a capture (every eighth; of the object, every tenth), by
`sightline eval --images` on pictures that `sightline render` made: nothing of a method is left in the
scoring. Everything is kept in `--work`.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pixelnerf_trainings import as_srn
from benchmarks.trainings import finished, linked, sightline, train

_ALONE = {"ngp": 1.0, "nerf": 3.0}
"""minutes of methods that fit one scene"""
_FASTER = {"nerf": ("--sampler", "occupancy")}
"""flags of rendering"""
_TRAINED, _USUAL = 17, 6.0
_SOURCE = "64"
_HALF = ("--downscale", "2")
_HELD_OUT = ("--holdout", "10")
"""so that the usual source view is not among them"""


@dataclass(frozen=True)
class Row:
    """A method on a capture."""

    capture: str
    method: str
    shown: str
    """what it learnt from and sees"""
    minutes: float
    """of training for this capture"""
    psnr: float
    ssim: float
    views: int
    seconds: float
    """of the render command, its start included"""


@dataclass(frozen=True)
class Table:
    """Scores, kept in a folder."""

    work: Path

    def row(self, capture: str, run: Path, data: Path, shown: str, minutes: float, *flags: str) -> Row:
        """Render the held-out views of a capture, and score the pictures."""
        name = f"{capture}-{run.name}"
        kept, pictures = self.work / "scores" / f"{name}.json", self.work / "pictures" / name
        seconds = self.work / "scores" / f"{name}.seconds"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            if not seconds.exists():
                begun = time.monotonic()
                sightline("render", run, "--path", "test", "--out", pictures, *flags)
                seconds.write_text(f"{time.monotonic() - begun:.1f}", encoding="utf-8")
            sightline("eval", "--images", pictures, "--data", data, "--json", kept)
        values = json.loads(kept.read_text(encoding="utf-8"))
        method = json.loads((run / "run.json").read_text(encoding="utf-8"))["method"]
        figures = values["psnr"], values["ssim"], values["views"]
        return Row(capture, method, shown, minutes, *figures, float(seconds.read_text(encoding="utf-8")))


def rows_of_scene(table: Table, scene: Path, gpnr: Path, tuned: Path | None) -> list[Row]:
    """Methods on a scene."""
    work, rows = table.work, []
    for method, minutes in _ALONE.items():
        run = train(method, work / f"scene-{method}", scene, minutes)
        rows.append(table.row("scene", run, scene, "its photos", minutes, *_FASTER.get(method, ())))
    rows.append(table.row("scene", gpnr, scene, "other scenes; its photos", 0.0, "--data", str(scene)))
    if tuned is not None:
        minutes = json.loads((tuned / "run.json").read_text(encoding="utf-8"))["progress"]["seconds"] / 60
        rows.append(table.row("scene", tuned, scene, "other scenes; its photos", minutes))
    return rows


def rows_of_object(table: Table, published: Path, poses: Path, gpnr: Path, minutes: float) -> list[Row]:
    """Methods on an object."""
    work, objects = table.work, sorted(entry for entry in published.iterdir() if entry.is_dir())
    as_srn(work / "objects" / "chairs_test", objects[_TRAINED:], poses)
    whole = work / "objects" / "chairs_test" / objects[_TRAINED].name
    chair, twice = work / "object", work / "object-whole"
    for folder, reduced in ((chair, _HALF), (twice, ())):
        if not folder.exists():
            # Its folders tell the views that are held out, for all methods alike.
            sightline("data", "convert", whole, "--to", "blender", "--out", folder, *reduced, *_HELD_OUT)
    rows = []
    for method, taken in _ALONE.items():
        run = train(method, work / f"object-{method}", chair, taken)
        rows.append(table.row("object", run, chair, "its training views", taken, *_FASTER.get(method, ())))
    rows.append(
        table.row("object", gpnr, chair, "other scenes; its training views", 0.0, "--data", str(chair))
    )
    as_srn(work / "srn" / "chairs_train", objects[:_TRAINED], poses)
    sets = {
        "pixelnerf": (work / "srn", ("--permute-colours", "--bend-colours", "0.7")),
        "enr": (linked(work / "enr", objects[:_TRAINED]), ("--angle-unit", "degrees")),
    }
    for method, (data, flags) in sets.items():
        run = train(method, work / f"object-{method}", data, minutes, *_HALF, *flags)
        # These runs halve whatever they are shown.
        shown = ("--data", str(twice), "--sources", _SOURCE)
        rows.append(table.row("object", run, chair, "17 other objects; one view", 0.0, *shown))
    return rows


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--scene", type=Path, required=True, help="capture of a scene")
    parser.add_argument("--published", type=Path, required=True, help="folder of folders of pictures of SRN")
    parser.add_argument("--poses", type=Path, required=True, help="folder with pose/ and intrinsics.txt")
    parser.add_argument("--gpnr", type=Path, required=True, help="run of gpnr on other scenes")
    parser.add_argument("--tuned", type=Path, help="a run that went on with the scene")
    parser.add_argument(
        "--minutes", type=float, default=_USUAL, help="of pixelnerf and of enr, on the 17 objects"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/methods-table"), help="where all is kept")
    arguments = parser.parse_args()
    if not finished(arguments.gpnr):
        parser.error(f"--gpnr {arguments.gpnr} is no finished run")
    table = Table(arguments.work)
    rows = rows_of_scene(table, arguments.scene, arguments.gpnr, arguments.tuned)
    rows += rows_of_object(table, arguments.published, arguments.poses, arguments.gpnr, arguments.minutes)
    print("| capture | method | shown | minutes for it | views | PSNR | SSIM | rendering, s |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.capture} | `{row.method}` | {row.shown} | {row.minutes:g} | {row.views} "
            f"| {row.psnr:.2f} | {row.ssim:.4f} | {row.seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
