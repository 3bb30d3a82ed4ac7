"""The pictures of the pages on exports, of a scene that is made here: a still life, and `ngp` trained on it.

    python -m benchmarks.export_pictures [--out docs/images] [--work FOLDER] [--steps 3000] [--size 200]

Needs no data. Photos and run are kept in `--work` and taken from there the next time.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import trimesh
from benchmarks.mesh_silhouettes import draw

from sightline.captures import Capture, open_capture
from sightline.geometry import Cameras
from sightline.media.images import to_uint8, write_png
from sightline.media.panels import Tile, draw_sheet
from sightline.runs.run import Run
from sightline.synthesis.scenes import make_still_life
from sightline.workflows.api import load, train
from sightline.workflows.evaluate import one_scene
from sightline.workflows.export import export_run

VIEWS = 3
TEXTURE = {"colours": "photos", "texture": True, "texture_size": 1024, "faces": 30_000}
_POINTS = 120_000


def prepare(work: Path, steps: int, size: int) -> tuple[Run, Capture]:
    """Make the photos and train the run, or take what is there; gives the held-out views too."""
    data, folder = work / f"still-life-{size}", work / f"ngp-{size}-{steps}"
    make_still_life(data, train_views=60, test_views=10, size=size)
    if not (Run.exists(folder) and Run.open(folder).record.progress.finished):
        train("ngp", data, out=folder, steps=steps, resume=Run.exists(folder))
    return Run.open(folder), one_scene(open_capture(data)).split("test")


def load_mesh(path: Path) -> trimesh.Trimesh:
    """Read a mesh that was exported."""
    mesh = trimesh.load(path, process=False, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def photo(views: Capture, index: int) -> np.ndarray:
    """A photo over white, in [0, 1]."""
    image = views.images[index] / 255.0
    alpha = image[..., 3:] if image.shape[2] == 4 else 1.0
    return image[..., :3] * alpha + 1 - alpha


def draw_points(points: np.ndarray, colours: np.ndarray, camera: Cameras, side: int = 2) -> np.ndarray:
    """Draw points as squares of `side` pixels, nearer ones over farther ones, on white."""
    width, height = int(camera.width[0]), int(camera.height[0])
    pixels, depth = camera.project(torch.from_numpy(points), 0)
    order = np.argsort(-depth.numpy(), kind="stable")
    square = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    places = np.floor(pixels.numpy()[order] - (side - 1) / 2).astype(int)[:, None] + square
    column, row = places.reshape(-1, 2).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    picture = np.ones((height, width, 3))
    # Of several writes to one pixel the last one, the nearest, stays.
    picture[row[inside], column[inside]] = colours[order].repeat(side * side, 0)[inside]
    return picture


def draw_volume(rgba: np.ndarray, axis: int) -> np.ndarray:
    """Composite a volume along an axis, seen against it, z upwards where it is in the picture; on white."""
    layers = np.moveaxis(rgba / 255.0, axis, 0)
    picture, light = np.zeros((*layers.shape[1:3], 3)), np.ones((*layers.shape[1:3], 1))
    for layer in layers[::-1]:
        picture += light * layer[..., 3:] * layer[..., :3]
        light *= 1 - layer[..., 3:]
    return np.rot90(picture + light, 1)


def sheet(columns: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Pictures in [0, 1] in columns under their names."""
    rows = zip(*columns.values(), strict=True)
    return draw_sheet([[Tile(to_uint8(picture)) for picture in row] for row in rows], headings=list(columns))


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="where the pictures go")
    parser.add_argument("--work", type=Path, default=Path("runs/export-pictures"), help="photos and run")
    parser.add_argument("--steps", type=int, default=3000, help="training steps")
    parser.add_argument("--size", type=int, default=200, help="width and height of the photos")
    parser.add_argument("--resolution", type=int, default=192, help="grid points of the mesh")
    arguments = parser.parse_args()
    run, views = prepare(arguments.work, arguments.steps, arguments.size)
    made = arguments.work / f"exports-{arguments.size}-{arguments.steps}"
    chosen = np.linspace(0, len(views) - 1, VIEWS).round().astype(int).tolist()
    cameras = [views.cameras[index] for index in chosen]
    photos = [photo(views, index) for index in chosen]

    meshes = {
        "colours of the field": {},
        "of the photos": {"colours": "photos"},
        "as a texture": TEXTURE,
    }
    columns = {"photo": photos}
    for number, (name, options) in enumerate(meshes.items()):
        path = made / f"mesh{number}.{'glb' if 'texture' in options else 'ply'}"
        export_run(run, "mesh", {"resolution": arguments.resolution, **options}, out=path)
        mesh = load_mesh(path)
        columns[name] = [draw(mesh, camera)[0] for camera in cameras]
    write_png(arguments.out / "export_mesh.png", sheet(columns))

    export_run(run, "points", {"count": _POINTS}, out=made / "points.ply")
    cloud = trimesh.load(made / "points.ply")
    points, colours = np.asarray(cloud.vertices), np.asarray(cloud.visual.vertex_colors)[:, :3] / 255  # pyright: ignore
    drawn = [draw_points(points, colours, camera) for camera in cameras]
    write_png(arguments.out / "export_points.png", sheet({"photo": photos, "points": drawn}))

    export_run(run, "volume", {"resolution": 128}, out=made / "volume.npz")
    with np.load(made / "volume.npz") as volume:
        rgba = volume["rgba"]
    pictures = [np.kron(draw_volume(rgba, axis), np.ones((2, 2, 1))) for axis in range(3)]
    write_png(
        arguments.out / "export_volume.png",
        draw_sheet(
            [[Tile(to_uint8(picture)) for picture in pictures]], headings=["along x", "along y", "along z"]
        ),
    )

    sizes = {}
    columns = {
        "photo": photos,
        "run": [seen.rgb.numpy() for seen in load(run.path).render(views.cameras[chosen])],
    }
    for name, options in {"file": {}, "file, 16 bits": {"half": True}}.items():
        path = made / f"scene{len(sizes)}.sightline"
        export_run(run, "weights", options, out=path)
        sizes[name] = path.stat().st_size / 2**20
        columns[name] = [seen.rgb.numpy() for seen in load(path).render(views.cameras[chosen])]
    write_png(arguments.out / "export_weights.png", sheet(columns))
    print(", ".join(f"{name}: {size:.1f} MiB" for name, size in sizes.items()))
    for name in ("mesh", "points", "volume", "weights"):
        print(arguments.out / f"export_{name}.png")


if __name__ == "__main__":
    main()
