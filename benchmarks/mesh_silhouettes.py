"""How well exported meshes agree with the photos: silhouettes against the masks of held-out views, and times.

    python benchmarks/mesh_silhouettes.py RUN [--resolution 256] [--picture FILE] [--json FILE]

RUN is a run folder whose data has alpha. The mesh is exported, its triangles are drawn into every view of the
split, and what they cover is compared with where the photo's alpha is above one half.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from sightline.captures import Capture
from sightline.exports.mesh.texture import covered_pixels
from sightline.geometry import Cameras
from sightline.media.images import to_uint8, write_png
from sightline.runs.run import Run
from sightline.workflows.evaluate import one_scene
from sightline.workflows.export import export_run


def draw(mesh: trimesh.Trimesh, camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Draw a mesh with its colours or texture: picture (h, w, 3) on white in [0, 1], and what it covers."""
    width, height = int(camera.width[0]), int(camera.height[0])
    pixels, depth = camera.project(torch.from_numpy(np.array(mesh.vertices)), 0)
    at, away = pixels.numpy(), depth.numpy()
    faces = np.asarray(mesh.faces)
    # Nothing is clipped at the near plane: cameras are outside of the object.
    faces = faces[(away[faces] > 1e-6).all(-1)]
    nearest = np.full(width * height, np.inf)
    picture = np.ones((width * height, 3))
    values, colour_of = painted(mesh)
    for index, face, weights in covered_pixels(at[faces], width, height):
        # Barycentric coordinates of the picture are those of 1 / depth.
        inverse = weights / away[faces[face]]
        z = 1 / inverse.sum(-1)
        order = np.argsort(-z, kind="stable")
        index, face, inverse, z = index[order], face[order], inverse[order], z[order]
        front = z < nearest[index]
        index, face, inverse, z = index[front], face[front], inverse[front], z[front]
        # Of several writes to one pixel the last one, the nearest, stays.
        nearest[index] = z
        picture[index] = colour_of(np.einsum("nk,nkc->nc", inverse * z[:, None], values[faces[face]]))
    return picture.reshape(height, width, 3), np.isfinite(nearest).reshape(height, width)


def painted(mesh: trimesh.Trimesh) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """What vertices hold, to be interpolated: colours or places in the texture; and its colour in [0, 1]."""
    visual: Any = mesh.visual
    if visual.kind != "texture":
        return np.asarray(visual.vertex_colors)[:, :3] / 255, lambda colours: colours
    texture = np.asarray(visual.material.baseColorTexture.convert("RGB")) / 255
    size = np.array([texture.shape[1], texture.shape[0]])

    def colour_of(uv: np.ndarray) -> np.ndarray:
        # trimesh counts v from the bottom.
        column, row = np.clip((np.stack([uv[:, 0], 1 - uv[:, 1]], -1) * size).astype(int), 0, size - 1).T
        return texture[row, column]

    return np.asarray(visual.uv), colour_of


def overlap(covered: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = (covered | mask).sum()
    return float((covered & mask).sum() / union) if union else 1.0


def score(mesh: trimesh.Trimesh, views: Capture) -> list[float]:
    """The overlap of every view."""
    found = []
    for index in range(len(views)):
        _, covered = draw(mesh, views.cameras[index])
        found.append(overlap(covered, views.images[index][..., 3] > 127))
    return found


def panel(mesh: trimesh.Trimesh, views: Capture, chosen: list[int]) -> np.ndarray:
    """Photos above, the mesh below."""
    photos, drawn = [], []
    for index in chosen:
        image = views.images[index] / 255.0
        photos.append(image[..., :3] * image[..., 3:] + 1 - image[..., 3:])
        drawn.append(draw(mesh, views.cameras[index])[0])
    return to_uint8(np.concatenate([np.concatenate(photos, 1), np.concatenate(drawn, 1)], 0))


def measure(run: Path, data: Path | None, split: str, options: dict[str, Any]) -> dict[str, Any]:
    """Export, and score all views of the split."""
    opened = one_scene(Run.open(run).open_data(data)).split(split)
    if opened.images.channels != 4:
        raise SystemExit("The photos have no alpha, so there are no masks to compare with")
    with tempfile.TemporaryDirectory() as folder:
        exported = export_run(run, "mesh", options, out=Path(folder) / "mesh.ply", data=data)
        mesh = trimesh.load(Path(folder) / "mesh.ply", process=False)
    assert isinstance(mesh, trimesh.Trimesh)
    parts = mesh.split(only_watertight=False)
    overlaps = score(mesh, opened)
    return {
        "mesh": mesh,
        "views": opened,
        "seconds": exported.seconds,
        "faces": len(mesh.faces),
        "parts": len(parts),
        "closed": bool(mesh.is_watertight),
        "outwards": bool(all(part.volume > 0 for part in parts)),
        "threshold": exported.exported.facts["threshold"],
        "overlaps": overlaps,
    }


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, help="where the photos are, if not at their recorded place")
    parser.add_argument("--split", default="test")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--threshold", type=float, default=None)
    parser.add_argument("--faces", type=int, default=None)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write photos and mesh side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file too")
    arguments = parser.parse_args()
    options = {name: getattr(arguments, name) for name in ("resolution", "threshold", "faces")}
    found = measure(arguments.run, arguments.data, arguments.split, options)
    mesh, views, overlaps = found.pop("mesh"), found.pop("views"), found["overlaps"]
    print("| grid | seconds | faces | parts | closed | outwards | threshold | mean IoU | worst IoU | views |")
    print("|---:|---:|---:|---:|---|---|---:|---:|---:|---:|")
    print(
        f"| {arguments.resolution} | {found['seconds']:.1f} | {found['faces']} | {found['parts']} "
        f"| {'yes' if found['closed'] else 'no'} | {'yes' if found['outwards'] else 'no'} "
        f"| {found['threshold']:.1f} | {np.mean(overlaps):.4f} | {min(overlaps):.4f} | {len(overlaps)} |"
    )
    if arguments.picture is not None:
        chosen = np.unique(np.linspace(0, len(views) - 1, 3).round().astype(int)).tolist()
        write_png(arguments.picture, panel(mesh, views, chosen))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
