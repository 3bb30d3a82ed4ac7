"""Poses found of photos against those that came with them, and what training makes of both.

    python -m benchmarks.poses --data CAPTURE [--downscale 4] [--minutes 1] [--work FOLDER]

The photos of a posed capture are copied to a folder of their own, `sightline poses` finds their poses, and
`ngp` is trained from either for as long, on the same photos, and scored on the same held-out ones. Errors are
those after the best similarity between both sets of positions: of positions in per cent of the extent of the
given ones, of rotations in degrees. A rotation that all cameras share comes of another principal point.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from benchmarks.trainings import evaluate, sightline, train

from sightline.captures import Capture, open_capture
from sightline.foundation.files import read_json
from sightline.geometry import fit_similarity

_HOLDOUT = "8"


def aligned_errors(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of poses (n, 3, 4), camera to world, after the best similarity of their positions.

    Returns:
        Of positions in parts of the extent of the true ones (the diagonal of their box), and of rotations in
        degrees.
    """
    one, other = torch.from_numpy(found), torch.from_numpy(truth)
    aligned = fit_similarity(one[:, :, 3], other[:, :, 3])
    extent = (other[:, :, 3].max(0).values - other[:, :, 3].min(0).values).norm()
    positions = (aligned.apply(one[:, :, 3]) - other[:, :, 3]).norm(dim=1) / extent
    turned = other[:, :, :3].transpose(1, 2) @ (aligned.rotation @ one[:, :, :3])
    cosines = (turned.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    return positions.numpy(), torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).numpy()


def _one(path: Path) -> Capture:
    opened = open_capture(path)
    assert isinstance(opened, Capture)
    return opened


def compare(given: Capture, found: Capture) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of photos that have poses in both, and the errors of these."""
    truth = {Path(name).stem: given.cameras.c2w[k].numpy() for k, name in enumerate(given.image_names)}
    both = [(Path(name).stem, k) for k, name in enumerate(found.image_names) if Path(name).stem in truth]
    seen = np.stack([found.cameras.c2w[k].numpy() for _, k in both])
    return len(both), *aligned_errors(seen, np.stack([truth[stem] for stem, _ in both]))


def main() -> None:
    """Find poses, train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="posed capture")
    parser.add_argument("--downscale", default="4", help="of the trainings")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each training")
    parser.add_argument("--work", type=Path, default=Path("runs/poses"), help="where all is kept")
    arguments = parser.parse_args()
    given, work = _one(arguments.data), arguments.work
    photos, made = work / "photos", work / "capture"
    if not photos.is_dir():
        photos.mkdir(parents=True)
        for path in given.images.paths:
            assert path is not None
            shutil.copyfile(path, photos / path.name)
    began = time.perf_counter()
    if not (made / "poses.json").is_file():
        sightline("poses", photos, "--out", made)
    seconds = time.perf_counter() - began
    report = read_json(made / "poses.json")
    count, positions, rotations = compare(given, _one(made))
    placed = report["registration"]
    print(
        f"{placed['placed']} of {placed['photos']} photos have a pose; {seconds:.0f} s: {report['seconds']}"
    )
    median, worst = 100 * np.median(positions), 100 * positions.max()
    print(f"{count} compared: positions {median:.3f} % of the extent (worst {worst:.3f})")
    print(f"rotations {np.median(rotations):.3f} degrees (worst {rotations.max():.3f})")
    for name, data in (("given", arguments.data), ("found", made)):
        run = train(
            "ngp",
            work / f"run-{name}",
            data,
            arguments.minutes,
            "--downscale",
            arguments.downscale,
            "--holdout",
            _HOLDOUT,
        )
        score = evaluate(name, run, work / "scores")
        print(f"{name} poses: {score.psnr:.2f} dB, SSIM {score.ssim:.4f}, {score.views} views")


if __name__ == "__main__":
    main()
