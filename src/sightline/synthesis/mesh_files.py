"""Mesh files (OBJ, PLY, GLB, GLTF, OFF, STL) as parts with textures, and finding them in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import InputError
from sightline.synthesis import textures
from sightline.synthesis.description import Material, Part
from sightline.synthesis.solids import shaded

SUFFIXES = (".obj", ".ply", ".glb", ".gltf", ".off", ".stl")
_SHAPENET_FILE = "models/model_normalized.obj"
_MOST_TEXELS = 512
_CREASE = 76.0
"""degrees above which an edge is sharp: 1.32645 radians, as in the sets of Equivariant Neural Rendering"""
_BROKEN = "Export it again, remove it, or add --skip-broken"
_UNSTATED = (102, 102, 102)
"""the colour that trimesh gives where a file says none"""
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
    """Find the meshes in a folder and those below, sorted.

    Each is of the category that its folder is named after; in ShapeNet's layout
    (CATEGORY/ID/models/model_normalized.obj) that is two folders further up.

    Raises:
        InputError: the folder does not exist, or holds no mesh.
    """
    if not folder.is_dir():
        raise InputError("The folder of meshes does not exist", where=folder)
    found = [
        _named(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
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


def _named(path: Path, root: Path) -> tuple[Path, str, str]:
    """Give a file with its id and category."""
    if path.as_posix().endswith(f"/{_SHAPENET_FILE}"):
        return path, path.parents[1].name, path.parents[2].name
    return path, "-".join(path.relative_to(root).with_suffix("").parts), path.parent.name


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
        loaded = trimesh.load(path, force="scene", process=False, resolver=_resolver(path))
    except Exception as error:  # trimesh passes on whatever its many parsers raise
        raise InputError(f"The mesh cannot be read ({type(error).__name__}: {error})", where=path) from error
    geometries = [part for part in _geometries(loaded) if len(getattr(part, "faces", ()))]
    if not geometries:
        raise InputError("The mesh has no faces", where=path, fix=_BROKEN)
    # Those with textures first: of faces that lie in one place, the first stays.
    geometries.sort(key=lambda part: _image(part.visual) is None)
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) if up == "y" else np.eye(3)
    surfaces = [
        (np.asarray(part.vertices, dtype=np.float64) @ turn.T, np.asarray(part.faces, dtype=np.int64))
        for part in geometries
    ]
    corners = np.concatenate([vertices[faces] for vertices, faces in surfaces])
    if not np.isfinite(corners).all():
        raise InputError("The mesh has points that are not finite numbers", where=path, fix=_BROKEN)
    kept = _drawn(corners)
    if not kept.any():
        raise InputError("The mesh has no extent", where=path, fix=_BROKEN)
    parts, start = [], 0
    for index, ((vertices, faces), geometry) in enumerate(zip(surfaces, geometries, strict=True)):
        mine = kept[start : start + len(faces)]
        start += len(faces)
        if mine.any():
            parts.append(_part(f"part {index}", vertices, faces, mine, geometry.visual))
    return tuple(parts)


def _resolver(path: Path) -> Any:
    """What finds the textures of a mesh: beside it, or in the folder above, as in ShapeNet's layout."""
    from trimesh.resolvers import FilePathResolver

    class Nearby(FilePathResolver):
        def get(self, name: str) -> bytes:
            found = (path.parent / name.strip()).resolve()
            if found.is_relative_to(path.parent.parent.resolve()) and found.is_file():
                return found.read_bytes()
            return super().get(name)

    return Nearby(str(path))


def _drawn(corners: np.ndarray) -> np.ndarray:
    """Tell which triangles (m, 3, 3) have an area and no earlier twin in the same place, as many meshes have.

    Twins that look the other way serve programs that draw one side; here they would speckle.
    """
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    extent = np.ptp(corners.reshape(-1, 3), axis=0).max()
    if extent == 0 or areas.max() == 0:
        return np.zeros(len(corners), dtype=bool)
    places = np.rint((corners - corners.reshape(-1, 3).min(axis=0)) / (extent * 1e-6)).astype(np.int64)
    points = np.sort(places @ np.array([1, 1 << 21, 1 << 42]), axis=1)
    _, first = np.unique(points, axis=0, return_index=True)
    kept = np.zeros(len(corners), dtype=bool)
    kept[first] = True
    return kept & (areas > 1e-10 * areas.max())


def _geometries(scene: Any) -> Sequence[Any]:
    dump = scene.dump(concatenate=False)
    return dump if isinstance(dump, list | tuple) else [dump]


def _part(name: str, vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray, visual: Any) -> Part:
    """Make a part with the texture of a mesh, or one with patches of its colours (vertices' are averaged)."""
    mesh = shaded(vertices, faces[kept], _CREASE)
    uv, image = getattr(visual, "uv", None), _image(visual)
    if image is not None and uv is not None and len(uv) == len(vertices) and np.isfinite(uv).all():
        mapped = np.asarray(uv, np.float32)[faces[kept]].reshape(-1, 2)
        return Part(name=name, mesh=replace(mesh, uvs=mapped), material=Material(texture=image))
    colours = _face_colours(visual, len(kept))
    if colours is None:
        plain = textures.plain(_main_colour(visual))
        return Part(name=name, mesh=mesh, material=Material(texture=plain))
    palette, uvs = _painted(colours[kept])
    painted = replace(mesh, uvs=np.repeat(uvs, 3, axis=0).astype(np.float32))
    return Part(name=name, mesh=painted, material=Material(texture=palette))


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
    if colour is None or tuple(np.asarray(colour).reshape(-1)[:3]) == _UNSTATED:
        return _GREY
    red, green, blue = (float(value) / 255 for value in np.asarray(colour).reshape(-1)[:3])
    return red, green, blue
