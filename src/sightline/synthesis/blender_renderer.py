"""Pictures of a described scene by Blender's Cycles; `blender` runs headless, once for a batch of views."""

import json
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.foundation.errors import InputError, RunError
from sightline.synthesis.description import SceneDescription
from sightline.synthesis.mitsuba_renderer import View

SCRIPT = Path(__file__).with_name("blender_script.py")
_PATIENCE = 0.1


@cache
def find_blender() -> str:
    """Find the program; InputError says how to get it."""
    found = shutil.which("blender")
    if found is None:
        raise InputError(
            "The program blender is not on the search path",
            where="--renderer blender",
            fix="Install it (apt-get install blender, or from blender.org), or use --renderer mitsuba",
        )
    return found


def render_views(
    scene: SceneDescription, views: Sequence[View], stopping: Callable[[], bool] = lambda: False
) -> Iterator[np.ndarray]:
    """Render views of one scene.

    Args:
        scene: what to render.
        views: from where.
        stopping: asked while Blender works; Blender is ended once it says yes.

    Yields:
        uint8 (height, width, 4) for each view, sRGB with straight alpha, black where alpha is 0.

    Raises:
        InputError: Blender is not installed.
        RunError: it fails.
    """
    blender = find_blender()
    with tempfile.TemporaryDirectory(prefix="sightline-blender-") as name:
        folder = Path(name)
        _write_job(folder, scene, views)
        log = folder / "log.txt"
        # Factory start-up: no settings or add-ons of the user take part.
        command = [blender, "--background", "--factory-startup", "--threads", "1", "--python-exit-code", "3"]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [*command, "--python", str(SCRIPT), "--", str(folder)], stdout=output, stderr=output
            )
            try:
                while process.poll() is None:
                    if stopping():
                        return
                    time.sleep(_PATIENCE)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode != 0:
            tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise RunError(f"Blender ended with code {process.returncode}: {' / '.join(tail)}", where=blender)
        for index in range(len(views)):
            with Image.open(folder / f"{index:05d}.png") as picture:
                pixels = np.array(picture.convert("RGBA"))
            pixels[pixels[..., 3] == 0] = 0
            yield pixels


def _write_job(folder: Path, scene: SceneDescription, views: Sequence[View]) -> None:
    """Write meshes, textures and views for the script."""
    arrays: dict[str, np.ndarray] = {}
    parts = []
    for index, part in enumerate(scene.parts):
        mesh = part.mesh
        arrays |= {
            f"vertices_{index}": mesh.vertices,
            f"faces_{index}": mesh.faces.astype(np.int32),
            f"normals_{index}": mesh.normals,
            f"uvs_{index}": mesh.uvs * np.array(part.material.repeat, dtype=np.float32),
        }
        Image.fromarray(part.material.texture).save(folder / f"texture_{index}.png")
        parts.append({"roughness": part.material.roughness, "metallic": part.material.metallic or 0.0})
    np.savez(folder / "meshes.npz", **arrays)  # type: ignore[arg-type]
    lamps = [
        {
            "position": list(lamp.position),
            "target": list(lamp.target),
            "size": lamp.size,
            # A square lamp of one side radiates pi L A; Blender takes watts of that.
            "power": [math.pi * lamp.size**2 * value for value in lamp.radiance],
        }
        for lamp in scene.lamps
    ]
    described = [
        {
            "c2w": np.asarray(view.c2w).tolist(),
            "angle_x": view.angle_x,
            "size": [view.width, view.height],
            "samples": view.samples,
            "seed": view.seed,
        }
        for view in views
    ]
    job = {"parts": parts, "lamps": lamps, "ambient": list(scene.ambient), "views": described}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
