"""Pages of runs: their size, how near their pictures come to the photos, and how fast they are drawn.

    python benchmarks/web_pages.py RUN… [--pages FOLDER] [--size-mb 25] [--views 0] [--seconds 10]

For each run a page is made with `sightline export RUN web`, or taken from FOLDER where one of its name lies.
Chromium without a window and with software graphics (SwiftShader) draws the test views through their own
lenses; PSNR is against the photos, after rounding to 8 bits, as `sightline eval` has it, beside that of the
run itself. Speed is that of a turn around the opening view in 400 x 400 pixels. Needs Selenium, Chromium and
ChromeDriver.
"""

import argparse
import base64
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from sightline.evaluation.views import background_for, truth_picture
from sightline.geometry import Cameras, LensModel
from sightline.runs.run import Run
from sightline.workflows.evaluate import one_scene
from sightline.workflows.export import export_run
from sightline.workflows.scenes import load_scene

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1000,800",
)
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
    browser = open_browser()
    try:
        browser.get(page.resolve().as_uri())
        scene = ask(browser, "sightline.ready.then(() => sightline.scene)")
        for view in chosen:
            truth = truth_picture(capture, view, behind).numpy()
            drawn = picture(browser, capture.cameras[view])
            own = loaded.method.render(loaded.scene, capture.cameras[view], background=colour).rgb.numpy()
            found.append((psnr(drawn, truth), psnr(np.rint(255 * own) / 255, truth)))
        speed = ask(browser, f"sightline.benchmark({seconds}, {SIDE}, {SIDE})")
    finally:
        browser.quit()
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


def open_browser() -> webdriver.Chrome:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        raise SystemExit("Needs Chromium and ChromeDriver")
    options = Options()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(600)
    return browser


def ask(browser: webdriver.Chrome, promise: str, *values: Any) -> Any:
    """What a promise of the page gives; `given` is the list of the values."""
    script = (
        "const done = arguments[arguments.length - 1], given = arguments;"
        f"Promise.resolve({promise}).then("
        "(found) => done({ found }), (error) => done({ error: String(error) }))"
    )
    answer = browser.execute_async_script(script, *values)
    if "error" in answer:
        raise SystemExit(f"The page failed: {answer['error']}")
    return answer["found"]


def picture(browser: webdriver.Chrome, camera: Cameras) -> np.ndarray:
    """What the page draws for a camera of the data, (height, width, 3) in [0, 1]."""
    asked: dict[str, Any] = {name: float(getattr(camera, name)[0]) for name in ("fx", "fy", "cx", "cy")}
    asked |= {"c2w": camera.c2w[0].tolist(), "distortion": camera.distortion[0].tolist()}
    asked |= {"width": int(camera.width[0]), "height": int(camera.height[0])}
    asked["lens"] = LensModel(int(camera.lens[0])).name
    address = ask(browser, "sightline.render(given[0])", asked)
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    return np.asarray(image) / 255


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((picture - truth) ** 2)))


if __name__ == "__main__":
    main()
