"""Mesh files (OBJ, PLY, GLB, GLTF, OFF, STL) as parts with textures, and finding them in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import InputError
from sightline.synthesis import textures
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh
from sightline.synthesis.solids import shaded

SUFFIXES = (".obj", ".ply", ".glb", ".gltf", ".off", ".stl")
_SHAPENET_FILE = "models/model_normalized.obj"
_MOST_TEXELS = 512
_CREASE = 76.0
"""degrees above which an edge is sharp: 1.32645 radians, as in the sets of Equivariant Neural Rendering"""
_GREY = (0.72, 0.72, 0.72)


@dataclass(frozen=True)
class MeshFile:
    """A mesh file with what its place in the folder says."""

    path: Path
    id: str
    """unique among all files found"""
    category: str
    """the folder's name: a synset number in ShapeNet's layout"""


def find_meshes(folder: Path) -> list[MeshFile]:
    """Find the meshes in a folder, sorted.

    Three layouts are understood: ShapeNet's (CATEGORY/ID/models/model_normalized.obj), one folder for each
    category, and files directly in the folder.

    Raises:
        InputError: the folder does not exist, or holds no mesh.
    """
    if not folder.is_dir():
        raise InputError("The folder of meshes does not exist", where=folder)
    shapenet = sorted(folder.rglob(_SHAPENET_FILE))
    if shapenet:
        found = [(path, path.parents[1].name, path.parents[2].name) for path in shapenet]
        found = [
            (path, id, folder.name if place == folder.parent.name else place) for path, id, place in found
        ]
    else:
        files = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
        )
        found = [
            (path, "-".join(path.relative_to(folder).with_suffix("").parts), path.parent.name)
            for path in files
        ]
    if not found:
        raise InputError(
            "The folder holds no meshes",
            where=folder,
            fix=f"Looked for files that end in {', '.join(SUFFIXES)}, also in folders below",
        )
    seen: dict[str, int] = {}
    meshes = []
    for path, id, category in found:
        seen[id] = seen.get(id, 0) + 1
        unique = id if seen[id] == 1 else f"{id}-{seen[id]}"
        meshes.append(MeshFile(path, unique, category))
    return meshes


def load_parts(path: Path, up: str = "y") -> tuple[Part, ...]:
    """Read a mesh file with its textures and colours, turned so that z points up.

    Args:
        path: the file.
        up: the axis that points up in it; with "y" the front, which looks along -z there, faces +y.

    Raises:
        InputError: it cannot be read, or has no faces, no extent, or points that are no finite numbers.
    """
    import trimesh

    try:
        loaded = trimesh.load(path, force="scene", process=False)
    except Exception as error:  # trimesh passes on whatever its many parsers raise
        raise InputError(f"The mesh cannot be read ({type(error).__name__}: {error})", where=path) from error
    geometries = [part for part in _geometries(loaded) if len(getattr(part, "faces", ()))]
    if not geometries:
        raise InputError("The mesh has no faces", where=path, fix="Remove the file, or add --skip-broken")
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) if up == "y" else np.eye(3)
    parts = []
    for index, geometry in enumerate(geometries):
        vertices = np.asarray(geometry.vertices, dtype=np.float64)
        faces = np.asarray(geometry.faces, dtype=np.int64)
        used = vertices[faces]
        if not np.isfinite(used).all():
            raise InputError(
                "The mesh has points that are not finite numbers",
                where=path,
                fix="Export it again, remove it, or add --skip-broken",
            )
        if np.ptp(used.reshape(-1, 3), axis=0).max() > 0:
            parts += _parts(f"part {index}", vertices @ turn.T, faces, geometry.visual)
    if not parts:
        raise InputError("The mesh has no extent", where=path, fix="Remove the file, or add --skip-broken")
    return tuple(parts)


def _geometries(scene: Any) -> Sequence[Any]:
    dump = scene.dump(concatenate=False)
    return dump if isinstance(dump, list | tuple) else [dump]


def _parts(name: str, vertices: np.ndarray, faces: np.ndarray, visual: Any) -> list[Part]:
    """One part for a texture, or one for each colour of faces (vertices' colours are averaged)."""
    areas = np.linalg.norm(
        np.cross(
            vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
        ),
        axis=1,
    )
    faces, kept = faces[areas > 1e-10 * areas.max()], areas > 1e-10 * areas.max()
    mesh = shaded(vertices, faces, _CREASE)
    uv = getattr(visual, "uv", None)
    image = _image(visual)
    if image is not None and uv is not None and len(uv) == len(vertices) and np.isfinite(uv).all():
        mapped = Mesh(
            mesh.vertices, mesh.faces, mesh.normals, np.asarray(uv, np.float32)[faces].reshape(-1, 2)
        )
        return [Part(name=name, mesh=mapped, material=Material(texture=image))]
    colours = _face_colours(visual, len(kept))
    if colours is None:
        plain = textures.plain(_main_colour(visual))
        return [Part(name=name, mesh=mesh, material=Material(texture=plain))]
    palette, uvs = _painted(colours[kept])
    painted = Mesh(mesh.vertices, mesh.faces, mesh.normals, np.repeat(uvs, 3, axis=0).astype(np.float32))
    return [Part(name=name, mesh=painted, material=Material(texture=palette))]


def _painted(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make a texture with a patch for each colour, and the middle (m, 2) of each face's patch."""
    distinct, which = np.unique(colours, axis=0, return_inverse=True)
    side = int(np.ceil(np.sqrt(len(distinct))))
    cells = np.zeros((side * side, 3), dtype=np.uint8)
    cells[: len(distinct)] = distinct
    # Patches of 3x3 texels: interpolation at their middle meets no other colour.
    texture = cells.reshape(side, side, 3).repeat(3, axis=0).repeat(3, axis=1)
    which = which.reshape(-1)
    return texture, np.stack([(which % side + 0.5) / side, 1 - (which // side + 0.5) / side], axis=1)


def _face_colours(visual: Any, count: int) -> np.ndarray | None:
    """Colours (count, 3) of faces, where the file has any."""
    if getattr(visual, "kind", None) not in ("vertex", "face"):
        return None
    colours = np.asarray(visual.face_colors)
    return colours[:, :3].astype(np.uint8) if colours.shape[:1] == (count,) else None


def _image(visual: Any) -> np.ndarray | None:
    """The texture (h, w, 3), shrunk where it is very large."""
    material = getattr(visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None or min(image.size) < 1:
        return None
    picture = image.convert("RGB")
    picture.thumbnail((_MOST_TEXELS, _MOST_TEXELS))
    return np.asarray(picture)


def _main_colour(visual: Any) -> tuple[float, float, float]:
    material = getattr(visual, "material", None)
    colour = getattr(material, "main_color", None)
    if colour is None:
        return _GREY
    red, green, blue = (float(value) / 255 for value in np.asarray(colour).reshape(-1)[:3])
    return red, green, blue
