"""What `ngp --refine` gives: held-out scores on photos, and how much of known errors it finds.

    python -m benchmarks.refinement --photos FOX 4 --photos BIRD 2 --known LEGO 1

- photos: a capture, and by what its images are made smaller. The same number of steps with nothing refined,
  exposure, poses, and both; scores of held-out photos, whose poses are as given, without and with gains
  fitted to them.
- known: a capture whose cameras are right. Those of its training photos are turned by chance (0.5 degrees)
  and moved (0.5 % of their distance from the scene's middle), or their colours multiplied by chance (10 %);
  held-out views stay as they are. How far poses and gains are from the truth before and after, and scores.

Pixels say how far points of the scene appear from where they belong, on the mean over training photos: turns
and shifts make up for each other, so that degrees alone say less. Everything is kept in `--work`; what is
there is not done again.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import sightline
from sightline.captures import Capture, open_capture
from sightline.captures.image_store import ImageStore
from sightline.captures.writing import write_capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.geometry.corrections import (
    common_motions,
    correct_poses,
    pose_errors,
    without_common_motion,
)
from sightline.geometry.poses import focus_point
from sightline.methods.ngp.method import Ngp
from sightline.runs.run import Run

_VARIANTS = ("", "exposure", "poses", "exposure,poses")
_DEGREES, _SHARE, _SPREAD = 0.5, 0.005, 0.1
_POINTS = 200


@dataclass(frozen=True)
class Row:
    """One training."""

    data: str
    refine: str
    steps: int
    psnr: float
    ssim: float
    psnr_fitted: float | None
    """with gains fitted to each held-out photo"""
    ssim_fitted: float | None
    seconds_per_step: float
    before: str = ""
    """how far poses or gains are from the truth"""
    after: str = ""


def reach_of(capture: Capture) -> float:
    """Median distance of cameras from the point that they look at."""
    centres = capture.cameras.centres
    return float((centres - focus_point(capture.cameras.c2w)).norm(dim=-1).median())


def shaken(capture: Capture, degrees: float, share: float, seed: int = 1) -> Capture:
    """Turn and move the training cameras by chance, but not as a whole; all else stays.

    Args:
        degrees: root mean square of the angles.
        share: that of the shifts, in `reach_of` the capture.
    """
    train, reach = list(capture.splits["train"]), reach_of(capture)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, len(train), 3, generator=generator, dtype=torch.float64) / math.sqrt(3)
    poses = capture.cameras.c2w.clone()
    common = common_motions(poses[train], reach)
    turns, shifts = without_common_motion(
        math.radians(degrees) * drawn[0], share * reach * drawn[1], common, reach
    )
    poses[train] = correct_poses(poses[train], turns, shifts)
    return replace(capture, cameras=replace(capture.cameras, c2w=poses))


def exposed(capture: Capture, spread: float, seed: int = 0) -> tuple[Capture, Tensor]:
    """Multiply the training photos' colours by gains drawn by chance; gives these too, (photos, 3).

    Args:
        spread: of the gains' logarithms. Their mean over the photos is 1.
    """
    train = list(capture.splits["train"])
    gains = np.exp(np.random.default_rng(seed).normal(0, spread, (len(train), 3)))
    gains /= gains.mean(0)
    images = [np.array(capture.images[view]) for view in range(len(capture))]
    for view, gain in zip(train, gains, strict=True):
        images[view][..., :3] = (images[view][..., :3] * gain).clip(0, 255).round()
    return replace(capture, images=ImageStore.from_arrays(images)), torch.from_numpy(gains)


def pixels_apart(found: Cameras, truth: Cameras, middle: Tensor, size: float) -> float:
    """Mean distance in pixels of points, of a box of half `size`, in pictures by both cameras."""
    generator = torch.Generator().manual_seed(0)
    points = middle + size * (2 * torch.rand(_POINTS, 3, generator=generator, dtype=torch.float64) - 1)
    means = [
        (found.project(points, k)[0] - truth.project(points, k)[0]).norm(dim=-1).mean()
        for k in range(len(found))
    ]
    return float(torch.stack(means).mean())


def train(data: Path, out: Path, refine: str, steps: int, **options: Any) -> Row:
    """Train and score a run, or read what was found before."""
    kept = out.with_suffix(".json")
    if not kept.is_file():
        resume = Run.exists(out)
        run = sightline.train(
            "ngp", data, out=out, steps=steps, refine=refine, eval_every=0, resume=resume, **options
        )
        if not run.folder.record.progress.finished:
            raise SystemExit(f"The training was stopped; the same command goes on with it: {out}")
        scores = run.evaluate()
        timings = run.folder.record.timings
        row = Row(
            data.name,
            refine or "nothing",
            steps,
            scores["psnr"],
            scores["ssim"],
            scores.get("psnr_fitted"),
            scores.get("ssim_fitted"),
            (timings["train"] - timings["prepare"]) / steps,
        )
        kept.write_text(json.dumps(asdict(row)))
    return Row(**json.loads(kept.read_text()))


def on_photos(data: Path, downscale: float, work: Path, steps: int) -> list[Row]:
    """Train every variant on photos."""
    names = [(refine, refine.replace(",", "-") or "nothing") for refine in _VARIANTS]
    return [
        train(data, work / f"{data.name}-{name}", refine, steps, downscale=downscale)
        for refine, name in names
    ]


def on_known_errors(data: Path, downscale: float, work: Path, steps: int) -> list[Row]:
    """Train on a capture as it is, and with errors that are known, with and without refinement."""
    capture = open_capture(data, downscale=downscale)
    if not isinstance(capture, Capture):
        raise InputError("It is a set of captures, not one", where=data)
    train_views = list(capture.splits["train"])
    truth, middle = capture.cameras[train_views], focus_point(capture.cameras.c2w)
    size = 0.2 * reach_of(capture)
    moved, (dyed, gains) = shaken(capture, _DEGREES, _SHARE), exposed(capture, _SPREAD)
    for name, changed in (("as-given", capture), ("shaken", moved), ("dyed", dyed)):
        if not (work / name).exists():
            write_capture(changed, work / name, "blender")

    def pose_text(cameras: Cameras) -> str:
        angles, distances, _ = pose_errors(cameras.c2w, truth.c2w)
        apart = pixels_apart(cameras, truth, middle, size)
        return f"{angles.mean():.3f}°, {100 * distances.mean() / reach_of(capture):.3f} %, {apart:.2f} px"

    def gain_text(found: Tensor) -> str:
        return f"gains {100 * (found.double() - gains).square().mean().sqrt():.2f} %"

    rows = [train(work / "as-given", work / "as-given-run", "", steps)]
    for name, refine in (("shaken", "poses"), ("dyed", "exposure")):
        rows.append(train(work / name, work / f"{name}-nothing", "", steps))
        row = train(work / name, work / f"{name}-{refine}", refine, steps)
        run = sightline.load(work / f"{name}-{refine}")
        if refine == "poses":
            texts = pose_text(moved.cameras[train_views]), pose_text(run.refined_cameras())
        else:
            method = run.folder.load_method()
            assert isinstance(method, Ngp)
            assert method.refinement is not None
            assert method.refinement.gains is not None
            texts = gain_text(torch.ones_like(gains)), gain_text(1 + method.refinement.gains.detach())
        rows.append(replace(row, before=texts[0], after=texts[1]))
    return rows


def lines(rows: Sequence[Row]) -> list[str]:
    """The table in Markdown."""
    found = [
        "| data | refined | steps | PSNR | SSIM | PSNR, fitted | SSIM, fitted | before | after | s/step |",
        "|---|---|---:|---:|---:|---:|---:|---|---|---:|",
    ]
    for row in rows:
        fitted = ["–" if value is None else f"{value:.{digits}f}" for value, digits in (
            (row.psnr_fitted, 2), (row.ssim_fitted, 4),
        )]  # fmt: skip
        found.append(
            f"| {row.data} | {row.refine} | {row.steps} | {row.psnr:.2f} | {row.ssim:.4f} | {fitted[0]} |"
            f" {fitted[1]} | {row.before} | {row.after} | {row.seconds_per_step:.3f} |"
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    pair = {"nargs": 2, "metavar": ("FOLDER", "DOWNSCALE"), "action": "append", "default": []}
    parser.add_argument("--photos", **pair, help="photos, whose own errors nobody knows")
    parser.add_argument("--known", **pair, help="a capture to make errors in")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--work", type=Path, default=Path("runs/refinement"))
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args()
    work = arguments.work / str(arguments.steps)
    rows: list[Row] = []
    for folder, downscale in arguments.known:
        rows += on_known_errors(Path(folder), float(downscale), work / Path(folder).name, arguments.steps)
    for folder, downscale in arguments.photos:
        rows += on_photos(Path(folder), float(downscale), work, arguments.steps)
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else "\n".join(lines(rows)))


if __name__ == "__main__":
    main()
