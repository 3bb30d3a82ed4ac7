"""Meshes and points on disk: PLY, OBJ with its material, and GLB (glTF 2.0)."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sightline.exports.mesh.surface import Mesh
from sightline.foundation.files import write_atomic
from sightline.media.images import encode_png, to_uint8

_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY, _ELEMENTS = 34962, 34963


def write_ply(path: Path, mesh: Mesh) -> None:
    """Write a binary PLY file: x y z float32, red green blue uint8 where there are colours, int32 faces."""
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"], faces["vertices"] = 3, mesh.faces
    write_atomic(path, _ply_vertices(mesh.vertices, mesh.colours, len(mesh.faces)) + faces.tobytes())


def write_ply_points(path: Path, points: Float[np.ndarray, "n 3"], colours: Float[np.ndarray, "n 3"]) -> None:
    """Write points with colours in [0, 1] as a binary PLY file."""
    write_atomic(path, _ply_vertices(points, colours, None))


def _ply_vertices(points: np.ndarray, colours: np.ndarray | None, faces: int | None) -> bytes:
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    fields: list[tuple[str, str, int]] = [("position", "<f4", 3)]
    if colours is not None:
        header += [f"property uchar {name}" for name in ("red", "green", "blue")]
        fields.append(("colour", "u1", 3))
    if faces is not None:
        header += [f"element face {faces}", "property list uchar int vertex_indices"]
    table = np.empty(len(points), dtype=fields)
    table["position"] = points
    if colours is not None:
        table["colour"] = to_uint8(colours)
    return ("\n".join([*header, "end_header"]) + "\n").encode("ascii") + table.tobytes()


def write_obj(path: Path, mesh: Mesh, texture: UInt8[np.ndarray, "h w 3"] | None = None) -> list[Path]:
    """Write an OBJ file; with a texture also its material and picture beside it. Gives all files, it first.

    Without a texture, colours follow the positions of vertices, which most programs read.
    """
    lines = []
    material, picture = path.with_suffix(".mtl"), path.with_suffix(".png")
    if texture is not None:
        lines += [f"mtllib {material.name}", "usemtl baked"]
    colours = mesh.colours if texture is None else None
    rows = mesh.vertices if colours is None else np.concatenate([mesh.vertices, colours], -1)
    pattern = "v %.9g %.9g %.9g" + ("" if colours is None else " %.4f %.4f %.4f")
    lines += [pattern % tuple(row) for row in rows.tolist()]
    faces = mesh.faces + 1
    if texture is not None and mesh.uvs is not None:
        # OBJ counts rows from the bottom.
        lines += [f"vt {u:.7f} {1 - v:.7f}" for u, v in mesh.uvs.tolist()]
        lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces.tolist()]
    else:
        lines += [f"f {a} {b} {c}" for a, b, c in faces.tolist()]
    if texture is None:
        write_atomic(path, ("\n".join(lines) + "\n").encode("ascii"))
        return [path]
    write_atomic(picture, encode_png(texture))
    # Light is in the colours already: nothing is to be added or shaded.
    text = f"newmtl baked\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {picture.name}\n"
    write_atomic(material, text.encode("utf-8"))
    write_atomic(path, ("\n".join(lines) + "\n").encode("utf-8"))
    return [path, material, picture]


def write_glb(path: Path, mesh: Mesh, texture: UInt8[np.ndarray, "h w 3"] | None = None) -> None:
    """Write a binary glTF 2.0 file with an unlit material, in the input frame's own axes.

    Colours of vertices are linear there (16 bits each), a texture is sRGB.
    """
    buffer = _Buffer()
    attributes = {"POSITION": buffer.add(mesh.vertices.astype("<f4"), _FLOAT, "VEC3", _ARRAY, limits=True)}
    material: dict[str, Any] = {"extensions": {"KHR_materials_unlit": {}}, "pbrMetallicRoughness": {}}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "sightline"},
        "extensionsUsed": ["KHR_materials_unlit"],
    }
    if texture is not None and mesh.uvs is not None:
        attributes["TEXCOORD_0"] = buffer.add(mesh.uvs.astype("<f4"), _FLOAT, "VEC2", _ARRAY)
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
        view = buffer.add_bytes(encode_png(texture))
        document |= {
            "images": [{"bufferView": view, "mimeType": "image/png"}],
            "samplers": [{"wrapS": 33071, "wrapT": 33071}],
            "textures": [{"source": 0, "sampler": 0}],
        }
    elif mesh.colours is not None:
        # Rows of glTF begin at multiples of four bytes: with an opacity, they do.
        colours = np.ones((len(mesh.vertices), 4))
        colours[:, :3] = to_linear(mesh.colours)
        values = np.rint(65535 * colours).astype("<u2")
        attributes["COLOR_0"] = buffer.add(values, _UNSIGNED_SHORT, "VEC4", _ARRAY, normalised=True)
    indices = buffer.add(mesh.faces.astype("<u4").ravel(), _UNSIGNED_INT, "SCALAR", _ELEMENTS)
    document |= {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        "materials": [material],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    body = bytes(buffer.data)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    write_atomic(path, struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


def to_linear(srgb: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """sRGB values in [0, 1] as linear light (IEC 61966-2-1)."""
    srgb = np.clip(srgb, 0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


class _Buffer:
    """The binary part of a GLB file, with its tables."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_bytes(self, data: bytes, target: int | None = None) -> int:
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        self.data += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def add(
        self,
        values: np.ndarray,
        component: int,
        kind: str,
        target: int,
        *,
        limits: bool = False,
        normalised: bool = False,
    ) -> int:
        view = self.add_bytes(values.tobytes(), target)
        accessor: dict[str, Any] = {
            "bufferView": view,
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if normalised:
            accessor["normalized"] = True
        if limits and len(values):
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1
