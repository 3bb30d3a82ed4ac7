"""The pictures of the pages on `nerf` and on importing, of a scene that is made here: a still life.

    python -m benchmarks.nerf_pictures [--out docs/images] [--work FOLDER] [--steps 4000] [--size 120]

A network of 8 layers of 128 is trained with the occupancy sampler; then its weights are written as
nerf-pytorch writes them, imported, and rendered again. Photos and run are kept in `--work` and taken from
there the next time.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch

if __package__:
    from benchmarks.export_pictures import photo, sheet
else:  # run as a file: its own folder is on the path
    from export_pictures import photo, sheet  # pyright: ignore[reportMissingImports]

from sightline.captures import open_capture
from sightline.media.colour import colour_depth, depth_range
from sightline.media.images import write_png
from sightline.methods.base import Rendering
from sightline.runs.run import Run
from sightline.runs.weights import read_weights
from sightline.synthesis.scenes import make_still_life
from sightline.workflows.api import load, train
from sightline.workflows.evaluate import one_scene
from sightline.workflows.importing import import_checkpoint

VIEWS = 3
_SETTINGS = {
    "width": 128,
    "sampler": "occupancy",
    "background": "random",
    "one_image": "never",
    "precrop_steps": 0,
    "learning_rate": 2e-3,
    "schedule_unit": "training",
    "decay_span": 1.0,
}
_NAMES = {
    **{f"trunk.{k}": f"pts_linears.{k}" for k in range(8)},
    "density": "alpha_linear",
    "feature": "feature_linear",
    "view": "views_linears.0",
    "colour": "rgb_linear",
}


def write_nerf_pytorch(run: Run, path: Path, steps: int) -> None:
    """Write a run's networks with the names and in the file that nerf-pytorch has for them."""
    content: dict[str, object] = {"global_step": steps}
    found = read_weights(run.path / "weights.safetensors")
    for which, key in (("coarse", "network_fn_state_dict"), ("fine", "network_fine_state_dict")):
        content[key] = {
            f"{theirs}.{kind}": found[f"networks.{which}.{ours}.{kind}"]
            for ours, theirs in _NAMES.items()
            for kind in ("weight", "bias")
        }
    torch.save(content, path)


def picture_of(rendering: Rendering) -> np.ndarray:
    """The colours of a rendering."""
    return rendering.rgb.numpy()


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="where the pictures go")
    parser.add_argument("--work", type=Path, default=Path("runs/nerf-pictures"), help="photos and run")
    parser.add_argument("--steps", type=int, default=4000, help="training steps")
    parser.add_argument("--size", type=int, default=120, help="width and height of the photos")
    arguments = parser.parse_args()
    data, folder = arguments.work / f"still-life-{arguments.size}", arguments.work / f"nerf-{arguments.steps}"
    make_still_life(data, train_views=60, test_views=10, size=arguments.size)
    if not (Run.exists(folder) and Run.open(folder).record.progress.finished):
        train("nerf", data, out=folder, steps=arguments.steps, resume=Run.exists(folder), **_SETTINGS)
    views = one_scene(open_capture(data)).split("test")
    chosen = np.linspace(0, len(views) - 1, VIEWS).round().astype(int).tolist()
    cameras = views.cameras[chosen]
    photos = [photo(views, index) for index in chosen]
    own = load(folder).render(cameras)
    depths = [rendering.depth.numpy() for rendering in own if rendering.depth is not None]
    span = depth_range(np.stack(depths))
    columns = {
        "photo": photos,
        "nerf": [picture_of(rendering) for rendering in own],
        "depth": [colour_depth(depth, span) / 255.0 for depth in depths],
    }
    write_png(arguments.out / "nerf.png", sheet(columns))

    file, imported = arguments.work / f"{arguments.steps:06d}.tar", arguments.work / "imported"
    write_nerf_pytorch(Run.open(folder), file, arguments.steps)
    shutil.rmtree(imported, ignore_errors=True)
    import_checkpoint([file], imported, data=data)
    again = load(imported).render(cameras, sampler="occupancy")
    columns = {
        "photo": photos,
        "trained here": [picture_of(rendering) for rendering in own],
        "imported": [picture_of(rendering) for rendering in again],
    }
    write_png(arguments.out / "importing.png", sheet(columns))
    for name in ("nerf", "importing"):
        print(arguments.out / f"{name}.png")


if __name__ == "__main__":
    main()
