"""Pages of runs: their size, how near their pictures come to the photos, and how fast they are drawn.

    python -m benchmarks.web_pages RUN… [--pages FOLDER] [--size-mb 25] [--views 0] [--seconds 10]

For each run a page is made with `sightline export RUN web`, or taken from FOLDER where one of its name lies.
Chromium without a window and with software graphics (SwiftShader) draws the test views through their own
lenses; PSNR is against the photos, after rounding to 8 bits, as `sightline eval` has it, beside that of the
run itself. Speed is that of a turn around the opening view in 400 x 400 pixels. Needs Selenium, Chromium and
ChromeDriver.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.browser import ask, open_browser, page_picture

from sightline.evaluation.views import background_for, truth_picture
from sightline.runs.run import Run
from sightline.workflows.evaluate import one_scene
from sightline.workflows.export import export_run
from sightline.workflows.scenes import load_scene

SIDE = 400
COLUMNS = (
    "run",
    "MB",
    "cells a side",
    "points",
    "bake s",
    "page PSNR",
    "run PSNR",
    f"frames/s at {SIDE}x{SIDE}",
)


def main() -> None:
    arguments = parse()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(arguments.pages or folder)
        for run in arguments.runs:
            page = pages / f"{run.resolve().name}.html"
            baked: dict[str, Any] = {}
            if not page.is_file():
                result = export_run(run, "web", {"size_mb": arguments.size_mb}, out=page)
                baked = {**result.exported.facts, "seconds": result.seconds}
            rows.append(measure(run, page, baked, arguments.views, arguments.seconds))
    if arguments.json:
        print(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=1))
        return
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--pages", type=Path, help="folder of pages that are there, or are kept")
    parser.add_argument("--size-mb", type=float, default=25.0)
    parser.add_argument("--views", type=int, default=0, help="test views that are compared; 0 for all")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to count frames")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def measure(path: Path, page: Path, baked: dict[str, Any], views: int, seconds: float) -> list[str]:
    """One row of the table."""
    run = Run.open(path)
    capture = one_scene(run.open_data(None))
    chosen = capture.splits["test"]
    if views:
        chosen = [chosen[k] for k in np.linspace(0, len(chosen) - 1, views).round().astype(int)]
    loaded, behind = load_scene(run), background_for(capture)
    colour = torch.tensor(behind.colour)
    found: list[tuple[float, float]] = []
    with open_browser(script_seconds=600) as browser:
        browser.get(page.resolve().as_uri())
        scene = ask(browser, "sightline.ready.then(() => sightline.scene)")
        for view in chosen:
            truth = truth_picture(capture, view, behind).numpy()
            drawn = page_picture(browser, capture.cameras[view])
            own = loaded.method.render(loaded.scene, capture.cameras[view], background=colour).rgb.numpy()
            found.append((psnr(drawn, truth), psnr(np.rint(255 * own) / 255, truth)))
        speed = ask(browser, f"sightline.benchmark({seconds}, {SIDE}, {SIDE})")
    ours, theirs = np.mean(found, 0)
    return [
        path.resolve().name,
        f"{page.stat().st_size / 1e6:.1f}",
        str(scene["cells"]),
        str(scene["points"]),
        f"{baked['seconds']:.0f}" if baked else "",
        f"{ours:.2f}",
        f"{theirs:.2f}",
        f"{speed['fps']:.1f}",
    ]


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((picture - truth) ** 2)))


if __name__ == "__main__":
    main()
