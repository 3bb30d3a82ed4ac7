"""The mesh export: density grid, surface, parts, colours, files."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures import Capture
from sightline.exports.grids import Grid, grid_over, sample_density, scene_box
from sightline.exports.mesh.colours import colours_of_field, colours_of_photos
from sightline.exports.mesh.config import MeshOptions
from sightline.exports.mesh.files import write_glb, write_obj, write_ply
from sightline.exports.mesh.hidden import hidden_points
from sightline.exports.mesh.simplify import simplify
from sightline.exports.mesh.surface import Mesh, extract_surface, refine_vertices, remove_parts
from sightline.exports.mesh.texture import fill_gaps, find_texels, unwrap
from sightline.exports.mesh.threshold import choose_threshold
from sightline.exports.source import Exported, Source
from sightline.foundation.errors import InputError, inform, warn
from sightline.media.images import to_uint8
from sightline.photos.object_views import LOOKS, ObjectViews, cut_out_views

_TEXTURED_FACES = 50_000
_MASKED = 40
"""photos at most that the object is looked for in"""
_BYTES_PER_POINT = 24
"""density, padded copy, what a cell lets through, and marching cubes' own"""


def export_mesh(source: Source, options: MeshOptions, out: Path | None = None) -> Exported:
    """Make a mesh of a run with a field; see `MeshOptions`.

    Args:
        out: file in .ply, .obj or .glb; in `exports/` of the run folder where not given.

    Raises:
        InputError: the scene has no field, options do not go together, nothing is as dense as the threshold,
            or the grid is beyond the memory.
    """
    source.require("field", "mesh")
    kind, path = choose_file(source, options, out)
    photos = source.open_photos() if options.colours == "photos" else None
    grid, density, threshold = _sample(source, options)
    solid = None if options.keep_cavities else hidden_points(density, grid)
    mesh = extract_surface(density, grid, threshold, solid)
    mesh = refine_vertices(mesh, source.field, grid, density, threshold, options.refine)
    cleaned = remove_parts(
        mesh, least=options.least_part, most=options.parts, keep_cavities=options.keep_cavities
    )
    wanted = options.faces or (_TEXTURED_FACES if options.texture else None)
    mesh = cleaned.mesh
    if wanted is not None and len(mesh.faces) > wanted:
        mesh = simplify(mesh, wanted)
    painter = Painter(source, photos, options.views, grid, density)
    facts: dict[str, Any] = {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "parts": cleaned.parts,
        "small_parts_removed": cleaned.small,
        "cavities_removed": cleaned.cavities,
        "closed": mesh.closed,
        "area": float(mesh.face_areas().sum()),
        "volume": float(mesh.face_volumes().sum()),
        "threshold": threshold,
        "cell": grid.cell,
        "bounds": [mesh.vertices.min(0).tolist(), mesh.vertices.max(0).tolist()],
    }
    texture = None
    if options.texture:
        mesh, texture = _bake(mesh, options.texture_size, painter)
    elif options.colours != "none":
        mesh = replace(mesh, colours=painter(mesh.vertices, mesh.normals()))
    paths = _write(path, kind, mesh, texture)
    inform(
        f"Mesh of {facts['vertices']} vertices and {facts['faces']} faces in {facts['parts']} parts, "
        f"surface at density {threshold:.4g}"
    )
    return Exported(tuple(paths), facts)


def choose_file(source: Source, options: MeshOptions, out: Path | None) -> tuple[str, Path]:
    """Settle format and file; InputError where they do not go together."""
    suffixes = {".ply": "ply", ".obj": "obj", ".glb": "glb"}
    kind: str | None = options.format
    if out is not None:
        found = suffixes.get(out.suffix.lower())
        if found is None or (kind is not None and kind != found):
            raise InputError(
                "The output's name and format do not go together",
                where=f"--out {out}",
                fix="Use a name in .ply, .obj or .glb",
            )
        kind = found
    kind = kind or ("glb" if options.texture else "ply")
    if options.texture and (kind == "ply" or options.colours == "none"):
        raise InputError(
            "PLY files hold no texture" if kind == "ply" else "A texture without colours shows nothing",
            where="--texture",
            fix="Use --format glb or obj, and --colours field or photos",
        )
    return kind, out or source.run.path / "exports" / f"mesh.{kind}"


def _sample(source: Source, options: MeshOptions) -> tuple[Grid, np.ndarray, float]:
    field = source.field
    alone = _object(source, options) if options.mask_background else None
    box = alone.box if alone is not None and options.bounds is None else scene_box(field, options.bounds)
    grid = grid_over(box, options.resolution)
    source.refuse_beyond_memory(
        _BYTES_PER_POINT * len(grid),
        f"A grid of {'x'.join(map(str, grid.shape))} points",
        "--resolution",
    )
    with source.counting("density", len(grid)) as on_points:
        density = sample_density(field, grid, on_points)
    if alone is not None:
        for first, last in grid.slabs():
            points = grid.points(first, last)
            density[first:last][~alone.holds(points.reshape(-1, 3).numpy()).reshape(points.shape[:3])] = 0
    threshold = options.threshold
    if threshold is None:
        threshold = choose_threshold(density, grid, source.cameras)
    return grid, density, threshold


def _object(source: Source, options: MeshOptions) -> ObjectViews:
    """Find the object in some of the photos, evenly spread."""
    photos = source.open_photos()
    photos = photos.subset(range(0, len(photos), max(1, -(-len(photos) // _MASKED))))
    with source.counting("looking for the object", LOOKS * len(photos)) as on_view:
        return cut_out_views(photos, options.mask_with, on_view)


@dataclass(frozen=True)
class Painter:
    """Colours points of the surface as the options say."""

    source: Source
    photos: Capture | None
    """colours come from the field where there are none"""
    views: int
    grid: Grid
    density: np.ndarray

    def __call__(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Give colours in [0, 1]; points that no photo sees have those of the field."""
        if self.photos is None:
            return self._of_field(points, normals)
        with self.source.counting("photos", min(len(self.photos), self.views)) as on_view:
            colours, seen = colours_of_photos(
                self.photos, points, normals, self.density, self.grid, self.views, on_view
            )
        hidden = seen < 1e-3
        if hidden.any():
            colours[hidden] = self._of_field(points[hidden], normals[hidden])
        if hidden.mean() > 0.5:
            warn(f"The photos see {1 - hidden.mean():.0%} of the surface only; the rest is from the field")
        return colours

    def _of_field(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        with self.source.counting("colours", len(points)) as on_points:
            return colours_of_field(self.source.field, points, normals, self.grid.cell, on_points)


def _bake(
    mesh: Mesh, size: int, paint: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[Mesh, np.ndarray]:
    """Unwrap a mesh and paint the pixels of its texture, uint8."""
    unwrapped, origin = unwrap(mesh, size)
    texels = find_texels(unwrapped, mesh.normals()[origin], size)
    texture = np.zeros((size, size, 3), dtype=np.float32)
    known = np.zeros((size, size), dtype=bool)
    texture[texels.rows, texels.columns] = paint(texels.points, texels.normals)
    known[texels.rows, texels.columns] = True
    return unwrapped, to_uint8(fill_gaps(texture, known))


def _write(path: Path, kind: str, mesh: Mesh, texture: np.ndarray | None) -> list[Path]:
    if kind == "obj":
        return write_obj(path, mesh, texture)
    if kind == "glb":
        write_glb(path, mesh, texture)
    else:
        write_ply(path, mesh)
    return [path]
