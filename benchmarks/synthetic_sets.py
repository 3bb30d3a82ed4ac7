"""How fast synthetic sets are made, and contact sheets of what is in them.

Run from the repository's root: python benchmarks/synthetic_sets.py [--layout srn] [--sheet FILE]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.foundation.hardware import available_cores, processor_name
from sightline.synthesis.camera_laws import orbit_poses
from sightline.synthesis.mitsuba_renderer import MitsubaRenderer, View
from sightline.synthesis.object_recipes import ProceduralObject
from sightline.synthesis.object_sets import LAYOUTS, make_objects
from sightline.synthesis.objects.catalogue import CATEGORIES
from sightline.synthesis.shooting import finished


def measure(
    layout: str, objects: int, views: int, size: int, samples: int, workers: int | None
) -> dict[str, Any]:
    """Make a set in a temporary folder; gives the columns of the table."""
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.perf_counter(), os.times()
        make_objects(
            Path(folder) / "set",
            layout=layout,  # type: ignore[arg-type]
            objects=objects,
            val_objects=0,
            test_objects=0,
            views=views,
            size=size,
            samples=samples,
            workers=workers,
        )
        seconds, after = time.perf_counter() - started, os.times()
    count = objects * views
    return {
        "layout": layout,
        "objects": objects,
        "views": views,
        "size": size,
        "samples": samples,
        "views/s": round(count / seconds, 1),
        "processor ms a view": round(1000 * (sum(after[:4]) - sum(before[:4])) / count, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """Lay out the rows as a table."""
    head = f"| {' | '.join(rows[0])} |"
    lines = [f"| {' | '.join(str(value) for value in row.values())} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *lines])


def contact_sheet(path: Path, columns: int, size: int, seed: int) -> None:
    """Render the first objects of every category, a row each, seen from the front left or right."""
    sheet = np.full((size * len(CATEGORIES), size * columns, 3), 255, dtype=np.uint8)
    for row, category in enumerate(CATEGORIES):
        for column in range(columns):
            recipe = ProceduralObject(category=category, stream="train", index=column, seed=seed)
            azimuth = np.radians(90 + (-35 if column % 2 else 35))
            (pose,) = orbit_poses(np.array([azimuth]), np.radians([22.0]), 2.0)
            view = View(c2w=pose, angle_x=np.radians(28), width=size, height=size, samples=32)
            picture = finished(MitsubaRenderer(recipe.build()).render(view), "white-rgb")
            sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = picture
    Image.fromarray(sheet).quantize(128, dither=Image.Dither.NONE).save(path, format="PNG", optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", choices=list(LAYOUTS), action="append", help="default: enr-rotation, nmr")
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet (PNG) instead of measuring")
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.sheet is not None:
        contact_sheet(options.sheet, options.columns, 80, options.seed)
        return 0
    rows = [
        measure(layout, options.objects, options.views, options.size, options.samples, options.workers)
        for layout in options.layout or ["enr-rotation", "nmr"]
    ]
    if options.json:
        print(json.dumps({"processor": processor_name(), "cores": available_cores(), "rows": rows}, indent=1))
    else:
        print(f"{processor_name()}, {available_cores()} cores\n\n{to_markdown(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
